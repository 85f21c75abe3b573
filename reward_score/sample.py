# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""One answer together with everything that is needed to score it, and what a task makes of it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from reward_score.errors import BadGroundTruth, RewardError, UnknownTask
from reward_score.ground_truth import read_fps

#: Fields of `Sample` that an extra_info may hold as they are.
_OPTIONAL = {
    **dict.fromkeys(("question", "options", "answer_text", "finish_reason"), str),
    **dict.fromkeys(("response_length", "max_response_length"), int),
}


class CaptionPair(NamedTuple):
    """Two texts to be compared; also the unit that encoders and judges work on."""

    candidate: str
    reference: str


class Claim(NamedTuple):
    """Reasoning, for an expert to judge, and the question and right answer that it should lead to."""

    reasoning: str
    question: str
    answer: str


@dataclass(frozen=True, slots=True)
class Sample:
    """One row with one answer.

    Args:
        source, task: of the data_source, e.g. ``CoPESD`` and ``stg``.
        answer, reference: the model's text and the reference answer's.
        struc_info: the record's structured ground truth as JSON text, ``""`` when there is none.
        fps: frames per second of the sampled clip.
        row: names the row in error messages.
        question, options, answer_text: options as a JSON list of texts, and the right one's text; ``""`` for none.
        response_length, max_response_length: tokens of the answer, and their limit; None when unknown.
        finish_reason: ``length`` if the answer reached its limit without ending, ``stop`` if it ended; None when nobody
            said so, and then an answer of `max_response_length` tokens counts as cut.
    """

    source: str
    task: str
    answer: str
    reference: str
    struc_info: str
    fps: float
    row: str
    question: str = ""
    options: str = ""
    answer_text: str = ""
    response_length: int | None = None
    max_response_length: int | None = None
    finish_reason: str | None = None

    @property
    def cut(self) -> bool:
        """Whether the answer reached its token limit without ending."""
        if self.finish_reason is not None or None in (self.response_length, self.max_response_length):
            return self.finish_reason == "length"
        return self.response_length >= self.max_response_length

    def overlong_factor(self, buffer: float) -> float:
        """DAPO's soft overlong punishment (arXiv 2503.14476, section 3.4) as a factor: 1 up to where the last share
        `buffer` of the token limit begins, from there down to 0 at the limit; a buffer of 0 switches it off.
        """
        if buffer == 0:
            return 1.0
        if self.cut:
            return 0.0
        if None in (self.response_length, self.max_response_length):
            return 1.0
        left = self.max_response_length - self.response_length
        return min(1.0, max(0.0, left / (buffer * self.max_response_length)))


@dataclass(slots=True)
class Rating:
    """What a task's rules say about an answer.

    Args:
        format: factor in [0, 1]; 0 means that nothing could be parsed.
        raw: accuracy in [0, 1] by rule, None for tasks that are judged by captions alone.
        pairs, n_pairs: captions to compare, and how many there should have been; those missing count as 0.
        parts: components of a reward that is a weighted sum (`reward_score.tasks.vqa_reward`); {} for all others.
        claim: see `Claim`; None without one.
        concise: factor in (0, 1] on format and on all components (`reward_score.tasks.surplus`).
    """

    format: float
    raw: float | None = None
    pairs: list[CaptionPair] = field(default_factory=list)
    n_pairs: int = 0
    parts: dict[str, float] = field(default_factory=dict)
    claim: Claim | None = None
    concise: float = 1.0

    @property
    def in_range(self) -> bool:
        """Whether format and raw are in [0, 1] up to rounding, and concise in (0, 1]; NaN is not."""
        shares = all(-1e-6 <= value <= 1 + 1e-6 for value in (self.format, self.raw or 0.0))
        return shares and 0 < self.concise <= 1

    def failed(self) -> "Rating":
        """The same answer as one that earns nothing; `parts` that are known stay as they are, to be logged."""
        parts = self.parts if self.claim is None else self.parts | {"alignment": 0.0}
        return Rating(0.0, None if self.raw is None else 0.0, [], self.n_pairs, parts)


def split_data_source(data_source: str) -> tuple[str, str]:
    """Source and task of a data_source."""
    parts = data_source.split("/") if isinstance(data_source, str) else ()
    if len(parts) != 3 or not all(parts):
        raise UnknownTask(
            f"data_source {data_source!r} is not of the form <benchmark>/<source>/<task>, e.g. medvidbench/CoPESD/stg"
        )
    return parts[1], parts[2]


def _json_text(struc_info: Any, row: str) -> str:
    if isinstance(struc_info, str | None):
        return (struc_info or "").strip()
    try:
        return json.dumps(struc_info)
    except (TypeError, ValueError, RecursionError) as error:
        raise BadGroundTruth(f"{row}: extra_info['struc_info'] is no JSON: {error}; give JSON text") from None


def make_sample(data_source: str, answer: str, ground_truth: str, extra_info: Mapping[str, Any] | None) -> Sample:
    """Sample from the arguments that verl hands to a reward function.

    Args:
        data_source: ``<benchmark>/<source>/<task>``, e.g. ``medvidbench/CoPESD/stg``.
        answer, ground_truth: the decoded response, and the reference answer's text.
        extra_info: may hold ``index`` and the fields of `Sample` from ``struc_info`` on.

    Raises:
        UnknownTask: data_source of another form.
        RewardError: the answer is no text.
        BadGroundTruth: something else cannot be read; the message names the row and the field.
    """
    source, task = split_data_source(data_source)
    extra = extra_info if extra_info is not None else {}
    if not isinstance(extra, Mapping):
        raise BadGroundTruth(f"{data_source}: extra_info is {type(extra).__name__}, must be a mapping")
    row = data_source if extra.get("index") is None else f"{data_source} (index {extra['index']})"
    if not isinstance(answer, str):
        raise RewardError(f"{row}: the answer is {type(answer).__name__}, must be text")
    if not isinstance(ground_truth, str):
        raise BadGroundTruth(f"{row}: ground_truth is {type(ground_truth).__name__}, must be the reference's text")
    given = {name: extra[name] for name in _OPTIONAL if extra.get(name) not in (None, "")}
    for name, value in given.items():
        if not isinstance(value, _OPTIONAL[name]):
            wanted = "text" if _OPTIONAL[name] is str else "a number of tokens"
            raise BadGroundTruth(f"{row}: extra_info[{name!r}] is {type(value).__name__}, must be {wanted}")
    return Sample(
        source=source,
        task=task,
        answer=answer,
        reference=ground_truth,
        struc_info=_json_text(extra.get("struc_info"), row),
        fps=1.0 if extra.get("fps") is None else read_fps(extra["fps"], row),
        row=row,
        **given,
    )


def make_samples(
    data_sources: Sequence[str],
    solution_strs: Sequence[str],
    ground_truths: Sequence[str],
    extra_infos: Sequence[Mapping[str, Any] | None] | None = None,
) -> list[Sample]:
    """Samples from columns of equal length; see `make_sample`."""
    extras = extra_infos if extra_infos is not None else [None] * len(data_sources)
    rows = zip(data_sources, solution_strs, ground_truths, extras, strict=True)
    return [make_sample(*row) for row in rows]
