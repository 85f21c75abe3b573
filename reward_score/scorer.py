# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""From samples to rewards, in two steps because calibration needs only the first: `Scorer.raw`, the raw components of
each answer in [0, 1]; and `Scorer.finish`, normalization and mixing.
"""

import asyncio
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import islice
from typing import Any

from reward_score.config import ScoreConfig
from reward_score.errors import BadGroundTruth, EncoderUnavailable, RewardError, TaskWithoutReward
from reward_score.judge import DIMENSIONS, LexicalJudge, Verdict, make_judge
from reward_score.normalization.artifact import Artifact
from reward_score.normalization.normalizer import Normalizer
from reward_score.reward import RawScore, finish
from reward_score.sample import CaptionPair, Claim, Rating, Sample, split_data_source
from reward_score.similarity import SentenceEncoder
from reward_score.tasks.registry import VQA_TASKS, task_module


@dataclass(frozen=True, slots=True)
class _Question:
    """What the encoder or a judge is asked about a batch, in one call; `pairs` are those of each answer."""

    worker: Any
    method: str
    pairs: list[list[CaptionPair]]

    def ask(self) -> list[list[Any]]:
        """The replies to each answer's pairs."""
        pairs = self._all()
        return self._of_each(getattr(self.worker, self.method)(pairs) if pairs else ())

    async def ask_async(self) -> list[list[Any]]:
        """`ask` with the event loop left free, by the worker's coroutine ``a<method>`` if it has one."""
        pairs = self._all()
        if not pairs:
            return self._of_each(())
        if coroutine := getattr(self.worker, f"a{self.method}", None):
            return self._of_each(await coroutine(pairs))
        return self._of_each(await asyncio.to_thread(getattr(self.worker, self.method), pairs))

    def _all(self) -> list[CaptionPair]:
        return [pair for own in self.pairs for pair in own]

    def _of_each(self, replies: Sequence[Any]) -> list[list[Any]]:
        if len(replies) != (asked := sum(map(len, self.pairs))):
            raise RewardError(
                f"{type(self.worker).__name__}.{self.method} gave {len(replies)} replies to {asked} pairs"
            )
        reply = iter(replies)
        return [list(islice(reply, len(own))) for own in self.pairs]


