# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""The picture of a study's effects."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from recipe.medgrpo.common.plot_style import BAD, BEFORE, FAINT, GOOD, canvas
from recipe.medgrpo.study.design import Cell, Study
from recipe.medgrpo.study.intervals import verdict
from recipe.medgrpo.study.results import effect_of

COLOURS = {"as predicted": GOOD, "not as predicted": BAD}


def draw(study: Study, results: Mapping[Cell, Mapping[str, Any]], path: Path) -> None:
    """One line per prediction that has results: its effect with the 95% interval, on the band that counts as none."""
    found = [(one, effect_of(study, results, one)) for one in study.predictions]
    found = [(one, effect) for one, effect in found if effect is not None]
    with canvas(9, 1.2 + 0.32 * len(found), path) as figure:
        figure.suptitle("line: 95%; band: counts as none; green: as predicted, red: not, grey: undecided", fontsize=9)
        axes = figure.subplots()
        for height, (one, effect) in enumerate(reversed(found)):
            colour = COLOURS.get(verdict(one, effect), BEFORE)
            axes.barh(height, 2 * one.bound, left=-one.bound, height=0.6, color=FAINT, zorder=0)
            axes.plot(effect.wide, (height, height), color=colour, linewidth=2)
            marker = {"equal": "s", "higher": ">", "lower": "<"}[one.expect]
            axes.plot(effect.point, height, marker, color=colour, markersize=6)
        axes.set_yticks(range(len(found)), [f"{one.question}  {one.claim}" for one, _ in reversed(found)])
        axes.axvline(0, color=BEFORE, linewidth=1)
        axes.set_xlabel("difference of two arms")
        axes.grid(axis="y", visible=False)
