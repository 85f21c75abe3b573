# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""The newcomer's command at its smallest size: real verl, real vLLM, from a drawn world to the report; killed once."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pyarrow.parquet as pq
import pytest
from safetensors.torch import load_file

import reward_score
from recipe.medgrpo import cli
from recipe.medgrpo.common.run_folder import RunDir, read_jsonl
from recipe.medgrpo.report import run_data

pytestmark = pytest.mark.e2e

REPOSITORY = Path(__file__).resolve().parents[1]
SIZE = {"CLIPS": "24", "SFT_STEPS": "60", "RL_STEPS": "4"}
OVERRIDES = ("data.train_batch_size=8", "actor_rollout_ref.rollout.n=4", "trainer.save_freq=2")
MINUTES = 40


def start(run: Path) -> subprocess.Popen:
    command = ["bash", str(REPOSITORY / "examples/run_medgrpo_cpu.sh"), *OVERRIDES]
    return subprocess.Popen(command, env={**os.environ, **SIZE, "RUN": str(run)}, start_new_session=True)


def kill(process: subprocess.Popen) -> None:
    """SIGKILL to the command and all that it started, Ray's and vLLM's processes included."""
    victims = [*psutil.Process(process.pid).children(recursive=True)]
    os.killpg(process.pid, signal.SIGKILL)
    for victim in victims:
        try:
            victim.kill()
        except psutil.NoSuchProcess:
            pass
    process.wait()


def checkpoint(run: RunDir) -> int:
    file = run.rl / "latest_checkpointed_iteration.txt"
    return int(file.read_text()) if file.exists() else 0


def written(run: RunDir, step: int) -> bool:
    dump = run.rollouts / f"{step}.jsonl"
    logged = step in run_data.read_metrics(run.metrics_files())
    return logged and dump.is_file() and dump.read_bytes().endswith(b"\n")


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> RunDir:
    """A run that was killed after its first RL checkpoint, and started again until it ended.

    verl logs a step and dumps its answers after the step's checkpoint: the kill waits for those too, which the tests
    compare. What a report says of a run that was killed in between is in tests/recipe/report/test_page.py.
    """
    run = RunDir(tmp_path_factory.mktemp("a run") / "medgrpo")
    deadline = time.monotonic() + 60 * MINUTES
    process = start(run.root)
    while checkpoint(run) < 2 or not written(run, 2):
        assert process.poll() is None, f"the first start ended with {process.returncode} before it was killed"
        assert time.monotonic() < deadline, "no checkpoint in time"
        time.sleep(0.5)
    kill(process)
    assert not run.report.exists()
    process = start(run.root)
    assert process.wait(timeout=deadline - time.monotonic()) == 0
    return run


@pytest.fixture(scope="module")
def metrics(finished) -> dict[int, dict]:
    """Step -> figures of verl's log, over both starts."""
    logs = (read_jsonl(file, "verl", cut_tail_allowed=True) for file in finished.metrics_files())
    return {record["step"]: record["data"] for log in logs for record in log}


def test_the_killed_run_resumed_where_it_was(finished):
    first, second = ([record["step"] for record in read_jsonl(file, "verl", cut_tail_allowed=True)]
                     for file in finished.metrics_files())  # fmt: skip
    assert first[0] == 1 and second == [3, 4]


def test_the_killed_run_went_on_in_the_order_of_an_uninterrupted_one(finished):
    from omegaconf import OmegaConf
    from verl.trainer.ppo.utils import create_rl_sampler

    rows = [row for row in pq.read_table(finished.train).to_pylist() if row["ability"] in reward_score.PAPER_TASKS]
    order = list(create_rl_sampler(OmegaConf.create({"shuffle": True, "seed": 0}), rows))
    for step in (1, 2, 3, 4):
        expected = sorted(rows[index]["reward_model"]["ground_truth"] for index in order[8 * (step - 1) : 8 * step])
        rollouts = read_jsonl(finished.rollouts / f"{step}.jsonl", "verl")
        assert sorted(rollout["gts"] for rollout in rollouts) == sorted(expected * 4), step


def test_the_page_of_answers_knows_every_row_and_its_components(finished):
    for step in (1, 2, 3, 4):
        scores = {line["uid"]: line for line in read_jsonl(finished.scores / f"{step}.jsonl", "the sampler")}
        for rollout in read_jsonl(finished.rollouts / f"{step}.jsonl", "verl"):
            assert scores[rollout["uid"]]["score"] == pytest.approx(rollout["score"], abs=1e-6)
    assert cli.main(["browse", str(finished.root)]) == 0
    index = json.loads((finished.root / "browse/index.js").read_text().partition(" = ")[2].rstrip(";\n"))
    assert len(index["step"]) == 4 * 8 and ["unknown", "unknown"] not in index["pairs"]


