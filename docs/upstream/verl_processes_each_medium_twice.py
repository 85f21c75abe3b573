# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""verl: for every answer the agent loop runs the image processor once for the reward and once for training.

Neither reuses what the prompt's own processing, before the rollout, has computed: a group of n answers runs it 2 n
times more on one and the same image. The V1 trainer's worker makes the same two calls.
"""

import asyncio
import os
import sys
from types import SimpleNamespace

# verl and vLLM as released: no installed plugin, external module or platform may change them; no GPU is used.
STOCK = ("VERL_USE_EXTERNAL_MODULES", "VERL_PLATFORM", "VLLM_PLUGINS", "CUDA_VISIBLE_DEVICES")
os.environ.update({"VERL_USE_EXTERNAL_PLUGINS": "none", **dict.fromkeys(STOCK, "")})

from PIL import Image  # noqa: E402
from tokenizers import AddedToken, Tokenizer, models  # noqa: E402
from transformers import (  # noqa: E402
    Qwen2_5_VLProcessor,
    Qwen2TokenizerFast,
    Qwen2VLImageProcessor,
    Qwen2VLVideoProcessor,
)
from verl.experimental.agent_loop.agent_loop import AgentLoopMetrics, AgentLoopOutput, AgentLoopWorker  # noqa: E402

calls = []


class Counted(Qwen2VLImageProcessor):
    def preprocess(self, *args, **kwargs):
        calls.append(1)
        return super().preprocess(*args, **kwargs)


async def score(data):
    return {"reward_score": 1.0, "reward_extra_info": {}}


SPECIAL = ["<|endoftext|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"]
backend = Tokenizer(models.BPE())
backend.add_special_tokens([AddedToken(token, special=True) for token in SPECIAL])
tokenizer = Qwen2TokenizerFast(tokenizer_object=backend, pad_token=SPECIAL[0])
worker = AgentLoopWorker.__new__(AgentLoopWorker)  # without Ray and an inference server
worker.tokenizer, worker.teacher_key, worker.distillation_enabled = tokenizer, None, False
worker.processor = Qwen2_5_VLProcessor(Counted(), tokenizer, Qwen2VLVideoProcessor())
worker.rollout_config = SimpleNamespace(prompt_length=32, response_length=8)
worker.reward_loop_worker_handles = [SimpleNamespace(compute_score=SimpleNamespace(remote=score))]
image = Image.new("RGB", (56, 56))
prompt = worker.processor(text=["<|vision_start|><|image_pad|><|vision_end|>"], images=[image])["input_ids"][0]
answer = {"prompt_ids": prompt, "response_ids": [0], "response_mask": [1], "metrics": AgentLoopMetrics()}
output = AgentLoopOutput(multi_modal_data={"images": [image]}, mm_processor_kwargs={}, **answer)
calls.clear()
asyncio.run(worker._agent_loop_postprocess(output, False, raw_prompt=[]))
print(f"one answer about one image: the image processor ran {len(calls)} times after the rollout")
sys.exit(len(calls) > 1)
