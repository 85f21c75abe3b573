# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Artifacts that make raw rewards of sources unlike, whatever the SFT model scores."""

from __future__ import annotations

from collections.abc import Mapping

from reward_score import Artifact

#: Slope of the configuration's default, with which ``scale`` multiplies.
K = 3.0


def unlike(artifact: Artifact, scale: Mapping[str, float], shift: Mapping[str, float]) -> Artifact:
    """An artifact with which ``scale`` multiplies a source's raw score by its scale, and ``shift`` adds its shift.

    Args:
        artifact: measured; provenance and counts are kept, so that training accepts it for the same model.
        scale: by source; others: 1.
        shift: by source; others: 0.
    """
    entries = {}
    for key, entry in artifact.entries.items():
        source = key.split("|")[0]
        middle, spread = 0.5 - shift.get(source, 0.0), K / 4 / scale.get(source, 1.0)
        quartiles = {"p25": middle - spread / 2, "p50": middle, "p75": middle + spread / 2}
        entries[key] = entry.model_copy(update=quartiles)
    return artifact.model_copy(update={"entries": entries})
