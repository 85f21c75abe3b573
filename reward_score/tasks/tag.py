# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""TAG, temporal action grounding: when does the named action happen?

Answer: ``22.0-78.0, 89.0-94.0 seconds.``, in seconds from the clip's first frame.

Reward: IoU of the *union* of the answered intervals with the union of the reference intervals, so that every second
too many, missed or claimed twice counts; in the leaderboard neither surplus nor missed spans cost anything.

``tag_raw=matched`` is the rule of the authors' development code. Each answered span in turn takes the free reference of
highest IoU. The sum of IoUs is divided by the number of spans in answer or reference, whichever is higher.
"""

import re
from collections import Counter
from functools import lru_cache
from typing import Any, Literal

from reward_score.errors import BadGroundTruth
from reward_score.ground_truth import load_struc_info, read_span
from reward_score.sample import Rating, Sample
from reward_score.tasks.geometry import Span, overlap, span_iou, union_iou, widen, widen_answer
from reward_score.tasks.surplus import Range, around, concise

COMPONENTS = ("raw",)
TagRaw = Literal["union", "matched"]
THRESHOLDS = (0.3, 0.5)

# A number is only tried from its first digit on: a later start matches nothing more and costs quadratic time.
_NUMBER = r"(?<!\d)(\d+(?:\.\d+)?)"
_HYPHEN = re.compile(rf"{_NUMBER}\s*-\s*(\d+(?:\.\d+)?)")
_TO = re.compile(rf"{_NUMBER}(?:s| seconds?)?\s*to\s*(\d+(?:\.\d+)?)", re.IGNORECASE)
_CLOCK = re.compile(r"(?<!\d)(\d+):(\d+):(\d+)\s+to\s+(\d+):(\d+):(\d+)", re.IGNORECASE)
_CANONICAL = re.compile(r"\d+(?:\.\d+)?-\d+(?:\.\d+)?(?:, \d+(?:\.\d+)?-\d+(?:\.\d+)?)* seconds\.?")
_FAR = 1e9
_ROUNDING = 1e-6


def parse(text: str) -> list[Span]:
    """Spans in seconds, in the order of the text, as the leaderboard reads them.

    Quirks kept: a hyphenated pair anywhere (a date, "steps 2-3") hides all "X to Y" pairs; an en dash is no hyphen;
    ``00:00:10 to 00:00:25`` also yields (10, 0). Reversed and zero-length spans are returned as they stand.
    """
    return [span for span, _ in _found(text)]


def _found(text: str) -> list[tuple[Span, Range]]:
    """Spans in seconds as `parse` gives them, each with the place of its text."""
    if spans := [((float(match[1]), float(match[2])), match.span()) for match in _HYPHEN.finditer(text)]:
        return spans
    spans = [((round(float(match[1]), 2), round(float(match[2]), 2)), match.span()) for match in _TO.finditer(text)]
    for match in _CLOCK.finditer(text):
        h1, m1, s1, h2, m2, s2 = map(float, match.groups())
        spans.append(((h1 * 3600 + m1 * 60 + s1, h2 * 3600 + m2 * 60 + s2), match.span()))
    return spans


def _structured_spans(struc_info: Any) -> list[Span]:
    items = struc_info if isinstance(struc_info, list) else []
    listed = [item.get("spans") or [] for item in items if isinstance(item, dict)]
    if wrong := [spans for spans in listed if not isinstance(spans, list)]:
        raise BadGroundTruth(f"`spans` must be a list, not {type(wrong[0]).__name__}")
    return [read_span(span, "span") for spans in listed for span in spans]


@lru_cache(maxsize=4096)
def _references(struc_info: str, answer: str, fps: float) -> tuple[list[Span], list[Span]]:
    """Spans as labelled, and widened."""
    structured = load_struc_info(struc_info)
    spans = _structured_spans([structured] if isinstance(structured, dict) else structured) or parse(answer)
    if not spans:
        raise BadGroundTruth("no reference spans in struc_info, and none in the reference answer")
    spans = [(min(span), max(span)) for span in spans]
    return spans, [widen(span, fps) for span in spans]


def _useful(claims: list[tuple[Span, Range]], references: list[Span]) -> list[Range]:
    """Places of the spans that are said no more often than in the reference, and at most twice as many as it has."""
    often, allowed, useful = Counter(), Counter(references), []
    for span, place in claims:
        often[span] += 1
        if often[span] <= max(1, allowed[span]):
            useful.append(place)
    return useful[: 2 * len(references)]


def _union(spans: list[Span], references: list[Span]) -> float:
    twice = overlap(spans) - overlap(references)
    return union_iou(spans, references, surplus=twice if twice > _ROUNDING else 0.0)


def _matched(spans: list[Span], references: list[Span]) -> float:
    free, total = list(references), 0.0
    for span in spans:
        ious = [span_iou(span, reference) for reference in free]
        if any(ious):
            total += (best := max(ious))
            free.pop(ious.index(best))
    return total / max(len(spans), len(references))


def rate(sample: Sample, fallback: float, tag_raw: TagRaw = "union") -> Rating:
    """Reward parts of one answer.

    Format is 1 in the official form, `fallback` if spans are found otherwise or repeat. It is `fallback` as well if
    some had to be dropped: reversed, endless, or of no length where the reference has a length.

    Example:
        >>> from reward_score import make_sample
        >>> rating = rate(make_sample("medvidbench/AVOS/tag", "from 2 to 4", "1.0-4.0 seconds.", None), 0.5)
        >>> round(rating.raw, 3), rating.format
        (0.667, 0.5)
    """
    references, wide = _references(sample.struc_info, sample.reference, sample.fps)
    found = _found(sample.answer)
    spans, claims = [], []
    for span, place in found:
        widened = widen_answer(span, references, sample.fps) if span[0] <= span[1] < _FAR else None
        if widened is not None:
            spans.append(widened)
            claims.append((span, place))
    if not spans:
        return Rating(0.0, 0.0)
    raw = _matched(spans, wide) if tag_raw == "matched" else _union(spans, wide)
    repeats = len(found) - len({span for span, _ in found})
    complete = len(spans) == len(found) and repeats <= len(references) - len(set(references))
    canonical = complete and _CANONICAL.fullmatch(sample.answer.strip())
    factor = concise(around(sample.answer, _useful(claims, references)), sample.reference)
    return Rating(1.0 if canonical else fallback, raw, concise=factor)


def metric(prediction: str, struc_info: Any, fps: float) -> dict[str, Any]:
    """TAG_mIoU of one record, as the leaderboard computes it.

    References are taken in listed order, each matched to the unused prediction of highest IoU; the value is the mean
    IoU of the matches at or above the threshold. Quirks kept: surplus predictions and unmatched references cost
    nothing; the value at 0.5 may exceed that at 0.3; references come from `struc_info` only and only if it is a list,
    otherwise the record has none and counts as 0.

    Returns:
        `parsed` and `gt_spans` (seconds), and per threshold t `mIoU@t` and `recall@t`.
    """
    parsed, references = parse(prediction), _structured_spans(struc_info)
    result: dict[str, Any] = {"parsed": parsed, "gt_spans": references}
    # In frames, like the official evaluator: it changes no IoU, but rounds ties at a threshold the same way.
    frames = [(start * fps, end * fps) for start, end in parsed]
    for threshold in THRESHOLDS:
        free, matched = list(frames), []
        for start, end in references:
            ious = [span_iou(span, (start * fps, end * fps)) for span in free]
            best = max(range(len(ious)), key=ious.__getitem__, default=None)
            if best is not None and ious[best] >= threshold:
                matched.append(ious[best])
                free.pop(best)
        result[f"mIoU@{threshold}"] = sum(matched) / len(matched) if matched else 0.0
        result[f"recall@{threshold}"] = len(matched) / len(references) if references else 0.0
    return result
