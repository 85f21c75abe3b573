# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Two RL steps on a source that was built from its publishers' files: real verl, real vLLM, a drawn CholecT50."""

import math

import pytest
from published_sources import cholect50
from small_run import BATCH, GROUP, command, train

from data_preprocess import medvidbench
from data_preprocess.build import __main__ as build_command
from recipe.medgrpo.cpu.tiny_model import build as build_model

pytestmark = pytest.mark.slow

#: Clips are longer here than those of the drawn world, and the paper's tasks are trained.
OVERRIDES = (
    "data.max_prompt_length=384",
    "data.max_response_length=24",
    "actor_rollout_ref.actor.ppo_max_token_len_per_gpu=6144",
    "actor_rollout_ref.rollout.max_model_len=416",
    "medgrpo.reward.reward_tasks=[tag,stg,vs,rc]",
)


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
    steps = train(run, command(data, model, run, *OVERRIDES))["metrics"]
    assert sorted(steps) == [1, 2]
    for figures in steps.values():
        assert figures["medgrpo/CholecT50/tag/answers"] == BATCH * GROUP
        assert figures["medgrpo/dropped_trajectories"] == 0
        assert math.isfinite(figures["actor/grad_norm"])
