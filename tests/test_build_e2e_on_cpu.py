# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Two RL steps on a source that was built from its publishers' files: real verl, real vLLM, a drawn CholecT50."""

import math
import subprocess
import sys

import pytest
from published_sources import cholect50

from data_preprocess import medvidbench
from data_preprocess.build import __main__ as build_command
from recipe.medgrpo.common.run_folder import read_jsonl
from recipe.medgrpo.cpu.tiny_model import build as build_model

pytestmark = pytest.mark.slow

BATCH, GROUP, STEPS, MINUTES = 4, 4, 2, 20


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Folder with train.parquet and val.parquet of the built records."""
    root = tmp_path_factory.mktemp("built")
    cholect50(root / "raw")
    assert build_command.main(["CholecT50", "--root", str(root / "raw"), "--out", str(root / "out")]) == 0
    paths = ["--json", root / "out/CholecT50.json", "--frames-root", root / "out", "--out", root / "data"]
    shorter = ["--max-clip-tokens", "120", "--overlong", "fewer_frames"]
    assert medvidbench.main([*map(str, paths), *shorter]) == 0
    return root / "data"


def test_two_steps_of_rl(data, tmp_path):
    model, run = tmp_path / "model", tmp_path / "run"
    build_model(model, data / "train.parquet")
    command = [
        *(sys.executable, "-m", "recipe.medgrpo.main_medgrpo", "platform=cpu", "judge=lexical"),
        f"data.train_files='{data}/train.parquet'",
        f"data.val_files='{data}/val.parquet'",
        f"data.train_batch_size={BATCH}",
        "data.max_prompt_length=384",
        "data.max_response_length=24",
        f"actor_rollout_ref.model.path='{model}'",
        "actor_rollout_ref.actor.ppo_max_token_len_per_gpu=6144",
        f"actor_rollout_ref.rollout.n={GROUP}",
        "actor_rollout_ref.rollout.max_model_len=416",
        "medgrpo.reward.artifact=null",
        "medgrpo.reward.normalization=none",
        "medgrpo.reward.overlong_buffer=0",
        # A random model parses nothing, and that is not what this is about.
        "medgrpo.alarm.action=warn",
        f"trainer.total_training_steps={STEPS}",
        "trainer.total_epochs=100",
        "trainer.save_freq=-1",
        f"trainer.default_local_dir='{run}'",
        f"hydra.run.dir='{run}'",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60 * MINUTES)
    assert done.returncode == 0, (done.stdout + done.stderr)[-5000:]
    steps = {one["step"]: one["data"] for file in run.glob("metrics*.jsonl") for one in read_jsonl(file, "verl")}
    assert sorted(steps) == [1, 2]
    for figures in steps.values():
        assert figures["medgrpo/CholecT50/tag/answers"] == BATCH * GROUP
        assert figures["medgrpo/dropped_trajectories"] == 0
        assert math.isfinite(figures["actor/grad_norm"])
