# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
import pytest
from judge_server import JudgeServer

from reward_score.judge import JudgeConfig, LLMJudge

KEY = "sk-very-secret-0123456789"


@pytest.fixture(autouse=True)
def key(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    return KEY


@pytest.fixture
def server():
    with JudgeServer() as running:
        yield running


@pytest.fixture
def make(server):
    """make(**options) -> a judge of that server with short waits and no cache."""

    def judge(**options):
        defaults = {"cache": None, "deadline": 1.0, "request_timeout": 0.4, "backoff": 0.02, "base_url": server.url}
        return LLMJudge(JudgeConfig(**{**defaults, **options}))

    return judge
