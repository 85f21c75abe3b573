# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""verl: a V1 sampler cannot tell the data source of a prompt whose answers all failed.

In synchronous mode a prompt is registered by its id and status alone; its other columns reach the queue with its
answers, of which a failed prompt has none.
"""

import os
import sys
from types import SimpleNamespace

# verl and vLLM as released: no installed plugin, external module or platform may change them; no GPU is used.
STOCK = ("VERL_USE_EXTERNAL_MODULES", "VERL_PLATFORM", "VLLM_PLUGINS", "CUDA_VISIBLE_DEVICES")
os.environ.update({"VERL_USE_EXTERNAL_PLUGINS": "none", **dict.fromkeys(STOCK, "")})

from verl.trainer.ppo.v1 import trainer_base  # noqa: E402
from verl.utils.tensordict_utils import get_tensordict  # noqa: E402

registered = {}


def record(keys, partition_id, tags, fields=None):
    columns = set() if fields is None else set(fields.keys())
    registered.update({key: set(tag) | columns for key, tag in zip(keys, tags, strict=True)})


trainer_base.tq = SimpleNamespace(kv_batch_put=record)  # stands for TransferQueue
trainer = SimpleNamespace(
    trainer_mode="sync",
    global_steps=1,
    agent_loop_manager=SimpleNamespace(generate_sequences=lambda batch: None),
    replay_buffer=None,
)
batch = get_tensordict({"uid": ["a", "b"], "data_source": ["gsm8k", "math"]})
trainer_base.PPOTrainer._submit_batch_to_rollout(trainer, batch)
print(f"what the queue knows of a prompt before its first answer: {sorted(registered['a'])}")
sys.exit("data_source" not in registered["a"])
