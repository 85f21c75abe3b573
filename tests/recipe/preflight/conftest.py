# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
import pytest


@pytest.fixture
def composed(drawn, tiny_model):
    """``composed("sft" or "medgrpo", *overrides)`` on the drawn world and its model."""
    from configuration import composed

    def call(name, *overrides):
        key = "model.path" if name == "sft" else "actor_rollout_ref.model.path"
        own = [f"data.train_files='{drawn}/train.parquet'", f"{key}='{tiny_model}'"]
        if name == "medgrpo":
            sizes = ["data.max_prompt_length=256", "data.max_response_length=32"]
            own += ["data.val_files=v", "medgrpo.reward.artifact=a", *sizes]
        return composed(*own, *overrides, name=name)

    return call
