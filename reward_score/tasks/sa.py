# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""SA, skill assessment: six aspects of technical skill, each on a scale of 1 to 5.

Answer: ``Respect for tissue: 2/5, Suture/needle handling: 1/5, Time and motion: 1/5, ...``.

Reward: share of the reference's aspects that are exactly right. Unlike in the leaderboard, an aspect that the answer
leaves out or scores twice is wrong, and scores nobody asked for enlarge the denominator.
"""

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any

from reward_score.errors import BadGroundTruth
from reward_score.ground_truth import load_struc_info, require_numbers, whole_number
from reward_score.sample import Rating, Sample
from reward_score.tasks.surplus import Range, around, concise

COMPONENTS = ("raw",)

# A number is only tried from its first digit on (or right after another score, "2/53/5"): a later start matches nothing
# more and costs quadratic time.
_OUT_OF_FIVE = re.compile(r"(?:(?<!\d)|(?<=\d/5))(\d+)/5")
_VALUE = re.compile(r"\s*(\d+)/5")
_CANONICAL = re.compile(r"[A-Z][^:,]*: [1-5]/5(?:, [A-Z][^:,]*: [1-5]/5)*\.?")
# In the order of the official evaluator, which decides when a label is only contained in a longer text.
_LEVELS = {
    **{"novice": "novice", "beginner": "novice", "intermediate": "intermediate"},
    **{"expert": "expert", "advanced": "expert"},
    **{"n": "novice", "i": "intermediate", "e": "expert"},
    **{"1": "novice", "2": "intermediate", "3": "expert"},
    **{"low": "novice", "medium": "intermediate", "high": "expert"},
    **{"poor": "novice", "good": "intermediate", "excellent": "expert"},
}


def parse(text: str) -> dict[str, int]:
    """Aspect scores as the leaderboard reads them.

    Quirks kept: items are split at commas only and hold one aspect each, so that newline or semicolon lists give just
    the first; names are case-sensitive and include any mark-up; no range check ("2/50" reads as 2); the last of
    repeated aspects counts.
    """
    return dict(_claims(text))


def _claims(text: str) -> list[tuple[str, int]]:
    """Every aspect with its score, in the order of the text."""
    claims = []
    for part in text.split(","):
        fields = part.strip().split(":")
        for name, value in zip(fields, fields[1:], strict=False):
            if name and (found := _VALUE.match(value)):
                claims.append((name.strip(), whole_number(found[1])))
                break
    return claims


def mean_score(text: str) -> float | None:
    """Mean of all ``n/5`` anywhere in the text; None when there is none."""
    scores = [whole_number(digits) for digits in _OUT_OF_FIVE.findall(text)]
    return sum(scores) / len(scores) if scores else None


def _level_of_mean(mean: float | None) -> str | None:
    if mean is None:
        return None
    return "novice" if mean <= 2.0 else "intermediate" if mean <= 3.5 else "expert"


def _level_of_label(label: Any) -> str:
    label = str(label).strip().lower()
    contained = (level for word, level in _LEVELS.items() if word in label)
    return _LEVELS.get(label) or next(contained, label)


def _structured(struc_info: Any) -> dict[str, Any]:
    if not struc_info:
        return {}
    first = struc_info[0] if isinstance(struc_info, list) else None
    if not isinstance(first, dict) or not isinstance(first.get("skill_scores") or {}, dict):
        raise BadGroundTruth("struc_info must be a list of dicts, the first with a dict `skill_scores`")
    return first


@lru_cache(maxsize=4096)
def _references(struc_info: str, answer: str) -> dict[str, Any]:
    structured = load_struc_info(struc_info)
    structured = _structured([structured] if isinstance(structured, dict) else structured)
    scores = structured.get("skill_scores") or parse(answer)
    if not scores:
        raise BadGroundTruth("no aspect scores in struc_info, and none in the reference answer")
    require_numbers(scores, "skill_scores")
    return scores


def rate(sample: Sample, fallback: float) -> Rating:
    """Reward parts of one answer.

    Format is 1 in the official form with every reference aspect once, `fallback` if any aspect is found otherwise.

    Example:
        >>> from reward_score import make_sample
        >>> reference = "Respect for tissue: 2/5, Time and motion: 1/5"
        >>> rating = rate(make_sample("medvidbench/JIGSAWS/sa", "Respect for tissue: 2/5", reference, None), 0.5)
        >>> rating.raw, rating.format
        (0.5, 0.5)
    """
    references = _references(sample.struc_info, sample.reference)
    claims = _claims(sample.answer)
    if not claims:
        return Rating(0.0, 0.0)
    scores: dict[str, set[int]] = {}
    for name, value in claims:
        scores.setdefault(name, set()).add(value)
    right = sum(scores.get(name) == {score} for name, score in references.items())
    # The reference's text may name more aspects than its structure.
    known = references.keys() | parse(sample.reference).keys()
    surplus = len(claims) - len(scores.keys() & known)
    surplus += max(0, len(_OUT_OF_FIVE.findall(sample.answer)) - max(len(known), len(claims)))
    canonical = not surplus and references.keys() <= scores.keys() and _CANONICAL.fullmatch(sample.answer.strip())
    factor = concise(around(sample.answer, _places(sample.answer, known)), sample.reference)
    return Rating(1.0 if canonical else fallback, right / (len(references) + surplus), concise=factor)


def _places(text: str, names: Iterable[str]) -> Iterator[Range]:
    """Where each aspect is first given a score, in lists of any form."""
    for name in names:
        if found := re.search(rf"{re.escape(name)}:?\s{{0,3}}\d+/5", text):
            yield found.span()


def metric(prediction: str, struc_info: Any, answer: str) -> dict[str, Any]:
    """Aspects of one record that count for SA_acc, as the leaderboard counts them.

    Quirks kept: a prediction without any ``n/5``, or a record without a readable level, is left out; so are aspects
    that the prediction lacks (not wrong); level and aspects of the reference fall back to its text.

    Returns:
        `parsed`, `mean_score`, `level`, `gt_level`, `level_correct`, `scored`, `aspects_correct` (name to 0/1).

    Raises:
        BadGroundTruth: struc_info is a dict, or a score that counts is no number; both break the official code.
    """
    parsed, mean = parse(prediction), mean_score(prediction)
    level = _level_of_mean(mean)
    structured = _structured(struc_info)
    label = structured.get("skill_level")
    gt_level = (_level_of_label(label) if label else None) or _level_of_mean(mean_score(answer))
    scored = level is not None and gt_level is not None
    references = structured.get("skill_scores") or parse(answer)
    compared = {name: score for name, score in references.items() if scored and name in parsed}
    require_numbers(compared, "skill_scores")
    return {
        "parsed": parsed,
        "mean_score": mean,
        "level": level,
        "gt_level": gt_level if scored else None,
        "level_correct": int(level == gt_level) if scored else None,
        "scored": scored,
        "aspects_correct": {name: int(parsed[name] == score) for name, score in compared.items()},
    }