def test_the_checkpoint_knows_its_normalization(finished):
    state = json.loads((finished.rl / "global_step_4/normalizer.json").read_text())
    assert state["method"] == "logistic"
    assert state["artifact"] == reward_score.Artifact.load(finished.normalization).hash


def test_weights_changed(finished):
    before = load_file(finished.sft / "global_step_60/huggingface/model.safetensors")
    after = load_file(finished.rl / "global_step_4/actor/huggingface/model.safetensors")
    assert before.keys() == after.keys()
    assert sum(not before[name].equal(after[name]) for name in before) > len(before) / 2


def test_the_policy_that_is_trained_is_the_one_that_was_sampled(metrics):
    assert sorted(metrics) == [1, 2, 3, 4]
    for step, figures in metrics.items():
        assert figures["training/rollout_actor_probs_pearson_corr"] >= 0.999, step
        assert figures["training/rollout_probs_diff_mean"] < 1e-2, step


def test_every_step_logs_its_rewards_by_source_and_task(metrics):
    for figures in metrics.values():
        pairs = {key.rsplit("/", 1)[0] for key in figures if key.startswith("medgrpo/") and key.count("/") == 3}
        assert pairs and sum(figures[f"{pair}/answers"] for pair in pairs if f"{pair}/answers" in figures) == 8 * 4
        assert figures["medgrpo/reward/mean"] == pytest.approx(figures["critic/score/mean"], abs=1e-6)
        assert figures["medgrpo/dropped_trajectories"] == 0
        cut = sum(
            figures[f"{pair}/cut_share"] * figures[f"{pair}/answers"] for pair in pairs if f"{pair}/answers" in figures
        )
        assert figures["medgrpo/cut_share"] == pytest.approx(cut / 32)
        # verl's own count of answers as long as the longest of the step.
        assert figures["medgrpo/cut_share"] <= figures["response_length/clip_ratio"] + 1e-6


def test_logged_rewards_are_reward_scores_own(finished, metrics):
    rows = pq.read_table(finished.train).to_pylist()
    by_question = {}
    for row in rows:
        by_question.setdefault((row["extra_info"]["question"], row["reward_model"]["ground_truth"]), []).append(row)
    options = {"normalization": "logistic", "artifact": str(finished.normalization)}
    for step in metrics:
        rollouts = read_jsonl(finished.rollouts / f"{step}.jsonl", "verl")
        assert len(rollouts) == 8 * 4
        for rollout in rollouts:
            candidates = [row for (question, truth), found in by_question.items() for row in found
                          if truth == rollout["gts"] and question in rollout["input"]]  # fmt: skip
            assert candidates
            # The dump keeps the text, not whether it was cut, nor its tokens, by which long captions lose.
            endings = [{"finish_reason": "length"}, {"finish_reason": "stop"}]
            endings += [{**endings[1], "response_length": n, "max_response_length": 96} for n in range(87, 97)]
            scores = [
                reward_score.compute_score(
                    row["data_source"], rollout["output"], rollout["gts"], row["extra_info"] | ending, **options
                )
                for row in candidates
                for ending in endings
            ]
            assert min(abs(score["score"] - rollout["score"]) for score in scores) < 1e-5
        mean = sum(rollout["score"] for rollout in rollouts) / len(rollouts)
        assert metrics[step]["critic/score/mean"] == pytest.approx(mean, abs=1e-5)


def test_a_pairs_median_is_worth_one_half(finished):
    artifact = reward_score.Artifact.load(finished.normalization)
    normalizer = reward_score.Normalizer(artifact, "logistic")
    own = {key: entry for key, entry in artifact.entries.items() if not key.startswith("*")}
    assert own
    for key, entry in own.items():
        source, task, component = key.split("|")
        if entry.n >= 32:
            assert normalizer(entry.p50, source, task, component) == pytest.approx(0.5)


def test_report_and_evaluations(finished):
    held_out = pq.read_table(finished.val).num_rows
    html = finished.report.read_text()
    assert html.count("<img") >= 5 and "http://" not in html and "https://" not in html
    for name in ("sft", "rl"):
        files = finished.evaluation(name)
        summary, results = json.loads(files.summary.read_text()), read_jsonl(files.results, "medgrpo evaluate")
        assert summary["rows"] == held_out and len(results) == 4 * held_out
        rewarded = [one["score"] for one in results if one["task"] in reward_score.PAPER_TASKS]
        mean = sum(rewarded) / len(rewarded)
        assert summary["reward"]["reward"] == pytest.approx(mean, abs=1e-6)
        assert f"{mean:.3f}" in html


def test_a_third_start_does_nothing_again(finished):
    before = finished.timings()
    start_time = time.monotonic()
    assert start(finished.root).wait(timeout=300) == 0
    assert finished.timings() == before
    assert time.monotonic() - start_time < 120
