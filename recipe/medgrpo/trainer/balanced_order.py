# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Balanced order of training rows over (source, task), for ``data.balance``."""

import heapq
import random
from collections import defaultdict
from collections.abc import Iterator, Sequence


def balanced_order(data_sources: Sequence[str], alpha: float, seed: int) -> list[int]:
    """Row numbers such that every stretch of them holds each data source at its share, and every row comes.

    A source of n rows has a share proportional to ``n ** alpha``: 1 keeps the data's own shares (each row comes once),
    0 gives all the same. One that runs out of rows begins anew in another random order, until the last row of the last
    has come. The order depends on the arguments alone: a resumed run continues in it.
    """
    if not 0 <= alpha <= 1:
        raise ValueError(f"data.balance must be between 0 (all alike) and 1 (the data's own shares), not {alpha}")
    rows = defaultdict(list)
    for index, data_source in enumerate(data_sources):
        rows[data_source].append(index)
    order = []
    # Stride scheduling: a source's k-th row is due at (k + u) / weight. The random offset u keeps sources of one weight
    # from following each other in the same order for ever.
    streams = {name: _reshuffled(rows[name], random.Random(f"{seed} {name}")) for name in sorted(rows)}
    weights = {name: len(rows[name]) ** alpha for name in streams}
    offsets = random.Random(seed)
    due = [(offsets.random() / weights[name], name) for name in streams]
    heapq.heapify(due)
    unseen = {name: len(rows[name]) for name in streams}
    while any(unseen.values()):
        time, name = due[0]
        order.append(next(streams[name]))
        unseen[name] = max(0, unseen[name] - 1)
        heapq.heapreplace(due, (time + 1 / weights[name], name))
    return order


def _reshuffled(rows: Sequence[int], rng: random.Random) -> Iterator[int]:
    """The rows in a random order, again and again in others."""
    while True:
        yield from rng.sample(rows, len(rows))
