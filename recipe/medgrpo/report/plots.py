# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""The pictures of the report. Every function takes plain numbers and writes one PNG."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from scipy.ndimage import gaussian_filter1d

from recipe.medgrpo.common.plot_style import (
    AFTER,
    BAD,
    BEFORE,
    FAINT,
    GOOD,
    _canvas,
    source_styles,
    task_name,
)
from recipe.medgrpo.evaluation.answers import task_rank
from recipe.medgrpo.report.run_data import MAX_DIFFERENCE, MIN_CORRELATION, Agreement, Change, Series


def smooth(values: np.ndarray) -> np.ndarray:
    """Gaussian-weighted mean along steps, over about a tenth of the run: it has no lag, unlike a running mean.

    Args:
        values: shape (steps,); NaN where a step had no value, which counts for nothing.
    """
    known = ~np.isnan(values)
    width = max(1.0, len(values) / 20)
    total = gaussian_filter1d(np.where(known, values, 0.0), width, mode="constant")
    weight = gaussian_filter1d(known.astype(float), width, mode="constant")
    return np.divide(total, weight, out=np.full(len(values), np.nan), where=weight > 1e-9)


def _curve(axes: Axes, steps: np.ndarray, values: np.ndarray, color: str, marker: str) -> None:
    faint = 0.4 if len(steps) <= 200 else 0.12
    axes.plot(steps, values, linestyle="none", marker=marker, markersize=2.6, color=color, alpha=faint)
    axes.plot(steps, smooth(values), color=color, linewidth=1.8)


def _key(color: str, marker: str, label: str) -> Line2D:
    return Line2D([], [], color=color, marker=marker, markersize=4, linewidth=1.8, label=label)


def plot_rewards(series: Mapping[tuple[str, str], Series], path: Path) -> Path:
    """Reward during training: a row of two panels per task (raw and normalized), a line per source.

    Args:
        series: (source, task) to ``step``, ``raw`` and ``reward``, each of shape (steps,): means of the step's answers.
        path: the PNG to write.
    """
    tasks = sorted({task for _, task in series}, key=task_rank)
    styles = source_styles(source for source, _ in series)
    with _canvas(10.8, 0.5 + 2.5 * len(tasks), path) as figure:
        grid = figure.subplots(len(tasks), 2, squeeze=False, sharex=True)
        for row, task in zip(grid, tasks, strict=True):
            for axes, key, words in zip(row, ("raw", "reward"), ("raw score", "reward (normalized)"), strict=True):
                for (source, of_task), values in sorted(series.items()):
                    if of_task == task and not np.isnan(values[key]).all():
                        _curve(axes, values["step"], values[key], **styles[source])
                axes.set_title(f"{task_name(task)} · {words}")
                axes.tick_params(labelbottom=True)
        for axes in grid[-1]:
            axes.set_xlabel("training step")
        keys = [_key(**style, label=source) for source, style in styles.items()]
        figure.legend(handles=keys, loc="outside upper center", ncols=len(keys))
    return path


def plot_panels(panels: Mapping[str, Mapping[str, tuple[np.ndarray, np.ndarray]]], path: Path) -> Path:
    """Small multiples of training curves, three in a row.

    Args:
        panels: title to {line label: (steps, values)}, each array of shape (steps,); a title with "(share)" gets the
            axis 0 to 1.
        path: the PNG to write.
    """
    rows = -(-len(panels) // 3)
    with _canvas(10.8, 2.5 * rows, path) as figure:
        grid = figure.subplots(rows, 3, squeeze=False).ravel()
        for axes in grid[len(panels) :]:
            axes.set_visible(False)
        for axes, (title, lines) in zip(grid, panels.items(), strict=False):
            styles = source_styles(lines)
            for label, (steps, values) in lines.items():
                _curve(axes, steps, values, **styles[label])
            axes.set_title(title)
            if "(share)" in title:
                axes.set_ylim(-0.03, 1.05)
            if len(lines) > 1:
                axes.legend(handles=[_key(**styles[label], label=label) for label in lines], fontsize=8, ncols=4)
            axes.set_xlabel("training step")
    return path


def plot_agreement(policy: Agreement, path: Path) -> Path:
    """Whether the policy that is trained is the one that was sampled, both on a log axis where lower is better."""
    panels = {
        "1 - correlation": (1 - policy.correlation, 1 - MIN_CORRELATION),
        "mean difference of probabilities": (policy.difference, MAX_DIFFERENCE),
    }
    with _canvas(10.8, 2.5, path) as figure:
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
    with _canvas(10.8, 0.9 + 0.3 * len(changes), path) as figure:
        axes = figure.subplots()
        for y, (before, after, _, error) in enumerate(reversed(changes.values())):
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
