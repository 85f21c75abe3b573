# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""verl's GDPO in its V1 trainer: fails as it is, and with the plugin normalizes each component within its group."""

import os
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

pytestmark = pytest.mark.skipif(os.environ.get("VERL_PLATFORM") != "cpu", reason="VERL_PLATFORM=cpu is not set")

CONFIG = OmegaConf.create({"gdpo_reward_keys": ["rule", "format"], "gdpo_reward_weights": [2.0, 1.0]})
SCORES = [(0.1, 1.0), (0.5, 0.0), (float("nan"), 1.0), (float("nan"), 0.0)]


@pytest.fixture
def batch():
    """Two groups of two answers; the second group's task has no rule component."""
    from verl.protocol import DataProto

    mask = torch.tensor([[1, 1, 1], [1, 1, 0], [1, 0, 0], [1, 1, 1]])
    data = DataProto.from_single_dict({"response_mask": mask, "token_level_rewards": torch.zeros(4, 3)})
    data.non_tensor_batch["uid"] = np.array(["a", "a", "b", "b"], dtype=object)
    return data


def advantages(compute, batch):
    keys = ["a_0_0", "a_1_0", "b_0_0", "b_1_0"]
    return compute(batch, batch_keys=keys, adv_estimator="gdpo", config=CONFIG).batch["advantages"]


def test_stock_verl_has_no_components_in_v1(batch):
    from verl.trainer.ppo.v1 import trainer_base

    with pytest.raises((AssertionError, KeyError)):
        advantages(trainer_base.compute_advantage_for_multi_trajectories.__wrapped__, batch)


def test_components_are_normalized_within_their_group(batch, monkeypatch):
    from verl.trainer.ppo.v1 import trainer_base

    extra = [{"reward_extra_info": dict(zip(("rule", "format"), score, strict=True))} for score in SCORES]
    queue = SimpleNamespace(kv_batch_get=lambda **kwargs: {"extra_fields": extra})
    monkeypatch.setattr(trainer_base, "tq", queue)
    found = advantages(trainer_base.compute_advantage_for_multi_trajectories, batch)
    # Two answers that differ are at -1/sqrt(2) and +1/sqrt(2) of their group: rule weighs 2, format 1.
    unit = 2**-0.5
    sums = torch.tensor([-2 * unit + unit, 2 * unit - unit, unit, -unit])
    mask = batch.batch["response_mask"].float()
    tokens = sums[:, None] * mask
    mean = tokens.sum() / mask.sum()
    variance = (((tokens - mean) ** 2) * mask).sum() / (mask.sum() - 1)
    torch.testing.assert_close(found, (tokens - mean) * torch.rsqrt(variance) * mask, atol=1e-3, rtol=1e-3)
