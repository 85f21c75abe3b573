# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""The pictures of the report. Every function takes plain numbers and writes one PNG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from scipy.ndimage import gaussian_filter1d

from recipe.medgrpo.common.plot_style import AFTER, BAD, BEFORE, FAINT, GOOD, canvas, source_styles, task_name
from recipe.medgrpo.evaluation.answers import task_rank
from recipe.medgrpo.report.run_data import MAX_DIFFERENCE, MIN_CORRELATION, Agreement, Change, Comparison, Series

#: A curve of fewer steps is drawn as it is.
SMOOTHED = 20
#: Label to (steps, values), each of shape (steps,).
Lines = Mapping[str, tuple[np.ndarray, np.ndarray]]


def smooth(values: np.ndarray) -> np.ndarray:
    """Gaussian-weighted mean along steps (NaN counts for nothing): it has no lag, unlike a running mean."""
    known = ~np.isnan(values)
    width = max(1.0, len(values) / 20)
    total = gaussian_filter1d(np.where(known, values, 0.0), width, mode="constant")
    weight = gaussian_filter1d(known.astype(float), width, mode="constant")
    return np.divide(total, weight, out=np.full(len(values), np.nan), where=weight > 1e-9)


def _panel(axes: Axes, title: str, lines: Lines, styles: Mapping[str, Mapping[str, str]]) -> None:
    for label, (steps, values) in lines.items():
        if not np.isnan(values).all():
            faint = 0.4 if len(steps) <= 200 else 0.12
            axes.plot(steps, values, **styles[label], linestyle="none", markersize=2.6, alpha=faint)
            line = values if len(steps) < SMOOTHED or title == "Learning rate" else smooth(values)
            axes.plot(steps, line, color=styles[label]["color"], linewidth=1.8)
    axes.set_title(title)
    axes.set_xlabel("training step")


def _keys(styles: Mapping[str, Mapping[str, str]]) -> list[Line2D]:
    return [Line2D([], [], **style, markersize=4, linewidth=1.8, label=label) for label, style in styles.items()]


def plot_rewards(pairs: Mapping[tuple[str, str], Series], path: Path) -> Path:
    """Rewards by step, of `run_data.pair_series`: a row of two panels per task (raw, normalized), a line per source."""
    tasks = sorted({task for _, task in pairs}, key=task_rank)
    styles = source_styles(source for source, _ in pairs)
    with canvas(10.8, 0.5 + 2.5 * len(tasks), path) as figure:
        grid = figure.subplots(len(tasks), 2, squeeze=False, sharex=True)
        for row, task in zip(grid, tasks, strict=True):
            own = {source: values for (source, of_task), values in sorted(pairs.items()) if of_task == task}
            for axes, key, words in zip(row, ("raw", "reward"), ("raw score", "reward (normalized)"), strict=True):
                lines = {source: (values["step"], values[key]) for source, values in own.items()}
                _panel(axes, f"{task_name(task)} · {words}", lines, styles)
                axes.tick_params(labelbottom=True)
        figure.legend(handles=_keys(styles), loc="outside upper center", ncols=len(styles))
    return path


def plot_panels(panels: Mapping[str, Lines], path: Path) -> Path:
    """Small multiples of training curves by title, three in a row; one with "(share)" in it gets the axis 0 to 1."""
    rows = -(-len(panels) // 3)
    with canvas(10.8, 2.5 * rows, path) as figure:
        grid = figure.subplots(rows, 3, squeeze=False).ravel()
        for axes in grid[len(panels) :]:
            axes.set_visible(False)
        for axes, (title, lines) in zip(grid, panels.items(), strict=False):
            styles = source_styles(lines)
            _panel(axes, title, lines, styles)
            if "(share)" in title:
                axes.set_ylim(-0.03, 1.05)
            if len(lines) > 1:
                axes.legend(handles=_keys(styles), fontsize=8, ncols=4)
    return path


def plot_agreement(policy: Agreement, path: Path) -> Path:
    """Whether the policy that is trained is the one that was sampled, both on a log axis where lower is better."""
    panels = {
        "1 - correlation": (1 - policy.correlation, 1 - MIN_CORRELATION),
        "mean difference of probabilities": (policy.difference, MAX_DIFFERENCE),
    }
    with canvas(10.8, 2.5, path) as figure:
        for axes, (title, (values, limit)) in zip(figure.subplots(1, 2), panels.items(), strict=True):
            # Exact agreement is 0, which a log axis cannot show: it sits on the floor.
            axes.semilogy(policy.steps, np.maximum(values, 1e-9), marker="o", markersize=3, linewidth=1.2, color=AFTER)
            axes.axhline(limit, color=BAD, linewidth=1.2, linestyle="--")
            axes.annotate(f"limit {limit:g}", (policy.steps[-1], limit), xytext=(0, 3), textcoords="offset points",
                          ha="right", color=BAD, fontsize=8)  # fmt: skip
            axes.set_title(f"Rollout vs trainer · {title}")
            axes.set_xlabel("training step")
    return path


def plot_change(changes: Mapping[str, Change], path: Path) -> Path:
    """Held-out reward before and after, one line per label, with the standard error of the paired difference."""
    with canvas(10.8, 0.9 + 0.3 * len(changes), path) as figure:
        axes = figure.subplots()
        for y, (before, after, _, error, *_) in enumerate(reversed(changes.values())):
            up = after >= before
            axes.annotate("", (after, y), (before, y),
                          arrowprops={"arrowstyle": "-|>", "color": GOOD if up else BAD, "linewidth": 1.6,
                                      "linestyle": "-" if up else "--", "shrinkA": 4, "shrinkB": 0})  # fmt: skip
            axes.errorbar(after, y, xerr=error, color=FAINT, linewidth=6, zorder=0)
            axes.plot(before, y, "o", color=BEFORE, markersize=6)
        axes.set_yticks(range(len(changes)), list(reversed(changes)))
        axes.set_ylim(-0.7, len(changes) - 0.3)
        axes.set_xlabel(
            "mean held-out reward (dot: before RL, arrow: after, band: standard error of paired difference)"
        )
        axes.grid(axis="y", visible=False)
    return path


def plot_runs(runs: Mapping[str, Sequence[Comparison]], first: str, path: Path) -> Path:
    """Each run's difference to the ``first`` one in raw score, a panel per task, with the standard error."""
    styles = source_styles(runs)
    tasks = [line.task for line in next(iter(runs.values())) if line.group == "task"]
    rows = -(-len(tasks) // 2)
    with canvas(10.8, 0.6 + rows * (1.7 + 0.2 * len(runs)), path) as figure:
        grid = figure.subplots(rows, 2, squeeze=False).ravel()
        for axes in grid[len(tasks) :]:
            axes.set_visible(False)
        for axes, task in zip(grid, tasks, strict=False):
            for place, (name, lines) in enumerate(runs.items()):
                own = [line for line in lines if line.task == task and line.group != "overall"]
                # One height per source, and the runs next to each other around it.
                heights = np.arange(len(own))[::-1] + 0.5 * ((len(runs) - 1) / 2 - place) / len(runs)
                deltas, errors = [line.raw.delta for line in own], [line.raw.error for line in own]
                axes.errorbar(deltas, heights, xerr=errors, **styles[name], linestyle="none", markersize=4)
                axes.set_yticks(range(len(own)), [line.source for line in reversed(own)])
            axes.axvline(0, color=BEFORE, linewidth=1)
            axes.set_title(task_name(task))
            axes.set_xlabel(f"raw score, difference to {first}")
        figure.legend(handles=_keys(styles), loc="outside upper center", ncols=len(styles))
    return path
