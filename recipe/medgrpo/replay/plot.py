# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""The picture of a replay: each pair's share of the gradient under each method, one panel for each estimator."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from recipe.medgrpo.common.plot_style import INK, MARKERS, MUTED, canvas
from recipe.medgrpo.replay.advantages import ESTIMATORS
from recipe.medgrpo.replay.figures import Figures


def plot_shares(figures: Sequence[Figures], path: Path) -> Path:
    """Write the PNG ``path``."""
    methods = list(dict.fromkeys(one.method for one in figures))
    pairs = list(figures[0].share)
    with canvas(11.0, 1.6 + 0.3 * len(pairs), path) as figure:
        panels = figure.subplots(1, len(ESTIMATORS), sharey=True)
        for axes, estimator in zip(panels, ESTIMATORS, strict=True):
            for k, method in enumerate(methods):
                own = next(one for one in figures if (one.method, one.estimator) == (method, estimator))
                offset = 0.5 * (k / max(1, len(methods) - 1) - 0.5)
                axes.plot(
                    [100 * own.share[pair] for pair in pairs],
                    [place + offset for place in range(len(pairs))],
                    linestyle="none",
                    marker=MARKERS[k % len(MARKERS)],
                    markersize=5,
                    color=INK if method == "none" else MUTED[k % len(MUTED)],
                    label=method,
                )
            axes.set_title(estimator)
            axes.set_xlim(left=0)
        panels[0].set_yticks(range(len(pairs)), pairs)
        panels[0].invert_yaxis()
        figure.supxlabel("share of the gradient, in %", fontsize=9)
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=len(methods))
    return path
