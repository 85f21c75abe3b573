# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""verl: without flash-linear-attention, the sequences of a packed row leak into each other in Qwen3.5's delta nets.

verl hands the sequences' ends to any kernel that takes them; transformers' fallback takes any argument, and ignores it.
"""

import os
import sys

# verl and vLLM as released: no installed plugin, external module or platform may change them; no GPU is used.
STOCK = ("VERL_USE_EXTERNAL_MODULES", "VERL_PLATFORM", "VLLM_PLUGINS", "CUDA_VISIBLE_DEVICES")
os.environ.update({"VERL_USE_EXTERNAL_PLUGINS": "none", **dict.fromkeys(STOCK, "")})

import torch  # noqa: E402
from transformers.models.qwen3_5.modeling_qwen3_5 import Qwen3_5GatedDeltaNet, Qwen3_5TextConfig  # noqa: E402
from verl.models.transformers.qwen3_5 import qwen3_5_gated_delta_net_forward  # noqa: E402

heads = {f"linear_{name}": 2 for name in ("num_key_heads", "num_value_heads")}
widths = {f"linear_{name}_head_dim": 16 for name in ("key", "value")}
torch.manual_seed(0)
layer = Qwen3_5GatedDeltaNet(Qwen3_5TextConfig(hidden_size=32, **heads, **widths), layer_idx=0)
# It begins with a memory of hardly more than one token.
torch.nn.init.constant_(layer.dt_bias, -4.0)
first, second = torch.randn(1, 20, 32), torch.randn(1, 10, 32)
with torch.no_grad():
    alone = qwen3_5_gated_delta_net_forward(layer, second)
    ends = torch.tensor([0, 20, 30])
    packed = qwen3_5_gated_delta_net_forward(layer, torch.cat([first, second], dim=1), cu_seqlens=ends)[:, 20:]
difference = (packed - alone).abs().max() / alone.abs().max()
print(f"the second sequence of a row differs from itself alone by {difference:.2f} of its largest value")
sys.exit(difference.item() > 1e-4)
