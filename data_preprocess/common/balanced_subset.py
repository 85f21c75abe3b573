# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Balanced subsets: fewer records of what there is most of."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

Pair = tuple[str, str]


def choose(
    records: Mapping[Pair, Sequence[int]], *, per_pair: int | None = None, per_task: int | None = None, seed: int = 0
) -> set[int]:
    """Numbers of the records to keep.

    The choice hangs on seed and number alone, so that a smaller subset lies within a larger one.

    Args:
        records: (source, task) -> numbers of its records.
        per_pair: keep at most so many of a pair.
        per_task: keep at most so many of a task, shared evenly by its sources; what a small source does not need goes
            to the others. 0 is the size of the smallest task.
    """
    kept = {pair: len(numbers) for pair, numbers in records.items()}
    if per_pair is not None:
        kept = {pair: min(count, per_pair) for pair, count in kept.items()}
    if per_task is not None:
        tasks = {task for _, task in kept}
        totals = {task: sum(count for pair, count in kept.items() if pair[1] == task) for task in tasks}
        goal = per_task or min(totals.values(), default=0)
        for task in tasks:
            kept |= _shared({pair: count for pair, count in kept.items() if pair[1] == task}, goal)
    return {
        number
        for pair, numbers in records.items()
        for number in sorted(numbers, key=lambda number: hashlib.blake2b(f"{seed} {number}".encode()).digest())[
            : kept[pair]
        ]
    }


def _shared(counts: Mapping[Pair, int], goal: int) -> dict[Pair, int]:
    """At most ``goal`` in all: the smallest first, each gets its part of what is left."""
    result, left = {}, goal
    ordered = sorted(counts, key=lambda pair: (counts[pair], pair))
    for position, pair in enumerate(ordered):
        result[pair] = min(counts[pair], left // (len(ordered) - position))
        left -= result[pair]
    return result
