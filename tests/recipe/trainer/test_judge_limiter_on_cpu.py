# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""What becomes of a job whose coordinator's process dies."""

import asyncio
import time

import pytest
import ray

from recipe.medgrpo.trainer import judge_limiter
from reward_score.config import ScoreConfig
from reward_score.judge import JudgeConfig


@pytest.fixture
def cluster():
    ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


def test_a_coordinator_that_was_killed_is_started_again_with_new_counts(cluster):
    actor = judge_limiter.start(ScoreConfig(judge={"cache": None}))
    worker = judge_limiter.JobLimiter(JudgeConfig(cache=None))
    asyncio.run(worker.fail("a group"))
    assert judge_limiter.failed_by_group(actor) == {"a group": 1}
    worker.condemn("only the first process knows this")
    # As the system kills it: Ray starts it again.
    ray.kill(actor, no_restart=False)
    for _ in range(600):
        try:
            if judge_limiter.step_metrics(actor):
                break
        except judge_limiter.JudgeAborted as error:
            assert "only the first" in str(error), "the actor did not return"
        time.sleep(0.1)
    else:
        pytest.fail("no new coordinator")
    asyncio.run(worker.release(asyncio.run(worker.acquire(1, 30))))
    assert judge_limiter.failed_by_group(actor) == {}
