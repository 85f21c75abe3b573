# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Pictures of the data commands; where matplotlib is missing, a function returns why there is no picture."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from data_preprocess.build.balance import Balanced
from recipe.medgrpo.data_audit.check import Checked

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Upper ends of a histogram's bars, ends of the paper's bands among them; fps has a bar for each value.
ENDS = {
    "words of the answer": (1, 2, 3, 5, 10, 20, 50, 100, 200, 500, math.inf),
    "seconds of the clip": (19.99, 30, 60, 120, 180, 300, 400, 600, 900, 1800, math.inf),
}


def _picture(path: Path, width: float, height: float, draw: Callable[[Figure], None]) -> Path | str:
    try:
        from recipe.medgrpo.common.plot_style import canvas
    except ImportError as error:
        return f"no {path.name}: {error}. pip install matplotlib"
    with canvas(width, height, path) as figure:
        draw(figure)
    return path


def plot_checked(checked: Checked, path: Path) -> Path | str:
    """One line for each (source, task): its rows, and the tokens of its media."""
    pairs = sorted(checked.rows)

    def draw(figure: Figure) -> None:
        from recipe.medgrpo.common.plot_style import AFTER, BEFORE

        rows, tokens = figure.subplots(1, 2, sharey=True)
        labels, counts = list(map(" / ".join, pairs)), [checked.rows[pair] for pair in pairs]
        rows.bar_label(rows.barh(labels, counts, color=BEFORE), padding=2, fontsize=7)
        rows.set(title="Rows", xscale="log" if max(counts) > 50 * min(counts) else "linear")
        rows.margins(x=0.15)
        rows.invert_yaxis()
        known = {position: checked.tokens[pair] for position, pair in enumerate(pairs) if checked.tokens[pair]}
        if known:
            style = {"orientation": "horizontal", "widths": 0.6, "medianprops": {"color": AFTER}}
            tokens.boxplot(list(known.values()), positions=list(known), showfliers=False, whis=(0, 100), **style)
        tokens.set(title="Tokens: least, quartiles, most")
        tokens.set_yticks(range(len(pairs)), labels)

    return _picture(path, 9, 1.2 + 0.28 * len(pairs), draw)


def plot_balanced(balanced: Balanced, path: Path) -> Path | str:
    """Histograms of the chosen records' answers, clips and fps; below them the paper's bands, here and there."""

    def draw(figure: Figure) -> None:
        axes = figure.subplots(2, len(balanced.values))
        for (name, values), above, below in zip(balanced.values.items(), *axes, strict=True):
            _histogram(above, values, ENDS.get(name))
            above.set(title=name.capitalize(), ylabel="records")
            _bands(below, balanced, name)
        axes[1, 0].legend(fontsize=8)

    return _picture(path, 12, 6, draw)


def _histogram(axis: Axes, values: Counter, ends: tuple[float, ...] | None) -> None:
    from recipe.medgrpo.common.plot_style import AFTER

    bars = Counter()
    for value, count in values.items():
        bars[ends[bisect_left(ends, value)] if ends else value] += count
    shown = ends or sorted(bars)
    labels = [f"{end:g}" if end < math.inf else f"> {ends[-2]:g}" for end in shown]
    axis.bar(labels, [bars[end] for end in shown], color=AFTER, width=0.95)
    axis.set_xlabel("at most" if ends else "")
    axis.tick_params(axis="x", labelrotation=45)


def _bands(axis: Axes, balanced: Balanced, name: str) -> None:
    """The share of each band, and next to it the paper's; a "?" where that is not known."""
    from recipe.medgrpo.common.plot_style import AFTER, BEFORE

    bands, total = balanced.bands(name), max(1, balanced.chosen.total())
    places = range(len(bands))
    pairs = (
        (-0.2, AFTER, "here", [100 * count / total for _, count in bands]),
        (0.2, BEFORE, "paper", [100 * (band.paper or 0) for band, _ in bands]),
    )
    for shift, color, label, shares in pairs:
        axis.bar([place + shift for place in places], shares, 0.38, color=color, label=label)
    for place, (band, _) in enumerate(bands):
        if band.paper is None:
            axis.text(place + 0.2, 1, "?", ha="center", color=BEFORE)
    axis.set_xticks(places, [band.label for band, _ in bands], rotation=20 if len(bands) < 5 else 45)
    axis.set(ylabel="% of the records")
