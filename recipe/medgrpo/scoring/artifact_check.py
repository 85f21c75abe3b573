# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Whether an artifact's percentiles are of this judge and encoder, and whose weights a model folder holds."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import reward_score
from reward_score.errors import NormalizationError
from reward_score.judge import Judge, JudgeConfig, prompt, read_judge
from reward_score.similarity import DEFAULT_ENCODER


class JudgeNotReady(RuntimeError):
    """The run cannot start with this judge; the message says what to set."""


def check_artifact(options: dict[str, Any]) -> None:
    """Raise if percentiles are another judge's or encoder's: its values would be put on a foreign scale.

    Args:
        options: ``medgrpo.reward``. A judge counts as another also with another prompt or temperature.
    """
    if options["normalization"] == "none":
        return
    file, artifact = options["artifact"], reward_score.Artifact.load(options["artifact"])
    components = {key.rsplit("|", 1)[1] for key in artifact.entries}
    encoder, measured = options.get("similarity") or DEFAULT_ENCODER, artifact.provenance.similarity
    if options["caption_mix"] > 0 and measured != encoder and "similarity" in components:
        raise NormalizationError(
            f"{file} has percentiles of the encoder {measured}, the run's is {encoder}: calibrate with the run's "
            f"overrides (`medgrpo calibrate ... +medgrpo.reward.similarity={encoder}`), or give the run and "
            f"`medgrpo evaluate` +medgrpo.reward.similarity={measured}"
        )
    if options["caption_mix"] == 1 or options.get("judge_norm") == "linear" or "judge" not in components:
        return
    own = judge_provenance(read_judge(options.get("judge", "lexical")))
    measured = {name: getattr(artifact.provenance, name) for name in own}
    if measured["judge"] != own["judge"]:
        raise JudgeNotReady(
            f"{file} has percentiles of the judge {measured['judge']}, the run's is {own['judge']}: calibrate with the "
            "run's overrides (`medgrpo calibrate ... judge=...`), or give the run and `medgrpo evaluate` judge="
            + ("lexical" if measured["judge"] == "lexical" else "openai")
        )
    if unknown := [name for name, value in measured.items() if value is None]:
        # No error: a run that began with such an artifact could not go on.
        print(f"WARNING: {file} is of an older version and does not say its {', '.join(unknown)}", flush=True)
    changed = [name for name in own if measured[name] not in (None, own[name])]
    if changed:
        raise JudgeNotReady(
            f"{file} has percentiles of the judge {own['judge']} asked otherwise: "
            + ", ".join(f"{name} {measured[name]}, the run's {own[name]}" for name in changed)
            + ". Calibrate again with the run's overrides (`medgrpo calibrate ... judge=...`), or go back to the "
            "calibration's settings (rubric, system_role, temperature of medgrpo.reward.judge; the prompt's wording)"
        )


def weights_fingerprint(folder: Path) -> str | None:
    """SHA-256 of a model folder's weights, whatever the folder is called; None if it has no safetensors.

    Reads all of them, about ten seconds for 7 B parameters from a fast disk.
    """
    whole = hashlib.sha256()
    files = sorted(folder.glob("*.safetensors"))
    for path in files:
        with path.open("rb") as file:
            whole.update(path.name.encode() + hashlib.file_digest(file, "sha256").digest())
    return whole.hexdigest() if files else None


def judge_provenance(judge: Judge | JudgeConfig) -> dict[str, Any]:
    """What the scale of grades depends on, as fields of :class:`reward_score.Provenance`."""
    if not isinstance(judge, JudgeConfig):
        return {"judge": judge.name}
    version = prompt.version(judge.rubric, judge.system_role)
    return {"judge": judge.name, "judge_prompt": version, "judge_temperature": judge.temperature}