class Scorer:
    """Scores batches of answers; encoder and judge are called once per batch. Safe to share between threads.

    Raises:
        BadOption: the judge makes no sense.
        NormalizationError: the artifact is missing or cannot be read.

    Example:
        >>> from reward_score import ScoreConfig, Scorer, make_sample
        >>> scorer = Scorer(ScoreConfig(reward_tasks="tag nap"))
        >>> samples = [make_sample("medvidbench/AVOS/nap", answer, "tying", None) for answer in ("tying", "cutting")]
        >>> [result["score"] for result in scorer.score(samples)]
        [1.0, 0.0]
        >>> scorer.raw(samples)[0].components
        {'raw': 1.0}
    """

    def __init__(self, config: ScoreConfig | None = None) -> None:
        self.config = config = config or ScoreConfig()
        self.reward_tasks = frozenset(config.reward_tasks)
        artifact = config.artifact
        if artifact is not None and not isinstance(artifact, Artifact):
            artifact = Artifact.load(artifact)
        self.normalizer = Normalizer(artifact, config.normalization, config.k)
        self.encoder = SentenceEncoder(config.similarity) if isinstance(config.similarity, str) else config.similarity
        self.judge = self.expert = make_judge(config.judge)
        # The expert is the same judge with another question, and its requests count against the same limits.
        if config.vqa.weights.alignment > 0 and hasattr(self.judge, "expert"):
            self.expert = self.judge.expert()

    def components(self, task: str) -> tuple[str, ...]:
        """Components of a task's reward under these options."""
        names = task_module(task).COMPONENTS
        mixed = {"similarity", "judge"}.issubset(names)
        unused = {0.0: "similarity", 1.0: "judge"}.get(self.config.caption_mix) if mixed else None
        return tuple(name for name in names if name != unused)

    def check(self, data_sources: Iterable[str]) -> None:
        """Make sure before the first step that every row can be rewarded.

        Raises:
            UnknownTask, TaskWithoutReward: a row's task is unknown or has no reward under these options.
            NormalizationError: naming every pair that the artifact lacks.
        """
        keys = []
        for data_source in dict.fromkeys(data_sources):
            source, task = split_data_source(data_source)
            self._require_reward(task, data_source)
            unnormalized = "judge" if self.config.judge_norm == "linear" else None
            keys.extend((source, task, name) for name in self.components(task) if name != unnormalized)
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
        ratings = [self._rate(sample) for sample in samples]
        replies = [question.ask() for question in self._questions(samples, ratings)]
        return list(map(self._raw_score, samples, ratings, *replies))

    def _rate(self, sample: Sample) -> Rating:
        options = {"tag": (self.config.tag_raw,)} | dict.fromkeys(VQA_TASKS, (self.config.vqa,))
        try:
            rating = task_module(sample.task).rate(sample, self.config.format_fallback, *options.get(sample.task, ()))
        except BadGroundTruth as error:
            raise BadGroundTruth(f"{sample.row}: {error}") from None
        if not isinstance(rating, Rating) or not rating.in_range:
            raise RewardError(f"{sample.row}: `rate` of {sample.task} must give a Rating within [0, 1], gave {rating}")
        named = task_module(sample.task).COMPONENTS
        if named and ("raw" in named) != (rating.raw is not None):
            raise RewardError(
                f"{sample.row}: `rate` of {sample.task} must give a `raw` if COMPONENTS names it, and only then; "
                f"they are {named}, and it gave {rating.raw}"
            )
        if rating.raw is not None:
            return rating.failed() if sample.cut else rating
        factor = sample.overlong_factor(self.config.overlong_buffer)
        return replace(rating, format=rating.format * factor) if factor > 0 else rating.failed()

    def _questions(self, samples: Sequence[Sample], ratings: Sequence[Rating]) -> tuple[_Question, ...]:
        def captions(component: str) -> list[list[CaptionPair]]:
            both = zip(samples, ratings, strict=True)
            return [one.pairs if component in self.components(sample.task) else [] for sample, one in both]

        claims = [[] if rating.claim is None else [self._claim(rating.claim)] for rating in ratings]
        return (
            _Question(self.encoder, "similarity", captions("similarity")),
            _Question(self.judge, "judge", captions("judge")),
            _Question(self.expert, "judge", claims),
        )

    def _claim(self, claim: Claim) -> CaptionPair:
        # A word list would take words of the question, which anybody can copy, for reasoning.
        lexical = getattr(self.judge, "name", None) == LexicalJudge.name
        goal = claim.answer if lexical else f"{claim.question} Correct answer: {claim.answer}"
        return CaptionPair(claim.reasoning, goal)

    def _raw_score(
        self,
        sample: Sample,
        rating: Rating,
        similarities: list[float],
        verdicts: list[Verdict],
        opinions: list[Verdict],
    ) -> RawScore:
        if not all(-1e-6 <= value <= 1 + 1e-6 for value in similarities):
            raise EncoderUnavailable(f"{sample.row}: similarities must lie in [0, 1]; the encoder gave {similarities}")
        components = {} if rating.raw is None else {"raw": rating.raw * rating.concise}
        captions = {"similarity": similarities, "judge": [verdict.normalized for verdict in verdicts]}
        expected = max(1, rating.n_pairs, len(rating.pairs)) / rating.concise
        for name in self.components(sample.task):
            if name in captions:
                components[name] = sum(captions[name]) / expected
        dimensions = {}
        if verdicts:
            dimensions = {name: sum(getattr(one, name) for one in verdicts) / len(verdicts) for name in DIMENSIONS}
        parts = dict(rating.parts)
        for opinion in opinions:
            sound = opinion.normalized >= self.config.vqa.alignment_threshold
            # A judge that goes on without a verdict gives NaN, which is no opinion.
            parts["alignment"] = math.nan if math.isnan(opinion.normalized) else float(sound)
        return RawScore(
            source=sample.source,
            task=sample.task,
            format=rating.format * rating.concise,
            components=components,
            dimensions=dimensions,
            parts=parts,
            concise=rating.concise,
            cut=sample.cut,
        )

    def finish(self, raws: Sequence[RawScore]) -> list[dict[str, float]]:
        """Rewards from raw components: normalized, mixed, times format; one dict with SCORE_KEYS each."""
        return [finish(raw, self.config, self.normalizer) for raw in raws]

    def score(self, samples: Sequence[Sample]) -> list[dict[str, float]]:
        """Rewards of a batch: `raw`, then `finish`. Raises TaskWithoutReward if a row's task is not in reward_tasks."""
        for sample in samples:
            self._require_reward(sample.task, sample.row)
        return self.finish(self.raw(samples))

    async def ascore(self, samples: Sequence[Sample]) -> list[dict[str, float]]:
        """`score` for callers with an event loop, which stays free: encoder and judge work at the same time."""
        for sample in samples:
            self._require_reward(sample.task, sample.row)
        ratings = [self._rate(sample) for sample in samples]
        replies = await asyncio.gather(*(question.ask_async() for question in self._questions(samples, ratings)))
        return self.finish(list(map(self._raw_score, samples, ratings, *replies)))


@lru_cache(maxsize=16)
def get_scorer(config: ScoreConfig) -> Scorer:
    """The scorer with these options; the same one for the same options, so that its caches and state are shared."""
    return Scorer(config)
