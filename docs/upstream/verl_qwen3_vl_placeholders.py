# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""verl: one Qwen3-VL clip reaches vLLM with one placeholder per time step instead of one.

vLLM expands the first into the whole clip, times included, and keeps the other steps, so it reads a longer prompt than
the one that is trained on.
"""

import os
import sys

# verl and vLLM as released: no installed plugin, external module or platform may change them; no GPU is used.
STOCK = ("VERL_USE_EXTERNAL_MODULES", "VERL_PLATFORM", "VLLM_PLUGINS", "CUDA_VISIBLE_DEVICES")
os.environ.update({"VERL_USE_EXTERNAL_PLUGINS": "none", **dict.fromkeys(STOCK, "")})

import torch  # noqa: E402
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers  # noqa: E402
from transformers import (  # noqa: E402
    Qwen2TokenizerFast,
    Qwen2VLImageProcessor,
    Qwen3VLProcessor,
    Qwen3VLVideoProcessor,
)
from verl.workers.rollout.utils import qwen2_5_vl_dedup_image_tokens  # noqa: E402

SPECIAL = ["<|endoftext|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"]
backend = Tokenizer(models.BPE({c: i for i, c in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}, []))
backend.pre_tokenizer, backend.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
backend.add_special_tokens([AddedToken(token, special=True) for token in SPECIAL])
tokenizer = Qwen2TokenizerFast(tokenizer_object=backend, pad_token=SPECIAL[0])
processor = Qwen3VLProcessor(Qwen2VLImageProcessor(patch_size=16), tokenizer, Qwen3VLVideoProcessor())
clip = torch.zeros((4, 3, 64, 64), dtype=torch.uint8)
metadata = {"fps": 1.0, "frames_indices": [0, 1, 2, 3], "total_num_frames": 4}
prompt = processor(
    text=["<|vision_start|><|video_pad|><|vision_end|>Where?"],
    videos=[clip],
    video_metadata=[metadata],
    do_sample_frames=False,
    do_resize=False,
)["input_ids"][0]
sent = qwen2_5_vl_dedup_image_tokens(prompt, processor)
count = sent.count(processor.video_token_id)
print(f"one clip is sent with {count} placeholders: {tokenizer.decode(sent)!r}")
sys.exit(count != 1)
