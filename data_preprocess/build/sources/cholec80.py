# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""The phases of Cholec80's videos, which two sources need: CholecT45 has none, and a critical view ends at clipping."""

from pathlib import Path

from data_preprocess.build.published import read_table, unexpected, whole
from data_preprocess.common.find_files import find

RATE = 25
#: Cholec80's names, and what CholecT50 calls them.
PHASES = {
    "Preparation": "preparation",
    "CalotTriangleDissection": "carlot-triangle-dissection",
    "ClippingCutting": "clipping-and-cutting",
    "GallbladderDissection": "gallbladder-dissection",
    "GallbladderPackaging": "gallbladder-packaging",
    "CleaningCoagulation": "cleaning-and-coagulation",
    "GallbladderRetraction": "gallbladder-extraction",
}


def phase_files(root: Path) -> dict[int, Path]:
    """``video01-phase.txt`` and so on, by video."""
    return {
        whole(path.name[5:-10], path, "the number in its name"): path for path in find(root, "video[0-9]*-phase.txt")
    }


def phases(path: Path) -> dict[int, str]:
    """Phase at each whole second: frames are counted from 0 at 25 a second."""
    found = {}
    for row in read_table(path, ("Frame", "Phase"), delimiter="\t"):
        if row["Phase"] not in PHASES:
            raise unexpected(path, f"Phase of frame {row['Frame']}", row["Phase"], f"one of {', '.join(PHASES)}")
        second, rest = divmod(whole(row["Frame"], path, "Frame"), RATE)
        if not rest:
            found[second] = PHASES[row["Phase"]]
    return found
