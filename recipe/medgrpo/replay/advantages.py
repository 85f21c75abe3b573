# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Rewards under each normalization, and their advantages by verl's own estimators."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from omegaconf import OmegaConf
from verl.trainer.ppo import core_algos

from reward_score import Artifact, Normalizer, RawScore
from reward_score.config import ScoreConfig
from reward_score.reward import finish

#: Estimator -> its name in verl, and verl's switch for the division by the group's deviation.
ESTIMATORS = {
    "grpo": ("grpo", True),
    "grpo without std": ("grpo", False),
    "batch mean": ("reinforce_plus_plus", None),
    "reinforce++": ("reinforce_plus_plus_baseline", None),
}
#: Components are normalized within their group, so that no method applies.
GDPO = "gdpo"
GDPO_KEYS = ("rule", "similarity", "judge", "format")


def scores(raws: Sequence[RawScore], config: ScoreConfig, artifact: Artifact, method: str) -> list[dict[str, float]]:
    """Reward and components of each answer under one normalization; the other options are ``config``'s."""
    normalizer = Normalizer(artifact, method, config.k)
    return [finish(raw, config, normalizer) for raw in raws]


class Batch:
    """Answers of one step, laid out as verl's trainer does; ``members`` are their places among all answers."""

    def __init__(self, members: np.ndarray, groups: Sequence, tokens: Sequence[int]) -> None:
        self.members = members
        # An empty answer is the token that ends it.
        lengths = torch.tensor(tokens).clamp(min=1)
        self._last = (torch.arange(len(members)), lengths - 1)
        self.mask = (torch.arange(int(lengths.max())) < lengths[:, None]).float()
        self._index = np.array([str(group) for group in groups], dtype=object)

    def advantages(self, estimator: str, scores: Sequence[dict[str, float]]) -> np.ndarray:
        """Advantage of each answer, which all its tokens share; ``estimator`` is a key of ESTIMATORS, or GDPO."""
        rewards = torch.zeros_like(self.mask)
        rewards[self._last] = torch.tensor([score["score"] for score in scores])
        name, divided = ESTIMATORS.get(estimator, (GDPO, True))
        more = {} if divided is None else {"norm_adv_by_std_in_grpo": divided}
        if name == GDPO:
            # A component that a task lacks adds nothing, as in training.
            columns = {key: np.nan_to_num([score[key] for score in scores]) for key in GDPO_KEYS}
            batch = {"prompts": self.mask[:, :0], "attention_mask": self.mask.long()}
            more |= {"non_tensor_batch": columns, "batch": batch}
        config = OmegaConf.create({"gamma": 1.0, "gdpo_reward_keys": list(GDPO_KEYS)})
        compute = core_algos.get_adv_estimator_fn(name)
        common = {"token_level_rewards": rewards, "response_mask": self.mask, "index": self._index, "config": config}
        found, _ = compute(**common, **more)
        return found[:, 0].double().numpy()

    def weights(self, aggregation: str) -> np.ndarray:
        """What an answer's advantage is multiplied by in the batch's loss: the derivative of verl's own aggregation."""
        value = torch.zeros(len(self.members), 1, requires_grad=True)
        core_algos.agg_loss(value * self.mask, self.mask, aggregation).backward()
        return value.grad[:, 0].double().numpy()


def batches(places: Sequence[tuple[int, object]], tokens: Sequence[int]) -> Iterator[Batch]:
    """One batch for each step, from (step, prompt) and length of each answer."""
    steps = np.array([step for step, _ in places])
    for step in dict.fromkeys(steps.tolist()):
        members = np.flatnonzero(steps == step)
        yield Batch(members, [places[i][1] for i in members], [tokens[i] for i in members])
