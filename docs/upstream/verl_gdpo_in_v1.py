# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""verl: `algorithm.adv_estimator=gdpo` stops at the first step of the V1 trainer.

The trainer fetches the fields of GRPO alone from the queue; what the estimator reads (`prompts`, `attention_mask` and
the rewards' components in `non_tensor_batch`) is not among them.
"""

import os
import sys
from types import SimpleNamespace

# verl and vLLM as released: no installed plugin, external module or platform may change them; no GPU is used.
STOCK = ("VERL_USE_EXTERNAL_MODULES", "VERL_PLATFORM", "VLLM_PLUGINS", "CUDA_VISIBLE_DEVICES")
os.environ.update({"VERL_USE_EXTERNAL_PLUGINS": "none", **dict.fromkeys(STOCK, "")})

import torch  # noqa: E402
from omegaconf import OmegaConf  # noqa: E402
from verl.trainer.ppo.v1 import trainer_base  # noqa: E402
from verl.utils.tensordict_utils import list_of_dict_to_tensordict  # noqa: E402

# Two answers to one prompt, as the V1 agent loop's worker stores them.
ANSWERS = list_of_dict_to_tensordict(
    [
        {
            "uid": "a",
            "prompts": torch.ones(2, dtype=torch.long),
            "attention_mask": torch.ones(2 + length, dtype=torch.long),
            "response_mask": torch.ones(length, dtype=torch.long),
            "rm_scores": torch.eye(length)[-1],
            "extra_fields": {"reward_extra_info": {"rule": rule, "format": 1.0}},
        }
        for length, rule in ((3, 0.0), (4, 1.0))
    ]
)


class Queue:
    """Stands for TransferQueue."""

    def kv_batch_get(self, keys, partition_id, select_fields):
        return ANSWERS.select(*[name for name in select_fields if name in ANSWERS.keys()])

    def kv_batch_put(self, keys, partition_id, fields):
        return fields


trainer_base.tq = Queue()
keys = ["rule", "format"]
algorithm = {"adv_estimator": "gdpo", "gdpo_reward_keys": keys, "use_kl_in_reward": False, "gamma": 1.0, "lam": 1.0}
config = OmegaConf.create({"algorithm": algorithm, "actor_rollout_ref": {"rollout": {"n": 2}}})
batch = type("Batch", (SimpleNamespace,), {"__len__": lambda self: 2})(keys=["a_0_0", "a_1_0"], partition_id="train")
try:
    trainer_base.PPOTrainer._compute_advantage(SimpleNamespace(config=config), batch, {})
except (KeyError, AssertionError) as error:
    print(f"GDPO in the V1 trainer: {type(error).__name__}: {error}")
    sys.exit(1)
print("GDPO in the V1 trainer: advantages were computed")
