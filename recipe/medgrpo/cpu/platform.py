# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""The ``cpu`` platform for verl 0.9.1, selected with ``VERL_PLATFORM=cpu``.

verl asks a device module for what ``torch.cuda`` has; where ``torch.cpu`` lacks it, host memory answers.
"""

import resource
from contextlib import nullcontext
from types import ModuleType

import psutil
import torch
from verl.plugin.platform import PlatformBase, PlatformRegistry


def _nothing(*args, **kwargs) -> None:
    """What a GPU would have to do here."""


class CpuDeviceModule(ModuleType):
    """``torch.cpu`` with the ``torch.cuda`` calls that verl makes on every device module. Sizes are bytes."""

    set_device = empty_cache = ipc_collect = reset_peak_memory_stats = _nothing
    manual_seed = manual_seed_all = staticmethod(torch.manual_seed)

    def __init__(self):
        super().__init__("torch.cpu")

    def __getattr__(self, name):
        return getattr(torch.cpu, name)

    def current_device(self) -> torch.device:
        return torch.device("cpu")

    def get_device_name(self, device=None) -> str:
        return "cpu"

    def memory_allocated(self, device=None) -> int:
        """Peak resident size of this process: the host has no per-tensor accounting."""
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

    memory_reserved = max_memory_allocated = max_memory_reserved = memory_allocated

    def mem_get_info(self, device=None) -> tuple[int, int]:
        memory = psutil.virtual_memory()
        return memory.available, memory.total

    def get_rng_state(self, device=None) -> torch.Tensor:
        return torch.get_rng_state()

    def set_rng_state(self, state: torch.Tensor, device=None) -> None:
        torch.set_rng_state(state)


@PlatformRegistry.register(platform="cpu")
class PlatformCPU(PlatformBase):
    """Host processors as the training device; Ray counts them as logical GPUs, so verl's placement works unchanged."""

    device_name = vendor_name = "cpu"
    device_module = CpuDeviceModule()
    set_device = synchronize = set_allocator_settings = empty_cache = _nothing
    profiler_start = profiler_stop = cudart = _nothing
    manual_seed = manual_seed_all = staticmethod(torch.manual_seed)

    def is_available(self) -> bool:
        return True

    def is_platform_available(self, use_smi_check=False) -> bool:
        # Never chosen by auto-detection: a GPU machine whose driver is broken must not silently train on its CPU.
        return False

    def current_device(self) -> torch.device:
        return torch.device("cpu")

    def device_count(self) -> int:
        return 1

    def get_device_capability(self, device_index: int = 0) -> tuple[None, None]:
        return None, None

    def communication_backend_name(self) -> str:
        return "gloo"

    def visible_devices_envvar(self) -> str:
        return "CUDA_VISIBLE_DEVICES"

    def nvtx_range(self, msg: str):
        return nullcontext()

    def ray_resource_name(self) -> str:
        return "GPU"

    def ray_noset_envvars(self) -> list[str]:
        return ["RAY_EXPERIMENTAL_NOSET_CUDA_VISIBLE_DEVICES"]

    def is_ipc_supported(self) -> bool:
        return False
