# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""The picture of `medgrpo data check`: how many rows and how many tokens, by source and task."""

from __future__ import annotations

from pathlib import Path

from recipe.medgrpo.data_check import Checked
from recipe.medgrpo.report_plots import AFTER, BEFORE, _canvas


def plot_histograms(checked: Checked, path: Path) -> Path:
    """One line for each (source, task): its number of rows at the left, the tokens of its media at the right."""
    pairs = sorted(checked.counts)
    with _canvas(9, 1.2 + 0.28 * len(pairs), path) as figure:
        rows, tokens = figure.subplots(1, 2, sharey=True)
        labels = [f"{source} / {task}" for source, task in pairs]
        counts = [checked.counts[pair] for pair in pairs]
        bars = rows.barh(labels, counts, color=BEFORE)
        rows.bar_label(bars, padding=2, fontsize=7)
        rows.set(title="Rows", xscale="log" if max(counts) > 50 * min(counts) else "linear")
        rows.margins(x=0.15)
        rows.invert_yaxis()
        known = [position for position, pair in enumerate(pairs) if checked.tokens[pair]]
        if known:
            values = [checked.tokens[pairs[position]] for position in known]
            style = {"orientation": "horizontal", "widths": 0.6, "medianprops": {"color": AFTER}}
            tokens.boxplot(values, positions=known, showfliers=False, whis=(0, 100), **style)
        tokens.set(title="Tokens: least, quartiles, most")
        tokens.set_yticks(range(len(pairs)), labels)
    return path
