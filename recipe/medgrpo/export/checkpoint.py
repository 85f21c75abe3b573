# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Finds a checkpoint of a run and makes a plain Hugging Face folder of it, adapters merged."""

from __future__ import annotations

import math
import re
import shutil
import statistics
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from recipe.medgrpo.common.run_folder import RunDir, read_jsonl

#: verl's validation reward of one data source, over all samples of a row.
VALIDATION = re.compile(r"val-core/.+/reward/mean@\d+")


class ExportError(ValueError):
    """A run cannot be exported; the message says what is missing and how to get it."""


class Checkpoint(NamedTuple):
    """A step and its folder, which holds verl's shards and, mostly, ``huggingface/``."""

    step: int
    folder: Path


def find(run: RunDir, stage: str, which: str) -> Checkpoint:
    """The checkpoint ``which`` (``last``, ``best`` or a step) of ``stage`` (``rl`` or ``sft``)."""
    root = run.rl if stage == "rl" else run.sft
    found = {}
    for folder in root.glob("global_step_*"):
        actor = folder / "actor" if stage == "rl" else folder
        # verl removes the weights of old checkpoints and leaves their folders.
        if _has_weights(actor / "huggingface") or any(actor.glob("model_world_size_*.pt")):
            found[int(folder.name.rsplit("_", 1)[1])] = actor
    if not found:
        raise ExportError(
            f"{root} has no checkpoint (global_step_*): is {run.root} a run, and has its {stage} saved one?"
        )
    steps = ", ".join(map(str, sorted(found)))
    if which == "best":
        scores = {step: score for step, score in validation_rewards(run).items() if step in found}
        if stage != "rl" or not scores:
            raise ExportError(
                f"no checkpoint on disk ({steps}) was validated, so none is the best: train with trainer.test_freq, or "
                "take --checkpoint last"
            )
        which = max(scores, key=scores.__getitem__)
    step = max(found) if which == "last" else int(which)
    if step not in found:
        raise ExportError(f"{root} has no checkpoint of step {step}; there are {steps}")
    return Checkpoint(step, found[step])


def validation_rewards(run: RunDir) -> dict[int, float]:
    """Step to the mean over data sources of the validation reward that verl logged (``trainer.test_freq``)."""
    rewards = {}
    for file in run.metrics_files():
        for line in read_jsonl(file, "verl's file logger", cut_tail_allowed=True):
            values = [value for name, value in line["data"].items() if VALIDATION.fullmatch(name) and value is not None]
            if values and not any(map(math.isnan, values)):
                rewards[line["step"]] = statistics.fmean(values)
    return rewards


def write_model(checkpoint: Checkpoint, out: Path) -> None:
    """Weights, configuration, tokenizer and processor in the folder ``out``; verl merges shards, peft LoRA adapters."""
    saved = checkpoint.folder / "huggingface"
    if _has_weights(saved):
        shutil.copytree(saved, out)
        return
    command = [sys.executable, "-m", "verl.model_merger", "merge", "--backend", "fsdp"]
    command += ["--local_dir", str(checkpoint.folder), "--target_dir", str(out)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode or not _has_weights(out):
        raise ExportError(f"verl.model_merger could not merge {checkpoint.folder}: {done.stderr.strip()[-2000:]}")
    if (out / "lora_adapter").is_dir():
        merge_adapters(out)


def merge_adapters(folder: Path) -> None:
    """Add the LoRA adapters in ``folder/lora_adapter`` to the weights in ``folder``, and remove them."""
    from peft import PeftModel
    from transformers import AutoModelForImageTextToText

    adapter = folder / "lora_adapter"
    model = AutoModelForImageTextToText.from_pretrained(folder, dtype="auto")
    merged = PeftModel.from_pretrained(model, adapter).merge_and_unload(safe_merge=True)
    for file in folder.glob("*.safetensors*"):
        file.unlink()
    merged.save_pretrained(folder)
    shutil.rmtree(adapter)


def _has_weights(folder: Path) -> bool:
    return any(folder.glob("*.safetensors"))
