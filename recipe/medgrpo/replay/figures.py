# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Figures of a replay: who gets how much of the gradient, and what else a normalization changes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from recipe.medgrpo.evaluation.answers import pair_rank
from recipe.medgrpo.replay.advantages import ESTIMATORS, GDPO, batches, scores
from reward_score import Artifact, RawScore
from reward_score.config import ScoreConfig

#: Differences of rewards and advantages below this are rounding.
TIE = 1e-6


class Figures(NamedTuple):
    """One method under one estimator, as docs/replay.md explains; a figure that these answers do not have is None."""

    method: str
    estimator: str
    share: dict[str, float]
    mean: dict[str, float]
    tied: dict[str, float]
    unparsable: float | None
    similarity: float | None
    judge: float | None
    agreement: float | None
    cosine: float | None


def replay(
    raws: Sequence[RawScore],
    places: Sequence[tuple[int, object]],
    tokens: Sequence[int],
    config: ScoreConfig,
    artifact: Artifact,
    methods: Iterable[str],
    aggregation: str = "token-mean",
) -> Iterator[Figures]:
    """Figures of each method under each estimator, and of GDPO.

    Args:
        places, tokens: (step, prompt) and length of each answer.
        aggregation: verl's ``loss_agg_mode``.
    """
    answers = _Answers(raws, places)
    steps, weights = list(batches(places, tokens)), np.zeros(len(raws))
    for batch in steps:
        weights[batch.members] = batch.weights(aggregation)
    reference: dict[str, np.ndarray] = {}
    for method in ("none", *(name for name in methods if name != "none")):
        rewards = scores(raws, config, artifact, method)
        for estimator in [*ESTIMATORS, *([GDPO] if method == "none" else [])]:
            found = np.zeros(len(raws))
            for batch in steps:
                found[batch.members] = batch.advantages(estimator, [rewards[i] for i in batch.members])
            base = reference.setdefault(estimator, reference["grpo"] if estimator == GDPO else found)
            yield answers.figures(method, estimator, found, base, weights)


class _Answers:
    """What the figures need of the answers, whatever the method."""

    def __init__(self, raws: Sequence[RawScore], places: Sequence[tuple[int, object]]) -> None:
        pairs = [(raw.source, raw.task) for raw in raws]
        self.pairs = ["/".join(pair) for pair in sorted(set(pairs), key=pair_rank)]
        self.pair = np.array(["/".join(pair) for pair in pairs])
        self.parsed = np.array([raw.format > 0 for raw in raws])
        self.captions = {
            name: np.array([raw.components.get(name, np.nan) for raw in raws]) for name in ("similarity", "judge")
        }
        groups = defaultdict(list)
        for i, place in enumerate(places):
            groups[place].append(i)
        self.groups = [np.array(members) for members in groups.values() if len(members) > 1]

    def figures(self, method: str, estimator: str, found: np.ndarray, base: np.ndarray, weights: np.ndarray) -> Figures:
        pull = np.abs(found) * weights
        tied = defaultdict(list)
        for group in self.groups:
            tied[self.pair[group[0]]].append(np.ptp(found[group]) < TIE)
        norm = np.linalg.norm(found) * np.linalg.norm(base)
        return Figures(
            method=method,
            estimator=estimator,
            share={pair: float(pull[self.pair == pair].sum() / max(pull.sum(), 1e-30)) for pair in self.pairs},
            mean={pair: float(found[self.pair == pair].mean()) for pair in self.pairs},
            tied={pair: float(np.mean(tied[pair])) for pair in self.pairs if tied[pair]},
            unparsable=None if self.parsed.all() else float(found[~self.parsed].mean()),
            **{name: self._correlation(found, values) for name, values in self.captions.items()},
            agreement=self._agreement(found, base),
            cosine=float(found @ base / norm) if norm > 0 else None,
        )

    def _correlation(self, found: np.ndarray, values: np.ndarray) -> float | None:
        known = [group for group in self.groups if not np.isnan(values[group]).any()]
        if not known:
            return None
        x, y = (np.concatenate([each[group] - each[group].mean() for group in known]) for each in (found, values))
        norm = np.linalg.norm(x) * np.linalg.norm(y)
        return float(x @ y / norm) if norm > 0 else None

    def _agreement(self, found: np.ndarray, base: np.ndarray) -> float | None:
        alike = []
        for group in self.groups:
            first, second = np.triu_indices(len(group), 1)
            ranked = base[group][first] - base[group][second]
            gap = found[group][first] - found[group][second]
            known = np.abs(ranked) > TIE
            alike.append(np.where(np.abs(gap) <= TIE, 0.5, np.sign(gap) == np.sign(ranked))[known])
        every = np.concatenate(alike) if alike else np.array([])
        return float(every.mean()) if len(every) else None
