# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""The sampler as verl's trainer builds it, and prompts in a real TransferQueue as verl's agent loop leaves them."""

import torch
import transfer_queue as tq
from configuration import composed
from verl.utils.tensordict_utils import list_of_dict_to_tensordict

from recipe.medgrpo.trainer.sampler import replay_buffer


def configuration(*overrides):
    needed = "data.train_files=t", "data.val_files=v", "actor_rollout_ref.model.path=m"
    return composed(*needed, "actor_rollout_ref.rollout.n=3", "platform=cpu", *overrides)


def build(config, refill=None):
    """As verl's trainer does."""
    sampler = config.trainer.v1.sampler
    return replay_buffer(
        trainer_mode=config.trainer.v1.trainer_mode,
        trainer_config={},
        max_off_policy_threshold=sampler.max_off_policy_threshold,
        max_off_policy_strategy=sampler.max_off_policy_strategy,
        sampler_kwargs=sampler.sampler_kwargs,
        refill_fn=refill or (lambda n: n),
    )


def train_partition():
    return (tq.kv_list() or {}).get("train", {})


def put(uid, rewards, status, step=1, data_source="medvidbench/CoPESD/tag"):
    """A prompt, with its row as an asynchronous trainer keeps it, and its answers."""
    prompt = {"is_prompt": True, "status": status, "global_steps": step}
    row = list_of_dict_to_tensordict([{"data_source": data_source}])
    tq.kv_batch_put(keys=[uid], partition_id="train", tags=[prompt], fields=row)
    fields = []
    for i, reward in enumerate(rewards):
        score = {"raw": reward, "normalized": reward / 2, "score": reward, "parsed": 1.0, "cut": 0.0}
        answer = {"data_source": data_source, "index": 7, "extra_fields": {"reward_extra_info": score}}
        answer["rollout_log_probs"] = torch.full((4 + i,), -0.5)
        fields.append(answer | {"rm_scores": torch.tensor([0.0] * (3 + i) + [reward])})
    if fields:
        keys = [f"{uid}_{i}_0" for i in range(len(rewards))]
        tags = [{"status": "success", "response_len": 4 + i} for i in range(len(rewards))]
        tq.kv_batch_put(keys=keys, partition_id="train", fields=list_of_dict_to_tensordict(fields), tags=tags)
