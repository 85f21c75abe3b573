# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""The house style of the pictures of calibration and report.

A source has the same colour and marker in every panel of every picture of a run. The colours are Paul Tol's "muted"
set (safe for the common forms of colour blindness); the marker says the same once more for print and for everyone else.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import contextmanager
from pathlib import Path

from matplotlib import rc_context
from matplotlib.figure import Figure

MUTED = ("#332288", "#CC6677", "#117733", "#DDAA33", "#88CCEE", "#882255", "#44AA99", "#999933", "#AA4499", "#777777")
MARKERS = "osD^vPX*<>"
BEFORE, AFTER = "#8A94A6", "#0B6E99"
INK, FAINT, GOOD, BAD = "#1F2933", "#D5DAE1", "#117733", "#AA3344"
TASK_NAMES = {
    "tag": "Temporal action grounding",
    "stg": "Spatiotemporal grounding",
    "vs": "Video summary",
    "rc": "Region caption",
    "dvc": "Dense captioning",
    "nap": "Next action",
    "sa": "Skill assessment",
    "cvs": "Critical view of safety",
}


def task_name(task: str) -> str:
    return TASK_NAMES.get(task, task)


def source_styles(sources: Iterable[str]) -> dict[str, dict[str, str]]:
    """One colour and one marker per source, by its place in the sorted list, so that all pictures of a run agree."""
    return {
        source: {"color": MUTED[i % len(MUTED)], "marker": MARKERS[i % len(MARKERS)]}
        for i, source in enumerate(sorted(set(sources)))
    }


@contextmanager
def canvas(width: float, height: float, path: Path):
    """A figure of ``width`` x ``height`` inches in the house style, written to ``path`` at 130 dots per inch."""
    style = {
        "font.family": "DejaVu Sans",
        "font.size": 9,
        "text.parse_math": False,  # names come from the data: a dollar sign in one begins no formula
        "axes.titlesize": 10,
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.edgecolor": "#9AA5B1",
        "axes.labelcolor": INK,
        "axes.grid": True,
        "axes.axisbelow": True,
        "grid.color": FAINT,
        "grid.linewidth": 0.6,
        "text.color": INK,
        "xtick.color": "#52606D",
        "ytick.color": "#52606D",
        "legend.frameon": False,
    }
    with rc_context(style):
        figure = Figure(figsize=(width, height), layout="constrained")
        yield figure
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=130, metadata={"Software": None})
