# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""verl: every answer to one picture carries the picture's processed pixels, in float32, into TransferQueue.

The trainer reads them with the answer, for the old log-probabilities and again for the update, and casts them to the
model's type. The pixels of a group's answers are the same, and four to eight times the size of what they are made from.
"""

import asyncio
import os
import sys
from types import SimpleNamespace

# verl and vLLM as released: no installed plugin, external module or platform may change them; no GPU is used.
STOCK = ("VERL_USE_EXTERNAL_MODULES", "VERL_PLATFORM", "VLLM_PLUGINS", "CUDA_VISIBLE_DEVICES")
os.environ.update({"VERL_USE_EXTERNAL_PLUGINS": "none", **dict.fromkeys(STOCK, "")})

import torch  # noqa: E402
from PIL import Image  # noqa: E402
from tokenizers import AddedToken, Tokenizer, models  # noqa: E402
from transformers import (  # noqa: E402
    Qwen2_5_VLProcessor,
    Qwen2TokenizerFast,
    Qwen2VLImageProcessor,
    Qwen2VLVideoProcessor,
)
from verl.experimental.agent_loop.agent_loop import AgentLoopMetrics, AgentLoopOutput  # noqa: E402
from verl.trainer.ppo.v1 import agent_loop_tq  # noqa: E402

found = []


async def put(keys, fields, tags, partition_id):
    found.extend(row["multi_modal_inputs"] for row in fields)


agent_loop_tq.tq = SimpleNamespace(async_kv_batch_put=put)  # stands for TransferQueue
SPECIAL = ["<|endoftext|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"]
backend = Tokenizer(models.BPE())
backend.add_special_tokens([AddedToken(token, special=True) for token in SPECIAL])
tokenizer = Qwen2TokenizerFast(tokenizer_object=backend, pad_token=SPECIAL[0])
cls = agent_loop_tq.AgentLoopWorkerTQ.__ray_metadata__.modified_class
worker = cls.__new__(cls)  # without Ray and an inference server
worker.tokenizer, worker.teacher_key, worker.distillation_enabled = tokenizer, None, False
worker.processor = Qwen2_5_VLProcessor(Qwen2VLImageProcessor(), tokenizer, Qwen2VLVideoProcessor())
worker.reward_loop_worker_handles = None
image = Image.new("RGB", (56, 56))
prompt = worker.processor(text=["<|vision_start|><|image_pad|><|vision_end|>"], images=[image])["input_ids"][0]
for session in range(2):
    answer = {"prompt_ids": prompt, "response_ids": [0], "response_mask": [1], "metrics": AgentLoopMetrics()}
    output = AgentLoopOutput(multi_modal_data={"images": [image]}, mm_processor_kwargs={}, **answer)
    row = {"uid": "a", "session_id": session, "global_steps": 1}
    asyncio.run(worker._agent_loop_postprocess(output, False, **row))
pixels = [row.get("pixel_values") for row in found]
repeated = all(isinstance(one, torch.Tensor) and one.dtype == torch.float32 for one in pixels)
sizes = [one.nbytes if isinstance(one, torch.Tensor) else 0 for one in pixels]
print(f"two answers about one image of {3 * 56 * 56} bytes: pixels of {sizes} bytes")
sys.exit(repeated)
