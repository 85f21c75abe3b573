# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""The verdicts of examples/gpu_check.sh on a finished run, and what turns each of them."""

import json

import pytest

from recipe.medgrpo.common.run_folder import RunDir, write_json
from recipe.medgrpo.report import gpu_check
from recipe.medgrpo.report.gpu_check import FAIL, PASS, TOLD

SFT = {step: {"train/loss": 3.0 - 0.1 * step, "train/global_tokens": 1000, "train/mfu": 0.3} for step in (1, 2, 3)}


def rl(**changes):
    """One step of a log, as verl writes it."""
    figures = {
        "training/global_step": 1,
        "actor/entropy": 1.0,
        "training/rollout_actor_probs_pearson_corr": 0.998,
        "training/rollout_probs_diff_mean": 0.002,
        "actor/perf/max_memory_allocated_gb": 40.0,
        "perf/total_num_tokens": 9000,
        "perf/mfu/actor": 0.3,
        "timing_s/gen": 4.0,
        "timing_per_token_ms/gen": 2.0,
        "timing_s/old_log_prob": 1.0,
        "timing_s/update_actor": 3.0,
    }
    return {1: figures, 2: figures | {"training/global_step": 2} | changes}


def verdicts(lines):
    return [line.verdict for line in lines]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, [PASS, PASS, PASS]),
        ({"training/rollout_probs_diff_mean": 0.02}, [PASS, FAIL, PASS]),
        ({"training/rollout_actor_probs_pearson_corr": 0.98}, [PASS, PASS, FAIL]),
        ({"training/rollout_actor_probs_pearson_corr": float("nan")}, [PASS, PASS, FAIL]),
    ],
)
def test_every_step_must_agree(changes, expected):
    assert verdicts(gpu_check.agreement_lines(rl(**changes))) == expected


def test_a_policy_that_knows_nothing_shows_nothing():
    uniform = {step: values | {"actor/entropy": 11.9} for step, values in rl().items()}
    assert verdicts(gpu_check.agreement_lines(uniform)) == [FAIL, PASS, PASS]
    assert verdicts(gpu_check.agreement_lines({})) == [FAIL, FAIL, FAIL]


def test_memory_is_judged_on_gpus(monkeypatch):
    monkeypatch.setenv("VERL_PLATFORM", "cpu")
    assert gpu_check.memory_line(rl(), 30.0).verdict == TOLD
    monkeypatch.delenv("VERL_PLATFORM")
    assert [gpu_check.memory_line(rl(), gib).verdict for gib in (30.0, 38.0)] == [FAIL, PASS]
    assert gpu_check.memory_line({}, float("nan")).verdict == FAIL


def test_loss_must_fall():
    assert gpu_check.learning_line(SFT).verdict == PASS
    assert gpu_check.learning_line({1: SFT[1], 2: SFT[1]}).verdict == FAIL == gpu_check.learning_line({}).verdict


def test_speeds(tmp_path):
    run = RunDir(tmp_path)
    write_json(run.stage_record("sft"), {"done": True, "seconds": 30.0})
    found = {line.name: line.found for line in gpu_check.speed_lines(run, SFT, rl())}
    assert found["sft: tokens per second, start included"] == "100"
    assert found["RL: gen, tokens per second"] == "500"
    assert found["RL: old_log_prob, tokens per second"] == "9000"
    assert found["RL: update_actor, tokens per second"] == "3000"
    # Three times as fast at a third of the work is the same share.
    assert found["RL: update_actor, share of the card's peak"] == "30.0%"
    assert found["RL: old_log_prob, share of the card's peak"] == "30.0%"
    assert gpu_check.speed_lines(RunDir(tmp_path / "none"), {}, {})[-1].found == "unknown card"


def test_stages_that_failed_or_were_not_reached(tmp_path):
    for name in gpu_check.STAGES:
        state = {"done": name != "rl", "seconds": 5.0}
        write_json(RunDir(tmp_path).stage_record(name), state)
    lines = {line.name: line for line in gpu_check.stage_lines(RunDir(tmp_path))}
    assert lines["stage sft"].found == "5 s" and lines["stage rl"].found.endswith("logs/rl.log")
    assert [name for name, line in lines.items() if line.verdict == FAIL] == ["stage rl"]
    assert set(verdicts(gpu_check.stage_lines(RunDir(tmp_path / "none")))) == {FAIL}


def test_the_file_for_an_issue(tmp_path, capsys):
    assert gpu_check.main(["--run", str(tmp_path)]) == 1
    found = json.loads((tmp_path / "gpu_check.json").read_text())
    assert {"name": "stage rl", "found": "not reached", "bound": "ends", "verdict": FAIL} in found["lines"]
    assert found["machine"]["torch"] and found["rl_overrides"] == []
    assert str(tmp_path / "gpu_check.json") in capsys.readouterr().out.replace("\n", "")


def test_what_cannot_be_judged_is_said(tmp_path, capsys):
    assert gpu_check.main(["--run", str(tmp_path / "typo")]) == 2 and not (tmp_path / "typo").exists()
    assert "typo does not exist" in capsys.readouterr().err
    record = RunDir(tmp_path).stage_record("sft")
    record.parent.mkdir()
    record.write_text("{")
    assert gpu_check.main(["--run", str(tmp_path)]) == 2 and f"{record} is not JSON" in capsys.readouterr().err
