# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""MCQ, multiple choice: which letter?

Accuracy, strict: Med-R1's reward to the letter. The first pair of answer tags on one line holds exactly the right
letter, capital; without such tags the whole answer is that letter. Lenient, for evaluation: also "C) CT", "(c)", "the
answer is C", or the text of exactly one option.
"""

import json
import re
from functools import lru_cache

from reward_score import tagged
from reward_score.errors import BadGroundTruth
from reward_score.sample import Rating, Sample
from reward_score.vqa import DEFAULT, VQAOptions, gold, rate_tagged

COMPONENTS = ()

_LETTER = re.compile(r"[A-Z]")
_LEADING = re.compile(r"\(?([A-Za-z])(?:$|\)|[.:](?:\s|$|(?=[A-Za-z])))")
_STATED = re.compile(r"\b(?:answer|choice|option)(?: is)?:? {0,3}\(?([A-Z])\b(?! [a-z])", re.IGNORECASE)
_MANY = 26


@lru_cache(maxsize=4096)
def read_options(text: str) -> tuple[str, ...]:
    """Option texts from the row's JSON list; () if there is none.

    Raises:
        BadGroundTruth: not a JSON list of at most 26 texts.
    """
    if not text:
        return ()
    try:
        options = json.loads(text)
    except ValueError:
        options = None
    if not isinstance(options, list) or len(options) > _MANY or not all(isinstance(one, str) for one in options):
        raise BadGroundTruth(f"extra_info['options'] is no JSON list of texts: {text[:80]!r}")
    return tuple(options)


def strict(text: str) -> str:
    """The letter that counts in training: content of the first answer tags, else the whole answer."""
    found = tagged.first_answer(text)
    return (text if found is None else found).strip()


def lenient(text: str, options: tuple[str, ...] = ()) -> str | None:
    """The letter that a reader of good will takes from an answer, in capitals; None if there is none, or several."""
    answer = tagged.final_text(text)
    if leading := _LEADING.match(answer):
        return leading[1].upper()
    stated = {letter.upper() for letter in _STATED.findall(answer)}
    if len(stated) == 1:
        return stated.pop()
    lowered = answer.lower()
    named = {i: option.lower().strip().rstrip(".") for i, option in enumerate(options)}
    named = {i: option for i, option in named.items() if option and re.search(rf"\b{re.escape(option)}\b", lowered)}
    # "CT" inside "CT angiography" is not named by itself.
    named = {i: one for i, one in named.items() if not any(one != other and one in other for other in named.values())}
    return chr(ord("A") + next(iter(named))) if len(named) == 1 else None


def rate(sample: Sample, fallback: float, options: VQAOptions = DEFAULT) -> Rating:
    """Reward parts of one answer; `fallback` is for other tasks.

    Raises:
        BadGroundTruth: the reference is no letter of the options.
        RewardError: see `reward_score.vqa.rate_tagged`.
    """
    letter, texts = gold(sample), read_options(sample.options)
    if not _LETTER.fullmatch(letter) or (texts and ord(letter) - ord("A") >= len(texts)):
        raise BadGroundTruth(f"the reference {letter!r} is not the letter of one of {len(texts) or _MANY} options")
    chosen, read = strict(sample.answer), lenient(sample.answer, texts)
    right = chosen == letter
    readable = right or read is not None or tagged.answer_word(sample.answer) is not None
    return rate_tagged(sample, options, right, right or read == letter, readable)
