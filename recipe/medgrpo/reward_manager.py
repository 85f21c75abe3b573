# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""``reward.reward_manager.name=medgrpo``: reward_score inside verl's reward loop."""

from omegaconf import OmegaConf
from verl.experimental.reward_loop.reward_manager.base import RewardManagerBase

import reward_score


class MedGRPORewardManager(RewardManagerBase):
    """Scores the last sequence of a trajectory with ``reward_score`` and the options under ``medgrpo.reward``.

    A typed error of ``reward_score`` (say, a judge that cannot be reached) is not caught: verl's V1 trainer then drops
    that trajectory alone, and no false reward enters the group.
    """

    def __init__(self, config, tokenizer, compute_score, reward_router_address=None, reward_model_tokenizer=None):
        super().__init__(config, tokenizer, compute_score)
        self.options = OmegaConf.to_container(config.medgrpo.reward, resolve=True)

    async def run_single(self, data) -> dict:
        item = data[-1]
        length = item.batch["responses"].shape[-1]
        valid = int(item.batch["attention_mask"][-length:].sum())
        return await self.loop.run_in_executor(None, self._score, item, item.batch["responses"][:valid])

    def _score(self, item, response_ids) -> dict:
        fields = item.non_tensor_batch
        result = reward_score.compute_score(
            data_source=fields["data_source"],
            solution_str=self.tokenizer.decode(response_ids, skip_special_tokens=True),
            ground_truth=fields["reward_model"]["ground_truth"],
            extra_info=fields.get("extra_info") or {},
            **self.options,
        )
        return {"reward_score": result["score"], "reward_extra_info": result}
