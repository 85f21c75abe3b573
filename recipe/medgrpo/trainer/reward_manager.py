# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""``reward.reward_manager.name=medgrpo``: reward_score inside verl's reward loop."""

from pathlib import Path

from verl.experimental.reward_loop.reward_manager.base import RewardManagerBase
from verl.experimental.reward_loop.reward_manager.registry import register

import reward_score
from recipe.medgrpo.common.run_log import keep_messages
from recipe.medgrpo.scoring.training_options import job_options, resolved
from recipe.medgrpo.trainer.ema_normalizer import NormalizerFollower
from recipe.medgrpo.trainer.judge_limiter import JobLimiter
from reward_score.errors import JudgeUnavailable, RewardError
from reward_score.judge import LLMJudge


@register("medgrpo")
class MedGRPORewardManager(RewardManagerBase):
    """Scores the last sequence of a trajectory with ``reward_score`` and the options under ``medgrpo.reward``.

    A typed error of ``reward_score`` (say, a judge that cannot be reached) is not caught: verl's V1 trainer then drops
    that trajectory alone, and no false reward enters the group.
    """

    def __init__(self, config, tokenizer, compute_score, reward_router_address=None, reward_model_tokenizer=None):
        super().__init__(config, tokenizer, compute_score)
        keep_messages(Path(config.trainer.default_local_dir))
        reward = resolved(config.medgrpo.reward)
        judge = job_options(reward, reward_router_address)
        self.limiter = None
        if judge is not None:
            self.limiter = JobLimiter(judge)
            reward = reward.model_copy(update={"judge": LLMJudge(judge, self.limiter)})
        self.scorer = reward_score.get_scorer(reward)
        self.max_response_length = config.data.max_response_length
        # vLLM keeps the token that ends an answer. Which of a model's two it is depends on its generation config.
        self.ends = {tokenizer.eos_token_id, tokenizer.pad_token_id}
        self.follower = NormalizerFollower(self.scorer.normalizer)
        if judge is not None and judge.backend == "local":
            # main_medgrpo asks other judges before it starts; this one did not exist then.
            try:
                reward.judge.probe()
            except RewardError as error:
                self.limiter.condemn(f"the judge that verl serves ({judge.name}) gives no verdict: {error}")
                raise

    async def run_single(self, data) -> dict:
        item = data[-1]
        fields = item.non_tensor_batch
        length = item.batch["responses"].shape[-1]
        valid = int(item.batch["attention_mask"][-length:].sum())
        tokens = item.batch["responses"][:valid]
        answer = {
            "response_length": valid,
            "max_response_length": self.max_response_length,
            "finish_reason": "stop" if valid and int(tokens[-1]) in self.ends else "length",
        }
        sample = reward_score.make_sample(
            fields["data_source"],
            self.tokenizer.decode(tokens, skip_special_tokens=True),
            fields["reward_model"]["ground_truth"],
            {**(fields.get("extra_info") or {}), **answer},
        )
        await self.follower.follow(fields.get("global_steps"))
        try:
            [result] = await self.scorer.ascore([sample])
        except JudgeUnavailable:
            group = fields.get("uid")
            if self.limiter is not None and group is not None:
                await self.limiter.fail(str(group))
            raise
        return {"reward_score": result["score"], "reward_extra_info": result}
