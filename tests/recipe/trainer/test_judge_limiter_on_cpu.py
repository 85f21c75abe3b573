# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""What becomes of a job whose coordinator's process dies: no group may get a second scorer."""

import asyncio
import time

import pytest

ray = pytest.importorskip("ray")

from recipe.medgrpo.trainer import judge_limiter  # noqa: E402
from reward_score.errors import JudgeUnavailable  # noqa: E402
from reward_score.judge import JudgeConfig  # noqa: E402


@pytest.fixture
def cluster():
    ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


def begun(on_failure):
    """A coordinator that has decided for a group, and whose process has died since; and a worker's way to it."""
    actor = judge_limiter.start({"judge": {"cache": None}, "on_failure": on_failure})
    worker = judge_limiter.JobLimiter(JudgeConfig(cache=None))
    assert asyncio.run(worker.decide("a group", "judge")) == "judge"
    # As the system kills it: Ray may start it again.
    ray.kill(actor, no_restart=False)
    return actor, worker


def test_a_group_gets_no_second_scorer_when_the_coordinator_dies(cluster):
    actor, worker = begun("similarity_only")
    for _ in range(600):  # Ray takes its time to notice
        try:
            answer = asyncio.run(worker.decide("a group", "similarity"))
        except JudgeUnavailable:
            break
        assert answer == "judge"
        time.sleep(0.1)
    else:
        pytest.fail("the coordinator outlived its end")
    # Whatever is left of the step is not trained on.
    with pytest.raises(judge_limiter.JudgeAborted, match="start the run again"):
        judge_limiter.step_metrics(actor)


def test_without_decisions_for_groups_a_new_coordinator_goes_on(cluster):
    actor, worker = begun("drop")
    for _ in range(600):
        try:
            # The new one knows of no group.
            if asyncio.run(worker.decide("a group", "similarity")) == "similarity":
                break
        except JudgeUnavailable:
            pass
        time.sleep(0.1)
    else:
        pytest.fail("no new coordinator")
    # Without its handle there would be none.
    del actor
