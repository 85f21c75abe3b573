# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""What the presets' keys do to the loss that verl computes: golden values, worked out by hand.

One prompt, four answers of 4, 1, 2 and 1 tokens with rewards 2, 1, 1 and 0: mean 1, unbiased deviation sqrt(2/3). The
policy is the one that sampled (ratio 1), so the gradient with respect to a token's log-probability is -advantage times
the token's weight. The loss itself would not do: without KL it is 0 for any centred advantages.
"""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from configuration import composed
from omegaconf import OmegaConf
from tensordict import TensorDict
from verl.protocol import DataProto
from verl.trainer.ppo.core_algos import get_adv_estimator_fn
from verl.trainer.ppo.v1 import trainer_base
from verl.utils import tensordict_utils
from verl.utils.config import omega_conf_to_dataclass
from verl.workers.utils.losses import ppo_loss

LENGTHS = (4, 1, 2, 1)
REWARDS = (2.0, 1.0, 1.0, 0.0)
STD = math.sqrt(2 / 3)
PROMPT = 2


def preset(name, *overrides):
    return composed("data.train_files=t", "data.val_files=v", f"preset={name}", *overrides)


def rows(values):
    return torch.nested.nested_tensor(values, layout=torch.jagged)


def advantages(config):
    """verl's advantages, one per answer."""
    rewards, mask = torch.zeros(4, 4), torch.zeros(4, 4)
    for row, (length, reward) in enumerate(zip(LENGTHS, REWARDS, strict=True)):
        mask[row, :length], rewards[row, length - 1] = 1, reward
    found, _ = get_adv_estimator_fn(config.algorithm.adv_estimator)(
        token_level_rewards=rewards,
        response_mask=mask,
        index=np.array(["one prompt"] * 4),
        norm_adv_by_std_in_grpo=config.algorithm.norm_adv_by_std_in_grpo,
    )
    return found[:, 0].tolist()


def loss_and_gradient(config, reference=0.0, ratio=1.0, entropy=None):
    """verl's actor loss, and its gradient at each answer's tokens.

    Args:
        reference: log-probability of each token under the reference model, less the policy's.
        ratio: probability of each token under the policy over that under the one that sampled it.
        entropy: of the policy at each token.
    """
    actor = omega_conf_to_dataclass(config.actor_rollout_ref.actor)
    values = advantages(config)
    total = sum(LENGTHS) + PROMPT * len(LENGTHS)
    log_prob = torch.full((total,), -1.0, requires_grad=True)
    data = TensorDict(
        {
            "prompts": rows([torch.zeros(PROMPT) for _ in LENGTHS]),
            "responses": rows([torch.zeros(n) for n in LENGTHS]),
            "response_mask": rows([torch.ones(n) for n in LENGTHS]),
            "old_log_probs": rows([torch.full((n,), -1.0 - math.log(ratio)) for n in LENGTHS]),
            "ref_log_prob": rows([torch.full((n,), -1.0 + reference) for n in LENGTHS]),
            "advantages": rows([torch.full((n,), a) for n, a in zip(LENGTHS, values, strict=True)]),
        },
        batch_size=len(LENGTHS),
    )
    tensordict_utils.assign_non_tensor(data, dp_size=1, batch_num_tokens=sum(LENGTHS), global_batch_size=len(LENGTHS))
    entropies = {} if entropy is None else {"entropy": torch.full((total,), entropy)}
    loss, _ = ppo_loss(actor, {"log_probs": log_prob, **entropies}, data)
    loss.backward()
    result, start = [], 0
    for length in LENGTHS:
        # A token's log-probability stands where its predecessor's output is.
        first = start + PROMPT - 1
        result.append(log_prob.grad[first : first + length].tolist())
        start += PROMPT + length
    return loss.item(), result


def spread(weights):
    """The gradient at all tokens when each token of answer i weighs ``weights[i]``."""
    return [-weight for weight, length in zip(weights, LENGTHS, strict=True) for _ in range(length)]


def test_std_normalization():
    expected = [1 / STD, 0, 0, -1 / STD]
    for name in ("medr1_think", "zhu_grpo", "zhu_grpo_scratch", "zhu_align", "zhu_ecr", "zhu_cwr"):
        assert advantages(preset(name)) == pytest.approx(expected, abs=1e-5)
    for name in ("zhu_drgrpo", "zhu_drgrpo_strict"):
        assert advantages(preset(name)) == pytest.approx([1, 0, 0, -1])


def test_grpo_divides_by_each_answers_own_length():
    # 1 / (answers x its tokens): a wrong answer pays less per token the longer it is.
    _, found = loss_and_gradient(preset("zhu_grpo"))
    assert sum(found, []) == pytest.approx(spread([1 / STD / (4 * 4), 0, 0, -1 / STD / 4]), abs=1e-6)


def test_dr_grpo_divides_by_the_longest_possible_answer():
    # 1 / (answers x data.max_response_length), the same for every token, though the batch's longest answer has 4.
    for name in ("zhu_drgrpo", "zhu_drgrpo_strict"):
        _, found = loss_and_gradient(preset(name))
        assert sum(found, []) == pytest.approx(spread([1 / (4 * 512), 0, 0, -1 / (4 * 512)]), abs=1e-9)
    # Without a factor verl divides by the batch's longest answer.
    _, found = loss_and_gradient(preset("zhu_drgrpo", "actor_rollout_ref.actor.loss_scale_factor=null"))
    assert sum(found, []) == pytest.approx(spread([1 / (4 * 4), 0, 0, -1 / (4 * 4)]), abs=1e-7)


