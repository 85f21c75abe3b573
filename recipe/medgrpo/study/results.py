# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""The result of a cell: what verl's own validation said after RL. One small file each.

The first cell of a world and seed also says what validation was before RL, which is the same for all others.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from recipe.medgrpo.common.run_folder import read_json
from recipe.medgrpo.report import run_data
from recipe.medgrpo.study.design import SFT, Cell, Prediction, Study, StudyError
from recipe.medgrpo.study.intervals import Effect, effect

RUNNER = "python -m recipe.medgrpo.study run"
#: Keys of the reward that a result keeps.
KEPT = ("raw", "parsed", "similarity", "judge", "cut")
_VALIDATION = re.compile(rf"val-(?:core|aux)/[^/]+/([^/]+/[^/]+)/({'|'.join(KEPT)})/mean@\d+")

Validation = dict[str, dict[str, float]]


def collect(folder: Path, steps: int) -> dict[str, Any]:
    """Validation before (if it was asked for) and after, from a run's metrics."""
    by_step = run_data.read_metrics(sorted(folder.glob("metrics*.jsonl")))
    before, after = (_validation(by_step.get(step, {})) for step in (0, steps))
    if not after:
        raise StudyError(f"{folder}: no validation at step {steps}; remove the folder and run again")
    return {"before": before, "after": after}


def _validation(data: Mapping[str, float]) -> Validation:
    found: Validation = {}
    for match in filter(None, map(_VALIDATION.fullmatch, sorted(data, key=run_data.samples))):
        found.setdefault(match[1], {})[match[2]] = round(data[match[0]], 6)
    return found


def read_results(study: Study, folder: Path) -> dict[Cell, dict[str, Any]]:
    """The results that are there."""
    return {cell: read_json(folder / cell.file, RUNNER) for cell in study.cells() if (folder / cell.file).exists()}


def outcome(study: Study, name: str, validation: Validation) -> float:
    """An outcome's value."""
    for term in study.outcomes[name]:
        if term.key not in validation.get(term.pair, {}):
            raise StudyError(f"outcome {name}: the validation has no {term.key} of {term.pair}")
    return sum(term.weight * validation[term.pair][term.key] for term in study.outcomes[name])


def effect_of(study: Study, results: Mapping[Cell, Mapping[str, Any]], prediction: Prediction) -> Effect | None:
    """The difference of a prediction's two arms over the seeds that both have; None without any."""
    value = partial(outcome, study, prediction.outcome)
    return _difference(study, results, prediction.setting, prediction.against, value)


def gain(study: Study, results: Mapping[Cell, Mapping[str, Any]], setting: str, pair: str, key: str) -> Effect | None:
    """What a setting gained over its SFT model in one key of one pair; None without a seed that has both."""
    return _difference(study, results, setting, SFT, lambda validation: validation[pair][key])


def _difference(
    study: Study, results: Mapping, setting: str, against: str, value: Callable[[Validation], float]
) -> Effect | None:
    differences = []
    for seed in study.seeds:
        cell = Cell(setting, seed)
        other = _before(study, results, cell) if against == SFT else _after(results, Cell(against, seed))
        if (one := _after(results, cell)) and other:
            differences.append(value(one) - value(other))
    return effect(differences) if differences else None


def _after(results: Mapping[Cell, Mapping[str, Any]], cell: Cell) -> Validation:
    return results[cell]["after"] if cell in results else {}


def _before(study: Study, results: Mapping, cell: Cell) -> Validation:
    return next((results[one]["before"] for one in study.alike(cell) if one in results and results[one]["before"]), {})
