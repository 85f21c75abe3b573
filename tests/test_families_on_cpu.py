# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Two RL steps of each family on drawn clips: the policy that is trained is the sampled one.

Qwen2.5-VL has the newcomer's run (test_e2e_on_cpu.py). Qwen2-VL trains on images in test_presets_on_cpu.py, and here
with ``-m slow``.
"""

import pytest
from small_run import BATCH, GROUP, SAMPLED, command, sharpen, train

from data_preprocess import medvidbench
from data_preprocess.synthetic import clips
from recipe.medgrpo.cpu import tiny_model

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return clips.generate(tmp_path_factory.mktemp("world"), clips_per_source=6, progress=False)


@pytest.mark.parametrize("family", [pytest.param("qwen2_vl", marks=pytest.mark.slow), *tiny_model.TIMES_AS_TEXT])
def test_two_steps_of_rl(family, world, tmp_path):
    data, model, run = tmp_path / "data", tmp_path / "model", tmp_path / "run"
    paths = ["--json", world, "--frames-root", world.parent / "frames", "--out", data]
    medvidbench.main([*map(str, paths), "--patch", str(tiny_model.patch_size(family))])
    tiny_model.build(model, data / "train.parquet", family=family)
    sharpen(model)
    trained = train(run, command(data, model, run, SAMPLED))
    assert sorted(trained["metrics"]) == [1, 2]
    for step, figures in trained["metrics"].items():
        assert len(trained["rollouts"][step]) == BATCH * GROUP
        assert figures["medgrpo/dropped_trajectories"] == 0
        assert figures["actor/grad_norm"] > 0
        assert figures["training/rollout_actor_probs_pearson_corr"] >= 0.999, step
        assert figures["training/rollout_probs_diff_mean"] < 1e-3, step
