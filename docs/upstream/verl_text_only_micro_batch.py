# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""verl: a micro-batch of Qwen2-VL or Qwen2.5-VL without any image or video fails with transformers 5.

The branch that keeps the vision tower in the graph calls `.mean()` on its output, which is an object there; the other
branches unpack it.
"""

import os
import sys

# verl and vLLM as released: no installed plugin, external module or platform may change them; no GPU is used.
STOCK = ("VERL_USE_EXTERNAL_MODULES", "VERL_PLATFORM", "VLLM_PLUGINS", "CUDA_VISIBLE_DEVICES")
os.environ.update({"VERL_USE_EXTERNAL_PLUGINS": "none", **dict.fromkeys(STOCK, "")})

import torch  # noqa: E402
import verl.models.transformers.qwen2_vl as qwen2_vl  # noqa: E402
from transformers import Qwen2_5_VLConfig, Qwen2_5_VLModel, __version__  # noqa: E402

size = {"hidden_size": 64, "intermediate_size": 64}
model = Qwen2_5_VLModel(
    Qwen2_5_VLConfig(
        image_token_id=60,
        video_token_id=61,
        text_config={
            **size,
            "vocab_size": 64,
            "eos_token_id": 2,
            "bos_token_id": 1,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "num_key_value_heads": 1,
        },
        vision_config={**size, "depth": 1, "num_heads": 2, "out_hidden_size": 64, "fullatt_block_indexes": [0]},
    )
)
try:
    qwen2_vl._get_input_embeds(model, torch.tensor([[5, 6, 7]]))
except AttributeError as error:
    print(f"transformers {__version__}, text alone: {type(error).__name__}: {error}")
    sys.exit(1)
print(f"transformers {__version__}, text alone: no error")
