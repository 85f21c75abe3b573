# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""From samples to rewards.

Two steps, kept apart because calibration needs only the first: (1) `Scorer.raw`, the raw components of each answer in
[0, 1]; (2) `Scorer.finish`, normalization and mixing. Reward = format x normalized, so an answer that cannot be parsed
is exactly 0 for every source.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

from pydantic import ValidationError

from reward_score.config import ScoreConfig
from reward_score.errors import BadGroundTruth, BadOption, JudgeUnavailable, TaskWithoutReward
from reward_score.judge import DIMENSIONS, LLMJudge, Verdict, make_judge
from reward_score.judge.config import complaints
from reward_score.judge.job_limits import ScorerKind
from reward_score.normalization.artifact import Artifact, Key
from reward_score.normalization.normalizer import Normalizer
from reward_score.reward import RawScore, finish
from reward_score.sample import CaptionPair, Rating, Sample, make_sample, split_data_source
from reward_score.similarity import SentenceEncoder
from reward_score.tasks.registry import TASKS, VQA_TASKS, task_module

Decide = Callable[[ScorerKind], Awaitable[ScorerKind]]


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
            raise BadOption(f"reward options: {complaints(error)}") from None
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
        if config.on_failure == "similarity_only" and config.caption_mix == 0:
            raise BadOption("on_failure=similarity_only needs a similarity: caption_mix must be above 0")
        if config.on_failure == "similarity_only" and config.vqa.weights.alignment > 0:
            raise BadOption("alignment has nothing to put in place of its expert: it needs on_failure=drop")
        # The expert is the same judge with another question, and its requests count against the same limits.
        self.expert = self.judge
        if isinstance(self.judge, LLMJudge) and config.vqa.weights.alignment > 0:
            asked = self.judge.config.model_copy(update={"rubric": "reasoning"})
            self.expert = LLMJudge(asked, self.judge.limiter)

    def components(self, task: str) -> tuple[str, ...]:
        """Components of a task's reward under these options.

        Raises:
            UnknownTask: no such task.
        """
        unused = {0.0: "similarity", 1.0: "judge"}.get(self.config.caption_mix)
        return tuple(name for name in task_module(task).COMPONENTS if name != unused)

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
        task_module(task)
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
        ratings, pairs = self._rate_all(samples)
        claims = _claims(ratings)
        verdicts = self.expert.judge(claims) if claims else ()
        return self._collect(samples, ratings, self._similarity(pairs), self._judge(pairs), verdicts)

    async def araw(self, samples: Sequence[Sample]) -> list[RawScore]:
        """`raw` for callers with an event loop, which stays free: encoder and judge work at the same time."""
        ratings, pairs = self._rate_all(samples)
        similarities, verdicts, opinions = await asyncio.gather(
            _call(self.encoder, "similarity", pairs, self.config.caption_mix > 0),
            _call(self.judge, "judge", pairs, self.config.caption_mix < 1),
            _call(self.expert, "judge", _claims(ratings), True),
        )
        return self._collect(samples, ratings, similarities, verdicts, opinions)

    def _rate_all(self, samples: Sequence[Sample]) -> tuple[list[Rating], list[CaptionPair]]:
        ratings = [self._rate(sample) for sample in samples]
        return ratings, [pair for rating in ratings for pair in rating.pairs]

    def _similarity(self, pairs: Sequence[CaptionPair]) -> Sequence[float] | None:
        if self.config.caption_mix == 0:
            return None
        return self.encoder.similarity(pairs) if pairs else ()

    def _judge(self, pairs: Sequence[CaptionPair]) -> Sequence[Verdict] | None:
        if self.config.caption_mix == 1:
            return None
        return self.judge.judge(pairs) if pairs else ()

    def _collect(
        self,
        samples: Sequence[Sample],
        ratings: Sequence[Rating],
        similarities: Sequence[float] | None,
        verdicts: Sequence[Verdict] | None,
        opinions: Sequence[Verdict] = (),
    ) -> list[RawScore]:
        """Components of each answer; None means that nobody was asked for that component."""
        similarity, verdict, opinion = iter(similarities or ()), iter(verdicts or ()), iter(opinions)
        results = []
        for sample, rating in zip(samples, ratings, strict=True):
            components: dict[str, float] = {}
            dimensions: dict[str, float] = {}
            if rating.raw is not None:
                components["raw"] = rating.raw * rating.concise
            if "similarity" in TASKS[sample.task].COMPONENTS:
                expected = max(1, rating.n_pairs) / rating.concise
                if similarities is not None:
                    components["similarity"] = sum(next(similarity) for _ in rating.pairs) / expected
                if verdicts is not None:
                    own = [next(verdict) for _ in rating.pairs]
                    components["judge"] = sum(one.normalized for one in own) / expected
                    if own:
                        dimensions = {name: sum(getattr(v, name) for v in own) / len(own) for name in DIMENSIONS}
            parts = dict(rating.parts)
            if rating.claim is not None:
                parts["alignment"] = float(next(opinion).normalized >= self.config.vqa.alignment_threshold)
            own = sample.source, sample.task, rating.format * rating.concise, components, dimensions, parts
            results.append(RawScore(*own, rating.concise, sample.cut))
        return results

    def _rate(self, sample: Sample) -> Rating:
        try:
            own = (self.config.vqa,) if sample.task in VQA_TASKS else ()
            rating = task_module(sample.task).rate(sample, self.config.format_fallback, *own)
        except BadGroundTruth as error:
            raise BadGroundTruth(f"{sample.row}: {error}") from None
        if rating.raw is not None:
            return rating.failed() if sample.cut else rating
        factor = sample.overlong_factor(self.config.overlong_buffer)
        return replace(rating, format=rating.format * factor) if factor > 0 else rating.failed()

    def finish(self, raws: Sequence[RawScore]) -> list[dict[str, float]]:
        """Rewards from raw components: normalized, mixed, times format; one dict with SCORE_KEYS each.

        Raises:
            NormalizationError: the artifact lacks a row's pair.
        """
        return [finish(raw, self.config, self.normalizer) for raw in raws]

    def score(self, samples: Sequence[Sample]) -> list[dict[str, float]]:
        """Rewards of a batch: `raw`, then `finish`. With ``on_failure=similarity_only`` the batch is one group: a
        failure of the judge leaves it to similarity in all its captions.

        Raises:
            TaskWithoutReward: a row's task is not among reward_tasks; and what `raw` and `finish` raise.
        """
        self._require_rewards(samples)
        try:
            raws = self.raw(samples)
        except JudgeUnavailable:
            if self.config.on_failure == "drop":
                raise
            raws = self._without_judge(samples)
        return self.finish(raws)

    async def ascore(self, samples: Sequence[Sample], decide: Decide) -> list[dict[str, float]]:
        """`score` for callers with an event loop, of samples of one group that may be scored in several calls.

        Args:
            samples: answers to one prompt, all of them or some.
            decide: coroutine that takes the scorer which these samples could have, ``judge`` or ``similarity``, and
                returns the group's, which is the first that was proposed for it; asked only with
                ``on_failure=similarity_only``.

        Raises:
            JudgeUnavailable: no verdict, and the answers scored before have one: a group is never scored by two
            scorers. As `score`.
        """
        self._require_rewards(samples)
        raws, failure = None, None
        try:
            raws = await self.araw(samples)
        except JudgeUnavailable as error:
            if self.config.on_failure == "drop":
                raise
            failure = error
        captions = failure is not None or any(raw.dimensions for raw in raws)
        if captions and self.config.on_failure == "similarity_only":
            scorer = await decide("judge" if failure is None else "similarity")
            if scorer == "similarity":
                raws = await asyncio.to_thread(self._without_judge, samples)
            elif failure is not None:
                raise JudgeUnavailable(f"others of this group have a verdict, this has none: {failure}") from failure
        return self.finish(raws)

    def _require_rewards(self, samples: Sequence[Sample]) -> None:
        for sample in samples:
            self._require_reward(sample.task, sample.row)

    def _without_judge(self, samples: Sequence[Sample]) -> list[RawScore]:
        ratings, pairs = self._rate_all(samples)
        return self._collect(samples, ratings, self._similarity(pairs), None)


def _claims(ratings: Sequence[Rating]) -> list[CaptionPair]:
    return [rating.claim for rating in ratings if rating.claim is not None]


async def _call(worker: Any, method: str, pairs: Sequence[CaptionPair], wanted: bool) -> Sequence[Any] | None:
    """An encoder's or judge's method, by its coroutine (``a<method>``) where it has one, else on a thread."""
    if not wanted or not pairs:
        return () if wanted else None
    if coroutine := getattr(worker, f"a{method}", None):
        return await coroutine(pairs)
    return await asyncio.to_thread(getattr(worker, method), pairs)


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
    plain = isinstance(value, str | int | float | os.PathLike | Sequence | Mapping | None)
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
