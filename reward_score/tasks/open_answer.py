# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Closed (yes/no) and open questions with a short text as answer.

What counts is the content of the first answer tags on one line, else the whole answer. Yes/no: right only if exactly
one of the two words occurs and is the reference (MedEvalKit's rule). Other texts: equal to the reference apart from
case, punctuation and spaces; signs beside a number count. Lenient, for evaluation: all answer tags that are not blank,
which must agree, else all but the reasoning; a text is right if it holds the reference as whole words.
"""

import re

from reward_score.errors import BadGroundTruth
from reward_score.sample import Rating, Sample
from reward_score.tasks import answer_tags
from reward_score.tasks.vqa_reward import DEFAULT, VQAOptions, gold, rate_tagged

COMPONENTS = ()

# ">50%" is neither "50%" nor "<50%"; a hyphen within a word or between numbers is no sign.
_WORDS = re.compile(r"(?:[<>≤≥]=?\s{0,3}|(?<![\w)%])[+-])?\d\w*(?:\.\d+)*(?:\s{0,3}%|\+(?!\w))?|\w+")
_BLANK = re.compile(r"\s+")


def _words(text: str) -> list[str]:
    return [_BLANK.sub("", word) for word in _WORDS.findall(text.lower())]


def yes_or_no(text: str) -> str | None:
    """``yes`` or ``no`` if exactly one of them occurs as a word, else None."""
    found = {"yes", "no"}.intersection(_words(text))
    return found.pop() if len(found) == 1 else None


def right(answer: str, reference: str) -> bool:
    """Whether an answer is the reference, by the strict rule."""
    words = _words(reference)
    if words in (["yes"], ["no"]):
        return yes_or_no(answer) == words[0]
    return _words(answer) == words


def holds(answer: str, reference: str) -> bool:
    """Whether an answer is the reference or, where that is no yes or no, has it in it as whole words."""
    words = _words(reference)
    if words in (["yes"], ["no"]):
        return yes_or_no(answer) == words[0]
    return f" {' '.join(words)} " in f" {' '.join(_words(answer))} "


def rate(sample: Sample, fallback: float, options: VQAOptions = DEFAULT) -> Rating:
    """Reward parts of one answer; `fallback` is for other tasks.

    Raises:
        BadGroundTruth: the reference has no word.
        RewardError: see `reward_score.tasks.vqa_reward.rate_tagged`.
    """
    reference = gold(sample)
    if not _words(reference):
        raise BadGroundTruth(f"the reference answer {reference!r} has no word")
    answer = answer_tags.unwrapped(sample.answer)
    accuracy = right(answer, reference)
    offered = answer_tags.offered(sample.answer)
    lenient = bool(offered) and all(holds(one, reference) for one in offered)
    return rate_tagged(sample, options, accuracy, lenient, bool(_words(answer)))
