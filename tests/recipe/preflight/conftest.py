# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
import pytest


@pytest.fixture
def composed(drawn, tiny_model):
    """``composed("sft" or "medgrpo", *overrides)`` on the drawn world and its model."""
    from hydra import compose, initialize_config_module

    def call(name, *overrides):
        key = "model.path" if name == "sft" else "actor_rollout_ref.model.path"
        own = [f"data.train_files='{drawn}/train.parquet'", f"{key}='{tiny_model}'"]
        if name == "medgrpo":
            sizes = ["data.max_prompt_length=256", "data.max_response_length=32"]
            own += ["data.val_files=v", "medgrpo.reward.artifact=a", *sizes]
        with initialize_config_module(config_module="recipe.medgrpo.config", version_base=None):
            return compose(name, [*own, *overrides])

    return call
