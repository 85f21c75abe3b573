# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""From a row to its score: which task scores it, and how components become a reward.

Two steps, kept apart because calibration needs only the first: (1) `Scorer.raw`, the raw components of each answer in
[0, 1]; (2) `Scorer.finish`, normalization and mixing. Reward = format x normalized, so an answer that cannot be parsed
is exactly 0 for every source.
"""

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import ModuleType
from typing import Any

from pydantic import ValidationError

from reward_score import caption, cvs, dvc, nap, sa, stg, tag
from reward_score.artifact import Artifact, Key
from reward_score.config import ScoreConfig
from reward_score.errors import BadGroundTruth, BadOption, TaskWithoutReward, UnknownTask
from reward_score.judge import DIMENSIONS, Verdict, make_judge
from reward_score.normalization import Normalizer
from reward_score.sample import CaptionPair, Rating, Sample, make_sample, split_data_source
from reward_score.similarity import SentenceEncoder

TASKS: dict[str, ModuleType] = {
    "tag": tag,
    "stg": stg,
    "vs": caption,
    "rc": caption,
    "dvc": dvc,
    "nap": nap,
    "sa": sa,
    "cvs": cvs,
}

SCORE_KEYS = (
    "score",
    "raw",
    "normalized",
    "format",
    "parsed",
    "similarity",
    "similarity_normalized",
    "judge",
    "judge_normalized",
    *(f"judge_{dimension}" for dimension in DIMENSIONS),
)


@dataclass(slots=True)
class RawScore:
    """One answer's raw components, before any normalization.

    Args:
        source, task: of the row.
        format: factor in [0, 1]; 0 if nothing could be parsed, and then all components are 0.
        components: value in [0, 1] of each of the task's components: ``raw`` (by rule), ``similarity``, ``judge``.
        dimensions: the judge's mean grades (1-5) by dimension; {} if no caption was judged.
    """

    source: str
    task: str
    format: float
    components: dict[str, float]
    dimensions: dict[str, float]


class Scorer:
    """Scores batches of answers; encoder and judge are called once per batch. Safe to share between threads.

    Args:
        config: the options; keyword arguments instead are read as such.

    Raises:
        BadOption: an option is unknown or makes no sense.
        NormalizationError: the artifact is missing or cannot be read.
    """

    def __init__(self, config: ScoreConfig | None = None, **options: Any) -> None:
        try:
            self.config = config or ScoreConfig(**options)
        except (ValidationError, TypeError) as error:
            raise BadOption(f"reward options: {error}") from None
        config = self.config
        tasks = tuple(TASKS) if config.reward_tasks == ("all",) else config.reward_tasks
        if unknown := set(tasks) - set(TASKS):
            raise BadOption(f"reward_tasks: unknown {sorted(unknown)}; known: {', '.join(TASKS)}, or all")
        self.reward_tasks = frozenset(tasks)
        artifact = config.artifact
        if artifact is not None and not isinstance(artifact, Artifact):
            artifact = Artifact.load(artifact)
        self.normalizer = Normalizer(artifact, config.normalization, config.k)
        self.encoder = SentenceEncoder(config.similarity) if isinstance(config.similarity, str) else config.similarity
        self.judge = make_judge(config.judge)

    def components(self, task: str) -> tuple[str, ...]:
        """Components of a task's reward under these options.

        Raises:
            UnknownTask: no such task.
        """
        unused = {0.0: "similarity", 1.0: "judge"}.get(self.config.caption_mix)
        return tuple(name for name in _module(task).COMPONENTS if name != unused)

    def check(self, data_sources: Iterable[str]) -> None:
        """Make sure before the first step that every row can be rewarded.

        Raises:
            UnknownTask, TaskWithoutReward: a row's task is unknown or has no reward under these options.
            NormalizationError: naming every pair that the artifact lacks.
        """
        keys: list[Key] = []
        for data_source in dict.fromkeys(data_sources):
            source, task = split_data_source(data_source)
            self._require_reward(task, data_source)
            linear = self.config.judge_norm == "linear"
            names = (name for name in self.components(task) if not (linear and name == "judge"))
            keys.extend((source, task, name) for name in names)
        self.normalizer.check(keys)

    def _require_reward(self, task: str, row: str) -> None:
        _module(task)
        if task not in self.reward_tasks:
            raise TaskWithoutReward(
                f"{row}: task {task!r} has no reward; reward_tasks is {', '.join(sorted(self.reward_tasks))}. "
                f"Add {task!r} to the option reward_tasks, or take such rows out of the training data"
            )

    def raw(self, samples: Sequence[Sample]) -> list[RawScore]:
        """Raw components of each answer, for any task, in order.

        Raises:
            UnknownTask, BadGroundTruth: a row cannot be scored; the message names it.
            JudgeUnavailable, EncoderUnavailable: a caption cannot be scored now.
        """
        ratings = [self._rate(sample) for sample in samples]
        mix = self.config.caption_mix
        pairs = [pair for rating in ratings for pair in rating.pairs]
        similarities = iter(self.encoder.similarity(pairs) if mix > 0 else ())
        verdicts = iter(self._judge(pairs) if mix < 1 else ())
        results = []
        for sample, rating in zip(samples, ratings, strict=True):
            components: dict[str, float] = {}
            dimensions: dict[str, float] = {}
            if rating.raw is not None:
                components["raw"] = rating.raw
            if "similarity" in TASKS[sample.task].COMPONENTS:
                expected = max(1, rating.n_pairs)
                if mix > 0:
                    components["similarity"] = sum(next(similarities) for _ in rating.pairs) / expected
                if mix < 1:
                    own = [next(verdicts) for _ in rating.pairs]
                    components["judge"] = sum(verdict.normalized for verdict in own) / expected
                    if own:
                        dimensions = {name: sum(getattr(v, name) for v in own) / len(own) for name in DIMENSIONS}
            results.append(RawScore(sample.source, sample.task, rating.format, components, dimensions))
        return results

    def _rate(self, sample: Sample) -> Rating:
        try:
            return _module(sample.task).rate(sample, self.config.format_fallback)
        except BadGroundTruth as error:
            raise BadGroundTruth(f"{sample.row}: {error}") from None

    def _judge(self, pairs: Sequence[CaptionPair]) -> list[Verdict]:
        return list(self.judge.judge(pairs)) if pairs else []

    def finish(self, raws: Sequence[RawScore]) -> list[dict[str, float]]:
        """Rewards from raw components: normalized, mixed, times format; one dict with SCORE_KEYS each.

        Raises:
            NormalizationError: the artifact lacks a row's pair.
        """
        return [self._finish(raw) for raw in raws]

    def _finish(self, raw: RawScore) -> dict[str, float]:
        result = dict.fromkeys(SCORE_KEYS, math.nan)
        plain = raw.components
        normal = {name: self._normalize(value, raw, name) for name, value in plain.items()}
        result["raw"], result["normalized"] = self._mix(plain), self._mix(normal)
        result["format"], result["parsed"] = raw.format, float(raw.format > 0)
        result["score"] = raw.format * result["normalized"] if raw.format > 0 else 0.0
        for name in ("similarity", "judge"):
            if name in plain:
                result[name], result[f"{name}_normalized"] = plain[name], normal[name]
        for name, grade in raw.dimensions.items():
            result[f"judge_{name}"] = grade
        return result

    def _normalize(self, value: float, raw: RawScore, component: str) -> float:
        if component == "judge" and self.config.judge_norm == "linear":
            return value
        return self.normalizer(value, raw.source, raw.task, component)

    def _mix(self, values: Mapping[str, float]) -> float:
        """Rule and captions half and half where a task has both; captions are mixed by `caption_mix`."""
        if values.keys() == {"raw"}:
            return values["raw"]
        mix = self.config.caption_mix
        captions = mix * values.get("similarity", 0.0) + (1 - mix) * values.get("judge", 0.0)
        return (values["raw"] + captions) / 2 if "raw" in values else captions

    def score(self, samples: Sequence[Sample]) -> list[dict[str, float]]:
        """Rewards of a batch: `raw`, then `finish`.

        Raises:
            TaskWithoutReward: a row's task is not among reward_tasks; and what `raw` and `finish` raise.
        """
        for sample in samples:
            self._require_reward(sample.task, sample.row)
        return self.finish(self.raw(samples))


def _module(task: str) -> ModuleType:
    if task not in TASKS:
        raise UnknownTask(f"task {task!r} is unknown; known: {', '.join(TASKS)}")
    return TASKS[task]


def observations(raws: Iterable[RawScore]) -> dict[Key, list[float]]:
    """Raw components by (source, task, component), for `Artifact.from_observations` and `Normalizer.observe`."""
    result: dict[Key, list[float]] = {}
    for raw in raws:
        for name, value in raw.components.items():
            result.setdefault((raw.source, raw.task, name), []).append(value)
    return result


@lru_cache(maxsize=16)
def _scorer(options: "_Options") -> Scorer:
    return Scorer(**options.values)


class _Options:
    """Options as a cache key; numbers, texts and lists count by content, other objects by identity."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.values = dict(values)
        self._key = tuple((name, _identity(self.values[name])) for name in sorted(self.values))

    def __hash__(self) -> int:
        return hash(self._key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Options) and self._key == other._key


def _identity(value: Any) -> str | int:
    plain = isinstance(value, str | int | float | os.PathLike | Sequence | None)
    return f"{type(value).__name__} {value!r}" if plain else id(value)


def get_scorer(**options: Any) -> Scorer:
    """The scorer with these options; the same one for the same options, so that its caches and state are shared."""
    return _scorer(_Options(options))


def make_samples(
    data_sources: Sequence[str],
    solution_strs: Sequence[str],
    ground_truths: Sequence[str],
    extra_infos: Sequence[Mapping[str, Any] | None] | None = None,
) -> list[Sample]:
    """Samples from columns of equal length; see `reward_score.sample.make_sample`."""
    extras = extra_infos if extra_infos is not None else [None] * len(data_sources)
    rows = zip(data_sources, solution_strs, ground_truths, extras, strict=True)
    return [make_sample(*row) for row in rows]
