# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""The picture of a calibration: how the SFT model's raw scores are distributed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from recipe.medgrpo.common.plot_style import INK, canvas, source_styles, task_name
from recipe.medgrpo.evaluation.answers import task_rank


def plot_calibration(raw: Mapping[tuple[str, str, str], np.ndarray], path: Path) -> Path:
    """Distribution of the SFT model's raw scores: one panel per task and component, one row per source.

    ``raw``: (source, task, component) to its values in [0, 1].
    """
    panels = sorted(
        {(task, component) for _, task, component in raw}, key=lambda panel: (task_rank(panel[0]), panel[1])
    )
    styles = source_styles(source for source, _, _ in raw)
    most = max(sum((t, c) == panel for _, t, c in raw) for panel in panels)
    columns = min(2, len(panels))
    rows = -(-len(panels) // columns)
    with canvas(5.4 * columns, rows * (1.0 + 0.36 * most), path) as figure:
        grid = figure.subplots(rows, columns, squeeze=False, sharex=True).ravel()
        for axes in grid[len(panels) :]:
            axes.set_visible(False)
        for axes, (task, component) in zip(grid, panels, strict=False):
            _calibration_panel(axes, {s: v for (s, t, c), v in raw.items() if (t, c) == (task, component)}, styles)
            axes.set_title(f"{task_name(task)} · {component}")
            axes.tick_params(labelbottom=True)
        figure.supxlabel("raw score of the SFT model (line: p25 to p75, tick: median, dots: answers)", fontsize=9)
    return path


def _calibration_panel(axes: Axes, values: Mapping[str, np.ndarray], styles: Mapping[str, dict[str, str]]) -> None:
    names = sorted(values, key=lambda source: float(np.median(values[source])))
    spread = np.random.default_rng(0)
    for y, name in enumerate(names):
        color = styles[name]["color"]
        shown = values[name] if len(values[name]) <= 300 else spread.choice(values[name], 300, replace=False)
        axes.plot(
            shown, y + spread.uniform(-0.28, 0.28, len(shown)), linestyle="none", marker=".", markersize=3.5,
            color=color, alpha=0.35, markeredgewidth=0,
        )  # fmt: skip
        low, middle, high = np.percentile(values[name], [25, 50, 75])
        axes.plot([low, high], [y, y], color=color, linewidth=5, alpha=0.85, solid_capstyle="butt")
        axes.plot([middle, middle], [y - 0.34, y + 0.34], color=INK, linewidth=2)
    axes.set_yticks(range(len(names)), [f"{name}  (n={len(values[name])})" for name in names])
    axes.set_xlim(-0.03, 1.03)
    axes.set_ylim(-0.6, len(names) - 0.4)
    axes.grid(axis="y", visible=False)
