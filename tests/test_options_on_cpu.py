# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Options of the GPU scripts that no other end-to-end test takes: two real steps with adapters and offloading."""

import shutil

import pytest
from small_run import BATCH, GROUP, SAMPLED, STEPS, command, sharpen, train

pytestmark = pytest.mark.slow

#: As LORA=8 and OFFLOAD=1 compose them.
LORA_OFFLOAD = (
    "actor_rollout_ref.model.lora_rank=8",
    "actor_rollout_ref.model.lora_alpha=16",
    "actor_rollout_ref.model.target_modules=all-linear",
    "actor_rollout_ref.model.exclude_modules='.*visual.*'",
    "actor_rollout_ref.rollout.load_format=safetensors",
    "actor_rollout_ref.actor.fsdp_config.param_offload=true",
    "actor_rollout_ref.actor.fsdp_config.optimizer_offload=true",
)


def test_adapters_and_offloading(drawn, tiny_model, tmp_path):
    model = shutil.copytree(tiny_model, tmp_path / "model")
    sharpen(model)
    run = train(tmp_path / "run", command(drawn, model, tmp_path / "run", SAMPLED, *LORA_OFFLOAD))
    assert sorted(run["metrics"]) == list(range(1, STEPS + 1))
    for step, figures in run["metrics"].items():
        assert len(run["rollouts"][step]) == BATCH * GROUP
        assert figures["actor/grad_norm"] > 0
        # Also after the adapters have been updated and sent to vLLM.
        assert figures["training/rollout_actor_probs_pearson_corr"] >= 0.999, step
        assert figures["training/rollout_probs_diff_mean"] < 1e-3, step
