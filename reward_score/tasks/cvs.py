# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""CVS, critical view of safety: Strasberg's three criteria, each scored 0, 1 or 2.

Answer: ``Two structures: 2, Cystic plate: 1, Hepatocystic triangle: 0``.

Reward: share of the reference's components that are exactly right. Unlike in the leaderboard, a component that the
answer leaves out or scores twice is wrong, and numbers nobody asked for enlarge the denominator.
"""

import re
from functools import lru_cache
from typing import Any

from reward_score.errors import BadGroundTruth
from reward_score.ground_truth import load_struc_info, require_numbers, whole_number
from reward_score.sample import Rating, Sample
from reward_score.tasks.surplus import around, concise

COMPONENTS = ("raw",)
_PATTERNS = {
    "two_structures": re.compile(r"two structures?:\s*(\d+)", re.IGNORECASE),
    "cystic_plate": re.compile(r"cystic plate:\s*(\d+)", re.IGNORECASE),
    "hepatocystic_triangle": re.compile(r"hepatocystic triangle:\s*(\d+)", re.IGNORECASE),
}
_DIGITS = re.compile(r"\d+")
_CANONICAL = re.compile(r"Two structures: [0-2], Cystic plate: [0-2], Hepatocystic triangle: [0-2]\.?")
_RATINGS = ((1, "poor"), (3, "fair"), (5, "good"))


def parse(text: str) -> dict[str, int]:
    """Component scores as the leaderboard reads them.

    Quirks kept: items are split at commas only and hold one component each; case is ignored; no range check ("1/2" and
    "1.5" read as 1); the last of repeated components counts; spaces before the colon or other marks do not match.
    """
    scores = {}
    for part in text.lower().split(","):
        name = next((name for name in _PATTERNS if name.replace("_", " ") in part), None)
        if name and (found := _PATTERNS[name].search(part)):
            scores[name] = whole_number(found[1])
    return scores


def _references(struc_info: Any, answer: str) -> dict[str, Any]:
    """Reference scores; quirk kept: the answer's text serves when struc_info holds none."""
    scores = {}
    if struc_info:
        first = struc_info[0] if isinstance(struc_info, list) else None
        if not isinstance(first, dict) or not isinstance(first.get("cvs_scores", {}), dict):
            raise BadGroundTruth("struc_info must be a list of dicts, the first with a dict `cvs_scores`")
        scores = {name: score for name, score in first.get("cvs_scores", {}).items() if name in _PATTERNS}
    return scores or parse(answer)


@lru_cache(maxsize=4096)
def _cached_references(struc_info: str, answer: str) -> dict[str, Any]:
    structured = load_struc_info(struc_info)
    scores = _references([structured] if isinstance(structured, dict) else structured, answer)
    if not scores:
        raise BadGroundTruth("no component scores in struc_info, and none in the reference answer")
    require_numbers(scores, "cvs_scores")
    return scores


def rate(sample: Sample, fallback: float) -> Rating:
    """Reward parts of one answer; format is 1 in the official form, `fallback` if any component is found otherwise.

    Example:
        >>> from reward_score import make_sample
        >>> reference = "Two structures: 2, Cystic plate: 1, Hepatocystic triangle: 0"
        >>> rating = rate(make_sample("medvidbench/Cholec80/cvs", "Two structures: 2", reference, None), 0.5)
        >>> round(rating.raw, 3), rating.format
        (0.333, 0.5)
    """
    references = _cached_references(sample.struc_info, sample.reference)
    scores = parse(sample.answer)
    if not scores:
        return Rating(0.0, 0.0)
    claims = {name: [*pattern.finditer(sample.answer)] for name, pattern in _PATTERNS.items() if name in references}
    right = sum(
        scores.get(name) == score and all(whole_number(claim[1]) == score for claim in claims[name])
        for name, score in references.items()
    )
    useful = [found[0].span() for found in claims.values() if found]
    surplus = len(_DIGITS.findall(sample.answer)) - len(useful)
    canonical = _CANONICAL.fullmatch(sample.answer.strip())
    factor = concise(around(sample.answer, useful), sample.reference)
    return Rating(1.0 if canonical else fallback, right / (len(references) + max(0, surplus)), concise=factor)


def _rating(scores: dict[str, Any]) -> str:
    total = sum(scores.values())
    return next((name for limit, name in _RATINGS if total <= limit), "excellent")


def metric(prediction: str, struc_info: Any, answer: str) -> dict[str, Any]:
    """Components of one record that count for CVS_acc, as the leaderboard counts them.

    Quirk kept: components that the prediction lacks are left out, not wrong.

    Returns:
        `parsed`, `components_correct` (name to 0/1) and `rating_correct` (by total score; not used by CVS_acc).

    Raises:
        BadGroundTruth: struc_info is a dict or holds scores that are no numbers, which break the official code.
    """
    references, parsed = _references(struc_info, answer), parse(prediction)
    require_numbers(references, "cvs_scores")
    correct = {name: int(parsed[name] == score) for name, score in references.items() if name in parsed}
    return {
        "parsed": parsed,
        "components_correct": correct,
        "rating_correct": int(_rating(parsed) == _rating(references)),
    }
