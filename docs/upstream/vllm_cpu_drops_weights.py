# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""vLLM: on the CPU a linear layer's weight is dropped once it is packed, so weights cannot be loaded a second time.

Reinforcement learning loads new weights after every step; they meet an empty parameter without `weight_loader`.
"""

import os
import sys

# verl and vLLM as released: no installed plugin, external module or platform may change them; no GPU is used.
STOCK = ("VERL_USE_EXTERNAL_MODULES", "VERL_PLATFORM", "VLLM_PLUGINS", "CUDA_VISIBLE_DEVICES")
os.environ.update({"VERL_USE_EXTERNAL_PLUGINS": "none", **dict.fromkeys(STOCK, "")})

import torch  # noqa: E402
from vllm import __version__  # noqa: E402
from vllm.model_executor.layers.utils import dispatch_cpu_unquantized_gemm  # noqa: E402

layer = torch.nn.Linear(64, 64)
layer.weight.weight_loader = lambda parameter, loaded: parameter.data.copy_(loaded)
# What the unquantized linear method does after weights are loaded.
dispatch_cpu_unquantized_gemm(layer, remove_weight=True)
kept = hasattr(layer.weight, "weight_loader") and layer.weight.shape == (64, 64)
print(f"vLLM {__version__}: after loading, the weight has the shape {tuple(layer.weight.shape)}")
sys.exit(not kept)
