# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""verl: on a platform whose device is the CPU, the process group's backend string names `cpu` twice.

The platform is set through verl's own interface for new hardware; torch refuses `cpu:gloo,cpu:gloo`.
"""

import os
import sys
import tempfile

# verl and vLLM as released: no installed plugin, external module or platform may change them; no GPU is used.
STOCK = ("VERL_USE_EXTERNAL_MODULES", "VERL_PLATFORM", "VLLM_PLUGINS", "CUDA_VISIBLE_DEVICES")
os.environ.update({"VERL_USE_EXTERNAL_PLUGINS": "none", **dict.fromkeys(STOCK, "")})

import torch  # noqa: E402
from verl.plugin.platform import set_platform  # noqa: E402
from verl.plugin.platform.platform_cuda import PlatformCUDA  # noqa: E402
from verl.utils.distributed import initialize_global_process_group_ray  # noqa: E402


class CPU(PlatformCUDA):
    device_name = "cpu"

    def communication_backend_name(self):
        return "gloo"


set_platform(CPU())
with tempfile.TemporaryDirectory() as folder:
    os.environ |= {"RANK": "0", "WORLD_SIZE": "1", "DIST_INIT_METHOD": f"file://{folder}/store"}
    try:
        initialize_global_process_group_ray()
    except ValueError as error:
        print(f"{type(error).__name__}: {error}")
        sys.exit(1)
print(f"process group: {torch.distributed.get_backend()}")
torch.distributed.destroy_process_group()