@pytest.mark.parametrize(("name", "mean"), [("medr1_think", 2.0), ("zhu_drgrpo", 2.0 * 8 / (4 * 512))])
def test_entropy_has_no_weight_in_the_loss(name, mean):
    plain, _ = loss_and_gradient(preset(name))
    assert loss_and_gradient(preset(name), entropy=2.0)[0] == plain
    weighted, _ = loss_and_gradient(preset(name, "actor_rollout_ref.actor.entropy_coeff=0.5"), entropy=2.0)
    # It is aggregated as the rest.
    assert weighted == pytest.approx(plain - 0.5 * mean, abs=1e-6)


def test_dual_clip_bounds_what_a_wrong_answer_pays():
    # At a ratio of 4 the right answer is clipped at 1.2, the wrong one at verl's clip_ratio_c of 3: nothing is learned.
    loss, found = loss_and_gradient(preset("zhu_grpo"), ratio=4.0)
    assert sum(found, []) == spread([0, 0, 0, 0]) and loss == pytest.approx((3 - 1.2) / STD / 4, abs=1e-5)
    _, found = loss_and_gradient(preset("zhu_grpo", "actor_rollout_ref.actor.clip_ratio_c=5"), ratio=4.0)
    assert sum(found, []) == pytest.approx(spread([0, 0, 0, -4 / STD / 4]), abs=1e-5)


def test_verls_default_is_neither():
    # token-mean: 1 / (tokens of the batch), of which there are 8.
    _, found = loss_and_gradient(preset("zhu_grpo", "actor_rollout_ref.actor.loss_agg_mode=token-mean"))
    assert sum(found, []) == pytest.approx(spread([1 / STD / 8, 0, 0, -1 / STD / 8]), abs=1e-6)


K3 = math.exp(-0.5) + 0.5 - 1


@pytest.mark.parametrize(
    ("name", "kl"),
    [
        ("medr1_think", 0.04 * K3),
        ("zhu_grpo", 0.04 * K3),
        # The KL term shrinks with the policy's: a sum of 8 tokens over 4 answers x 512.
        ("zhu_drgrpo", 0.04 * K3 * 8 / (4 * 512)),
        ("zhu_drgrpo_strict", 0.0),
    ],
)
def test_kl_is_in_the_loss_as_k3(name, kl):
    config = preset(name)
    _, no_kl = loss_and_gradient(preset(name, "actor_rollout_ref.actor.use_kl_loss=false"), reference=-0.5)
    loss, gradient = loss_and_gradient(config, reference=-0.5)
    policy = -sum(a * n for a, n in zip(advantages(config), LENGTHS, strict=True)) / (4 * 512)
    # Sequence means of centred advantages cancel; sums over a constant do not.
    assert loss == pytest.approx(kl + (policy if "drgrpo" in name else 0.0), abs=1e-7)
    slope = 0.04 * (1 - math.exp(-0.5)) if kl else 0.0
    weight = [1 / (4 * 512)] * 4 if "drgrpo" in name else [1 / (4 * n) for n in LENGTHS]
    for with_kl, without, one in zip(gradient, no_kl, weight, strict=True):
        difference = [a - b for a, b in zip(with_kl, without, strict=True)]
        assert difference == pytest.approx([slope * one] * len(difference), abs=1e-7)


def test_one_update_per_batch_leaves_the_clip_without_effect():
    narrow = (f"actor_rollout_ref.actor.clip_ratio{end}=0.001" for end in ("", "_low", "_high"))
    assert loss_and_gradient(preset("zhu_grpo")) == loss_and_gradient(preset("zhu_grpo", *narrow))


# ---- GDPO, which normalizes each component of a reward within its group --------------------------------------------

GDPO = OmegaConf.create({"gdpo_reward_keys": ["rule", "format"], "gdpo_reward_weights": [2.0, 1.0]})
COMPONENTS = [(0.1, 1.0), (0.5, 0.0), (float("nan"), 1.0), (float("nan"), 0.0)]


@pytest.fixture
def batch():
    """Two groups of two answers; the second group's task has no rule component."""
    mask = torch.tensor([[1, 1, 1], [1, 1, 0], [1, 0, 0], [1, 1, 1]])
    data = DataProto.from_single_dict({"response_mask": mask, "token_level_rewards": torch.zeros(4, 3)})
    data.non_tensor_batch["uid"] = np.array(["a", "a", "b", "b"], dtype=object)
    return data


def gdpo_advantages(compute, batch):
    keys = ["a_0_0", "a_1_0", "b_0_0", "b_1_0"]
    return compute(batch, batch_keys=keys, adv_estimator="gdpo", config=GDPO).batch["advantages"]


def test_stock_verl_has_no_components_in_v1(batch):
    with pytest.raises((AssertionError, KeyError)):
        gdpo_advantages(trainer_base.compute_advantage_for_multi_trajectories.__wrapped__, batch)


def test_components_are_normalized_within_their_group(batch, monkeypatch):
    extra = [{"reward_extra_info": dict(zip(("rule", "format"), score, strict=True))} for score in COMPONENTS]
    queue = SimpleNamespace(kv_batch_get=lambda **kwargs: {"extra_fields": extra})
    monkeypatch.setattr(trainer_base, "tq", queue)
    found = gdpo_advantages(trainer_base.compute_advantage_for_multi_trajectories, batch)
    # Two answers that differ are at -1/sqrt(2) and +1/sqrt(2) of their group: rule weighs 2, format 1.
    unit = 2**-0.5
    sums = torch.tensor([-2 * unit + unit, 2 * unit - unit, unit, -unit])
    mask = batch.batch["response_mask"].float()
    tokens = sums[:, None] * mask
    mean = tokens.sum() / mask.sum()
    variance = (((tokens - mean) ** 2) * mask).sum() / (mask.sum() - 1)
    torch.testing.assert_close(found, (tokens - mean) * torch.rsqrt(variance) * mask, atol=1e-3, rtol=1e-3)
