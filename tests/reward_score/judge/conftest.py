# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
import pytest

from reward_score.judge import JudgeConfig, LLMJudge


@pytest.fixture(autouse=True)
def _with_key(key):
    """No judge of these tests may meet the key of whoever runs them."""


@pytest.fixture
def make(server):
    """make(**options) -> a judge of that server without a cache.

    Its patience is long: on a busy machine a short one would make requests again that nobody lost.
    """

    def judge(**options):
        defaults = {"cache": None, "deadline": 60.0, "request_timeout": 30.0, "backoff": 0.02, "base_url": server.url}
        return LLMJudge(JudgeConfig(**{**defaults, **options}))

    return judge
