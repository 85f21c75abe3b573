# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""The stages of examples/gpu_check.sh on a CPU at the smallest size, and its table when a stage fails."""

import json
import os
import subprocess

import pytest
from scripts import EXAMPLES


def start(run, **variables):
    environment = {**os.environ, "VERL_PLATFORM": "cpu", "RUN": str(run), "CLIPS": "8", **variables}
    done = subprocess.run(["bash", EXAMPLES / "gpu_check.sh"], env=environment, stdin=subprocess.DEVNULL)
    lines = json.loads((run / "gpu_check.json").read_text())["lines"]
    return done.returncode, {line["name"]: line for line in lines}


@pytest.mark.slow
def test_all_stages_end_and_are_judged(tmp_path):
    status, lines = start(tmp_path / "run", SFT_STEPS="24", RL_STEPS="2")
    assert [name for name, line in lines.items() if line["verdict"] == "FAIL"] == []
    assert status == 0
    assert lines["RL: probabilities, rollout - trainer"]["verdict"] == "PASS"
    assert lines["RL: memory of the update"]["found"] == "not measured: no GPU"
    assert float(lines["RL: update_actor, tokens per second"]["found"]) > 0


@pytest.mark.e2e
def test_a_stage_that_fails_is_named(tmp_path):
    status, lines = start(tmp_path / "run", LAYERS="none")
    assert status == 1
    assert lines["stage data"]["verdict"] == "PASS"
    assert lines["stage model"]["found"].endswith("logs/model.log") and lines["stage model"]["verdict"] == "FAIL"
    assert lines["stage rl"]["found"] == "not reached"
