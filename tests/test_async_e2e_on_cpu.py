# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""``trainer_mode=colocate_async``: two real steps, the second with answers that were begun before the first one's
update; then a third step by another process, which goes on from the checkpoint with the prompts that waited in it.
"""

import pytest
from small_run import BATCH, GROUP, SAMPLED, STEPS, command, train

from recipe.medgrpo.common.run_folder import read_jsonl

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def finished(drawn, tiny_model, tmp_path_factory):
    """Folder of the run, and the figures of each step."""
    run = tmp_path_factory.mktemp("colocate_async")
    # Greedy answers of a random model are often all worth 0, which leaves a step nothing to learn from.
    options = (SAMPLED, "trainer.v1.trainer_mode=colocate_async", f"trainer.save_freq={STEPS}")
    train(run, command(drawn, tiny_model, run, *options))
    resumed = train(run, command(drawn, tiny_model, run, *options, f"trainer.total_training_steps={STEPS + 1}"))
    return run, resumed["metrics"]


def test_every_step_has_its_figures_by_source_and_task(finished):
    run, metrics = finished
    assert sorted(metrics) == [1, 2, 3]
    for step, figures in metrics.items():
        assert len(read_jsonl(run / f"rollouts/{step}.jsonl", "verl")) == BATCH * GROUP
        assert figures["medgrpo/dropped_trajectories"] == 0 == figures["medgrpo/dropped_groups"]
        pairs = {key: value for key, value in figures.items() if key.count("/") == 3 and key.endswith("/answers")}
        assert sum(pairs.values()) == BATCH * GROUP
        assert figures["medgrpo/reward/mean"] == pytest.approx(figures["critic/score/mean"], abs=1e-6)
        assert figures["actor/grad_norm"] > 0


def test_every_step_says_how_old_its_answers_are(finished):
    _, metrics = finished
    worst = [metrics[step]["training/off_policy/trajectory_staleness_worst/max"] for step in (1, 2, 3)]
    # One batch is answered ahead: the prompts of step 2 were begun by the weights of step 0.
    assert worst[0] == 0 and worst[1] == 1


def uids(run, step: int) -> set[str]:
    return {one["uid"].split("_")[0] for one in read_jsonl(run / f"rollouts/{step}.jsonl", "verl")}


def test_prompts_that_waited_in_the_checkpoint_are_trained_on_once(finished):
    run, _ = finished
    kept = b"".join(file.read_bytes() for file in (run / "global_step_2/transfer_queue").rglob("*") if file.is_file())
    assert any(uid.encode() in kept for uid in uids(run, 3)), "the queue's prompts were lost with the first process"
    assert not uids(run, 3) & (uids(run, 1) | uids(run, 2)) and not uids(run, 1) & uids(run, 2)
