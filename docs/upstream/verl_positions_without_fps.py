# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""verl: the positions of a Qwen2.5-VL clip do not depend on its frame rate, because `get_rope_index_kwargs` is unset.

vLLM's positions depend on it (from 0.31 on), so the trained policy is not the sampled one.
"""

import os
import sys
import tempfile
from types import SimpleNamespace

# verl and vLLM as released: no installed plugin, external module or platform may change them; no GPU is used.
STOCK = ("VERL_USE_EXTERNAL_MODULES", "VERL_PLATFORM", "VLLM_PLUGINS", "CUDA_VISIBLE_DEVICES")
os.environ.update({"VERL_USE_EXTERNAL_PLUGINS": "none", **dict.fromkeys(STOCK, "")})

import torch  # noqa: E402
from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers  # noqa: E402
from transformers import (  # noqa: E402
    Qwen2_5_VLConfig,
    Qwen2_5_VLProcessor,
    Qwen2TokenizerFast,
    Qwen2VLImageProcessor,
    Qwen2VLVideoProcessor,
)
from verl.experimental.agent_loop.agent_loop import AgentLoopWorker  # noqa: E402
from verl.utils import hf_processor  # noqa: E402

SPECIAL = ["<|endoftext|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"]
backend = Tokenizer(models.BPE({c: i for i, c in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}, []))
backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
backend.add_special_tokens([AddedToken(token, special=True) for token in SPECIAL])
tokenizer = Qwen2TokenizerFast(tokenizer_object=backend, pad_token=SPECIAL[0])
image, video = tokenizer.convert_tokens_to_ids(SPECIAL[3:])
with tempfile.TemporaryDirectory() as folder:
    Qwen2_5_VLConfig(image_token_id=image, video_token_id=video).save_pretrained(folder)
    parts = {"image_processor": Qwen2VLImageProcessor(), "video_processor": Qwen2VLVideoProcessor()}
    Qwen2_5_VLProcessor(tokenizer=tokenizer, **parts).save_pretrained(folder)
    processor = hf_processor(folder)


def positions(fps):
    """As verl's agent loop computes them for 8 frames at ``fps``."""
    clip = torch.zeros((8, 3, 56, 56), dtype=torch.uint8)
    metadata = {"fps": fps, "frames_indices": list(range(8)), "total_num_frames": 8}
    options = {"video_metadata": [metadata], "do_sample_frames": False, "do_resize": False, "return_tensors": "pt"}
    inputs = processor(text=["<|vision_start|><|video_pad|><|vision_end|>?"], videos=[clip], **options)
    ids, mask = inputs.pop("input_ids"), inputs.pop("attention_mask")
    print(f"{fps} fps: second_per_grid_ts is {float(inputs['second_per_grid_ts'][0])}")
    return AgentLoopWorker._compute_position_ids(SimpleNamespace(processor=processor), ids, mask, dict(inputs))


same = torch.equal(positions(0.25), positions(2.0))
print(f"verl's positions at both rates are {'the same' if same else 'different'}")
sys.exit(same)
