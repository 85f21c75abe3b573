# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Whether an artifact's percentiles are of this judge and encoder, and whose weights a model folder holds."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import reward_score
from reward_score.config import ScoreConfig
from reward_score.errors import NormalizationError
from reward_score.judge import Judge, JudgeConfig, prompt, read_judge


class JudgeNotReady(RuntimeError):
    """The run cannot start with this judge; the message says what to set."""


def check_artifact(config: ScoreConfig) -> None:
    """Raise if percentiles are another judge's, encoder's or TAG score's: values would be put on a foreign scale."""
    if config.normalization == "none":
        return
    file, artifact = config.artifact, reward_score.Artifact.load(config.artifact)
    components = {key.rsplit("|", 1)[1] for key in artifact.entries}
    encoder, measured = config.similarity, artifact.provenance.similarity
    if config.caption_mix > 0 and measured != encoder and "similarity" in components:
        raise NormalizationError(
            f"{file} has percentiles of the encoder {measured}, the run's is {encoder}: calibrate with the run's "
            f"overrides (`medgrpo calibrate ... +medgrpo.reward.similarity={encoder}`), or give the run and "
            f"`medgrpo evaluate` +medgrpo.reward.similarity={measured}"
        )
    if artifact.provenance.tag_raw != config.tag_raw and any(key.split("|")[1] == "tag" for key in artifact.entries):
        raise NormalizationError(
            f"{file} has percentiles of TAG scored by tag_raw={artifact.provenance.tag_raw}, the run's is "
            f"{config.tag_raw}: calibrate with the run's overrides (`medgrpo calibrate ... "
            f"medgrpo.reward.tag_raw={config.tag_raw}`)"
        )
    if config.caption_mix == 1 or config.judge_norm == "linear" or "judge" not in components:
        return
    own = judge_provenance(read_judge(config.judge))
    measured = {name: getattr(artifact.provenance, name) for name in own}
    if measured["judge"] != own["judge"]:
        raise JudgeNotReady(
            f"{file} has percentiles of the judge {measured['judge']}, the run's is {own['judge']}: calibrate with the "
            "run's overrides (`medgrpo calibrate ... judge=...`), or give the run and `medgrpo evaluate` judge="
            + ("lexical" if measured["judge"] == "lexical" else "openai")
        )
    if changed := [name for name in own if measured[name] != own[name]]:
        raise JudgeNotReady(
            f"{file} has percentiles of the judge {own['judge']} asked otherwise: "
            + ", ".join(f"{name} {measured[name]}, the run's {own[name]}" for name in changed)
            + ". Calibrate again with the run's overrides (`medgrpo calibrate ... judge=...`), or go back to the "
            "calibration's settings (rubric, system_role, temperature of medgrpo.reward.judge; the prompt's wording)"
        )


def weights_fingerprint(folder: Path) -> str | None:
    """SHA-256 of a model folder's weights, whatever it is called; None without safetensors."""
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
