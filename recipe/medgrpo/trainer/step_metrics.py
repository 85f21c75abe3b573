# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""What a step's rewards look like per (source, task), and the alarm for a policy that collapses."""

import logging
import math
import statistics
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from recipe.medgrpo.common.run_folder import write_jsonl

logger = logging.getLogger(__name__)


class CollapseError(RuntimeError):
    """Training was stopped because the policy, or what scores it, has failed for several steps in a row."""


class ScoredAnswer(NamedTuple):
    """An answer of one step.

    Args:
        uid: of the prompt; the answers of one group share it.
        score: what ``reward_score.compute_score`` returned.
        length: tokens.
        entropy: minus the mean log-probability of its tokens under the policy that sampled it, in nats. The mean over
            many answers estimates the policy's entropy.
        index: ``extra_info.index`` of its row.
    """

    uid: str
    data_source: str
    score: Mapping[str, float]
    length: int
    entropy: float
    index: int | None = None


def write_scores(folder: Path, step: int, keys: Sequence[str], answers: Sequence[ScoredAnswer]) -> None:
    """``<step>.jsonl``: what verl's own dump lacks, which has the same ``uid``: each answer's row, and its score."""
    lines = (
        {"uid": key, "index": answer.index, "data_source": answer.data_source}
        | {name: value for name, value in answer.score.items() if not math.isnan(value)}
        for key, answer in zip(keys, answers, strict=True)
    )
    write_jsonl(folder / f"{step}.jsonl", lines)


def step_metrics(answers: Sequence[ScoredAnswer], asked: int) -> dict[str, float]:
    """Metrics of one step for the training log, all under ``medgrpo/``: of the whole step, and of each (source, task).

    ``asked`` is the number of answers asked for; docs/training.md explains each figure.
    """
    by_pair = defaultdict(list)
    for answer in answers:
        by_pair[pair_of(answer.data_source)].append(answer)
    metrics = {"medgrpo/dropped_trajectories": asked - len(answers), "medgrpo/dropped_share": 1 - len(answers) / asked}
    metrics["medgrpo/sampled_entropy"] = statistics.fmean(answer.entropy for answer in answers)
    for prefix, group in (("medgrpo", answers), *((f"medgrpo/{pair}", by_pair[pair]) for pair in sorted(by_pair))):
        metrics |= {f"{prefix}/{name}": value for name, value in _summary(group).items()}
    return metrics


def dropped_by_pair(
    answers: Iterable[ScoredAnswer], kept: Collection[str], group_size: int, unscored: Iterable[str] = ()
) -> dict[str, float]:
    """Per (source, task) the answers that do not count, as ``medgrpo/<source>/<task>/dropped_trajectories``.

    Args:
        answers: all that have a score; of these the prompts (`uid`) in ``kept`` count.
        unscored: data source of each prompt of which no answer has a score.
    """
    prompts = {answer.uid: answer.data_source for answer in answers}
    dropped = Counter()
    for data_source in (*unscored, *prompts.values()):
        dropped[pair_of(data_source)] += group_size
    dropped.subtract(pair_of(answer.data_source) for answer in answers if answer.uid in kept)
    return _named(dropped, "dropped_trajectories")


def dropped_by_cause(dropped: int, unreadable: int, unjudged: int) -> dict[str, float]:
    """The ``dropped`` answers as ``medgrpo/dropped_<cause>``; ``other`` failed otherwise, or was alone in its group."""
    other = max(0, dropped - unreadable - unjudged)
    return {"medgrpo/dropped_media": unreadable, "medgrpo/dropped_judge": unjudged, "medgrpo/dropped_other": other}


def judge_failures_by_pair(failed: Mapping[str, int], data_sources: Mapping[str, str]) -> dict[str, float]:
    """Per (source, task) the answers without a verdict, as ``medgrpo/<source>/<task>/judge_failures``, 0 included."""
    failures = Counter()
    for uid, data_source in data_sources.items():
        failures[pair_of(data_source)] += failed.get(uid, 0)
    return _named(failures, "judge_failures")


def _named(numbers: Mapping[str, int], name: str) -> dict[str, float]:
    return {f"medgrpo/{pair}/{name}": number for pair, number in numbers.items()}


def answers_of(step: int) -> str:
    """The end of a message that stops the run at ``step``."""
    return f". The last checkpoint is kept; rollouts/{step - 1}.jsonl has answers"


def pair_of(data_source: str) -> str:
    """``<source>/<task>`` of ``<benchmark>/<source>/<task>``."""
    return data_source.split("/", 1)[-1]


