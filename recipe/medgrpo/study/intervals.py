# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Differences between two arms over paired seeds: interquartile mean, bootstrap interval, and the verdict."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from recipe.medgrpo.study.design import Prediction

RESAMPLES = 10_000
#: Fewer paired seeds than this decide nothing.
LEAST_SEEDS = 5
Verdict = Literal["as predicted", "not as predicted", "undecided", "missing"]


class Effect(NamedTuple):
    """A difference over so many seeds: interquartile mean (``point``), and its 95% and 90% bootstrap intervals."""

    seeds: int
    point: float
    wide: tuple[float, float]
    narrow: tuple[float, float]


def interquartile_mean(values: np.ndarray) -> np.ndarray:
    """Mean without the lowest and the highest quarter (rounded down) of each row's values."""
    ordered = np.sort(values, axis=-1)
    cut = ordered.shape[-1] // 4
    return ordered[..., cut : ordered.shape[-1] - cut].mean(axis=-1)


def effect(differences: Sequence[float]) -> Effect:
    """The effect over paired seeds, from the two arms' difference in each.

    Seeds are resampled with replacement. With few seeds such intervals are too narrow rather than too wide.
    """
    values = np.asarray(differences, dtype=float)
    chosen = np.random.default_rng(0).integers(len(values), size=(RESAMPLES, len(values)))
    means = interquartile_mean(values[chosen])
    low, lower, higher, high = (float(x) for x in np.percentile(means, [2.5, 5, 95, 97.5]))
    return Effect(len(values), float(interquartile_mean(values)), (low, high), (lower, higher))


def verdict(prediction: Prediction, found: Effect | None) -> Verdict:
    """Whether an effect is what was predicted.

    "Equal" is shown by a 90% interval within the bound (two one-sided tests at 5%), and refuted by a 95% interval
    outside of it. A direction is shown by a 95% interval on its side of 0 whose point passes the bound. It is refuted
    by one on the other side, or by equality.
    """
    if found is None or found.seeds < LEAST_SEEDS:
        return "missing"
    bound = prediction.bound
    low, high = found.wide
    equal = -bound <= found.narrow[0] and found.narrow[1] <= bound
    if prediction.expect == "equal":
        unequal = low > bound or high < -bound
        return "as predicted" if equal else "not as predicted" if unequal else "undecided"
    sign = 1 if prediction.expect == "higher" else -1
    low, high = sorted((sign * low, sign * high))
    if low > 0 and sign * found.point >= bound:
        return "as predicted"
    return "not as predicted" if equal or high < 0 else "undecided"
