# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""verl: the reference model of FSDP2 is always offloaded to pinned memory, which torch refuses without a GPU."""

import inspect
import os
import sys
import tempfile

# verl and vLLM as released: no installed plugin, external module or platform may change them; no GPU is used.
STOCK = ("VERL_USE_EXTERNAL_MODULES", "VERL_PLATFORM", "VLLM_PLUGINS", "CUDA_VISIBLE_DEVICES")
os.environ.update({"VERL_USE_EXTERNAL_PLUGINS": "none", **dict.fromkeys(STOCK, "")})

import torch  # noqa: E402
from torch.distributed.device_mesh import init_device_mesh  # noqa: E402
from torch.distributed.fsdp import CPUOffloadPolicy, fully_shard  # noqa: E402
from verl.workers.engine.fsdp.transformer_impl import FSDPEngine  # noqa: E402

LINE = "CPUOffloadPolicy(pin_memory=True)"
source = inspect.getsource(FSDPEngine._build_fsdp_module)
if f"offload_policy = {LINE}" not in source:
    print("verl no longer asks for pinned memory without a condition")
    sys.exit(0)
with tempfile.TemporaryDirectory() as folder:
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/store", rank=0, world_size=1)
    model = torch.nn.Linear(2, 2)
    try:
        fully_shard(model, mesh=init_device_mesh("cpu", (1,)), offload_policy=CPUOffloadPolicy(pin_memory=True))
        model(torch.ones(1, 2))
        fault = None
    except RuntimeError as error:
        fault = error
    torch.distributed.destroy_process_group()
print(f"verl's line `{LINE}` on a machine without a GPU: {fault or 'no error'}")
sys.exit(fault is not None)