def _summary(answers: Sequence[ScoredAnswer]) -> dict[str, float]:
    rewards = defaultdict(list)
    for answer in answers:
        rewards[answer.uid].append(answer.score["score"])
    moments = {}
    for name, key in (("raw", "raw"), ("normalized", "normalized"), ("reward", "score")):
        values = [answer.score[key] for answer in answers]
        moments |= {f"{name}/mean": statistics.fmean(values), f"{name}/std": statistics.pstdev(values)}
    return moments | {
        "parse_rate": statistics.fmean(answer.score["parsed"] for answer in answers),
        "cut_share": statistics.fmean(answer.score["cut"] for answer in answers),
        "zero_std_groups": statistics.fmean(len(set(group)) == 1 for group in rewards.values()),
        "response_length": statistics.fmean(answer.length for answer in answers),
        "answers": len(answers),
    }


class AlarmOptions(BaseModel):
    """When a run counts as collapsed (``medgrpo.alarm``).

    Args:
        parse_rate: lowest share of answers that can be parsed.
        entropy: lowest and highest ``medgrpo/sampled_entropy`` in nats per token; None for no limit.
        dropped_share: highest share of answers that could not be scored.
        lost_media: highest share of answers whose media cannot be read; beyond it the run stops at once.
        cut_share: highest share of answers of any one (source, task) that reach the token limit without ending.
        steps: so many steps in a row must be beyond a limit.
        action: ``warn`` then at each such step, ``stop`` the run, or ``both``: warn from the first step, and stop.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    parse_rate: Annotated[float, Field(ge=0, le=1)] = 0.5
    entropy: tuple[float | None, float | None] = (None, None)
    dropped_share: Annotated[float, Field(ge=0, le=1)] = 0.5
    lost_media: Annotated[float, Field(ge=0, le=1)] = 0.0
    cut_share: Annotated[float, Field(ge=0, le=1)] = 0.5
    steps: Annotated[int, Field(ge=1)] = 5
    action: Literal["warn", "stop", "both"] = "both"


class CollapseAlarm:
    """Counts, per limit, the steps in a row that were beyond it."""

    def __init__(self, options: AlarmOptions) -> None:
        self.options = options
        self._counts: dict[str, int] = {}

    def check(self, step: int, metrics: Mapping[str, float]) -> None:
        """Look at one step's metrics; CollapseError if a limit was passed for long enough and the action is to stop."""
        beyond = dict(self._beyond(metrics))
        self._counts = {name: self._counts.get(name, 0) + 1 for name in beyond}
        for name, complaint in beyond.items():
            count, limit = self._counts[name], self.options.steps
            message = f"step {step}: {complaint}, for {count} steps in a row (alarm at {limit}, medgrpo.alarm)"
            if count >= limit and self.options.action != "warn":
                raise CollapseError(message + answers_of(step))
            if count >= limit or self.options.action == "both":
                logger.warning(message, extra={"step": step})

    def _beyond(self, metrics: Mapping[str, float]) -> Iterable[tuple[str, str]]:
        options, (low, high) = self.options, self.options.entropy
        parse_rate, entropy, dropped = (
            metrics[f"medgrpo/{name}"] for name in ("parse_rate", "sampled_entropy", "dropped_share")
        )
        cut, pair = max(
            ((value, name) for name, value in metrics.items() if name.endswith("/cut_share") and name.count("/") > 1),
            default=(0.0, ""),
        )
        if parse_rate < options.parse_rate:
            yield "parse_rate", f"only {parse_rate:.0%} of the answers can be parsed, below {options.parse_rate:.0%}"
        if low is not None and entropy < low:
            yield "entropy_low", f"entropy {entropy:.3f} is below {low}"
        if high is not None and entropy > high:
            yield "entropy_high", f"entropy {entropy:.3f} is above {high}"
        if dropped > options.dropped_share:
            causes = {cause: metrics.get(f"medgrpo/dropped_{cause}", 0) for cause in ("media", "judge", "other")}
            why = ", ".join(f"{cause} {number:.0f}" for cause, number in causes.items())
            yield "dropped", f"{dropped:.0%} of the answers ({why}) have no score, above {options.dropped_share:.0%}"
        if cut > options.cut_share:
            who = pair.removeprefix("medgrpo/").removesuffix("/cut_share")
            limit = f"data.max_response_length without ending, above {options.cut_share:.0%}"
            yield "cut", f"{cut:.0%} of the answers of {who} reach {limit}"
