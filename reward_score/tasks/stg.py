# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""STG, spatiotemporal grounding: where is the object, on a grid of times?

Answer: ``1.0 seconds: [235.08, 261.2, 561.58, 1005.62] 5.0 seconds: [274.26, 261.2, 561.58, 1005.62]``; times in
seconds from the clip's first frame, boxes (x1, y1, x2, y2) in pixels of the original frame.

Reward: mean box IoU over the reference's times. It differs knowingly from the leaderboard, where a time without an
answer inherits the previous box: here a missing time counts 0, and so do reversed or infinite corners and malformed
entries. Of several boxes at one time the worst counts, and each enlarges the denominator. Times are compared at one
decimal on both sides, as the reference texts are written; the leaderboard rounds only the reference's.
"""

import math
import re
from functools import lru_cache
from typing import Any

from reward_score.errors import BadGroundTruth
from reward_score.ground_truth import load_struc_info
from reward_score.sample import Rating, Sample
from reward_score.tasks.geometry import Box, box_iou, is_proper_box
from reward_score.tasks.surplus import Range, around, concise

COMPONENTS = ("raw",)

_ENTRY = re.compile(r"(?<!\d)(\d+(?:\.\d+)?)\s+seconds:\s*\[([^\]]+)\]")
_BARE_BOX = re.compile(r"\[\[([\d\s,]+)\]\]")
_VALUE = r"-?\d+(?:\.\d+)?"
_CANONICAL = re.compile(rf"(?:\d+(?:\.\d+)? seconds: \[{_VALUE}(?:, {_VALUE}){{3}}\]\s*)+")
_ABSENT = [0, 0, 0, 0]
# Integers are capped so that areas stay within floats; no frame is that large.
_LARGEST = 10**150


def _four_floats(text: str) -> list[float] | None:
    try:
        values = [float(value.strip().lstrip("[")) for value in text.split(",")]
    except ValueError:
        return None
    return values if len(values) == 4 else None


def _entries(text: str) -> list[tuple[str, list[float] | None, Range]]:
    """All entries in order: time as ``str(float(seconds))``, the box, None where it is malformed, and their place."""
    # Without a closing bracket behind it no entry can match; searching there would cost quadratic time.
    found = _ENTRY.finditer(text, 0, text.rfind("]") + 1)
    return [(str(float(match[1])), _four_floats(match[2]), match.span()) for match in found]


def _bare_boxes(text: str) -> list[list[float]]:
    boxes = []
    for values in _BARE_BOX.findall(text):
        try:
            box = [min(int(value.strip()), _LARGEST) for value in values.split(",")]
        except ValueError:
            continue
        if len(box) == 4:
            boxes.append(box)
    return boxes


def parse(text: str) -> dict[str, list[float]] | list[list[float]]:
    """Boxes by time (``str(float(seconds))``), or a bare list of boxes, as the leaderboard reads them.

    Quirks kept: a malformed entry takes the last well-formed box before it, or is dropped; of a repeated time the last
    entry counts; only if there is no entry at all, ``[[a, b, c, d]]`` lists of integers are taken in order.
    """
    entries = _entries(text)
    if not entries:
        return _bare_boxes(text)
    boxes: dict[str, list[float]] = {}
    last = None
    for time, box, _ in entries:
        last = box or last
        if last is not None:
            boxes[time] = last
    return boxes


def _is_box(box: Any) -> bool:
    if not (isinstance(box, list) and len(box) == 4 and all(isinstance(value, int | float) for value in box)):
        return False
    if any(isinstance(value, int) and abs(value) > _LARGEST for value in box):
        raise BadGroundTruth("bbox_dict: a box has a corner beyond any frame")
    return True


def _bbox_dict(struc_info: Any) -> dict[str, Any]:
    """Reference boxes by time as spelled in the record, in its order; {} when there are none."""
    if not isinstance(struc_info, list | dict):
        return {}
    boxes = (struc_info[0] if struc_info else {}) if isinstance(struc_info, list) else struc_info
    if isinstance(boxes, dict):
        boxes = boxes.get("bbox_dict", boxes)
    if not isinstance(boxes, dict):
        raise BadGroundTruth(f"struc_info needs `bbox_dict`, a dict of time to box; found {type(boxes).__name__}")
    for time in boxes:
        try:
            float(time)
        except ValueError:
            raise BadGroundTruth(f"bbox_dict: key {time!r} is not a time in seconds") from None
    return boxes


def _decimal(time: str) -> str:
    return f"{float(time):.1f}"


@lru_cache(maxsize=4096)
def _references(struc_info: str, answer: str) -> tuple[dict[str, Box], frozenset[str]]:
    """Boxes by time, and the times of all boxes, those without an area included."""
    structured = _bbox_dict(load_struc_info(struc_info)) or parse(answer)
    structured = structured if isinstance(structured, dict) else {}
    labelled = {_decimal(time): box for time, box in structured.items() if _is_box(box)}
    boxes = {time: box for time, box in labelled.items() if is_proper_box(box)}
    if not boxes:
        raise BadGroundTruth("no reference box with an area in struc_info, and none in the reference answer")
    return boxes, frozenset(labelled)


def rate(sample: Sample, fallback: float) -> Rating:
    """Reward parts of one answer.

    Format is 1 in the official form with one proper box for each reference time and no other; where the reference's
    box has no area, any or none. It is `fallback` if there is any proper box, otherwise 0.

    Raw is the IoU summed over the reference's times, divided by a count. Counted are the reference's times, entries at
    other times, and entries at a time that has one already.

    Example:
        >>> from reward_score import make_sample
        >>> reference = "1.0 seconds: [0, 0, 10, 10] 2.0 seconds: [0, 0, 10, 10]"
        >>> rating = rate(make_sample("medvidbench/AVOS/stg", "1.0 seconds: [0, 0, 10, 5]", reference, None), 0.5)
        >>> rating.raw, rating.format
        (0.25, 0.5)
    """
    references, times = _references(sample.struc_info, sample.reference)
    # Unlike in `parse`, an entry has its own box or none: otherwise one box would serve for all times that follow.
    entries = [(_decimal(time), box, place) for time, box, place in _entries(sample.answer)]
    if not entries:
        return _rate_bare(sample, references, fallback)
    boxes: dict[str, list[list[float] | None]] = {}
    useful: dict[str, Range] = {}
    for time, box, place in entries:
        boxes.setdefault(time, []).append(box if box is not None and is_proper_box(box) else None)
        if time in times and box is not None:
            useful.setdefault(time, place)
    if not any(box for own in boxes.values() for box in own):
        return Rating(0.0, 0.0)
    total = sum(
        min(box_iou(box, reference) if box else 0.0 for box in boxes[time])
        for time, reference in references.items()
        if time in boxes
    )
    # Where the reference's box has no area, an answer may have such a box too.
    absent = {time for time in times - references.keys() if boxes.get(time) == [None]}
    claimed = len(references.keys() | (boxes.keys() - absent)) + len(entries) - len(boxes)
    complete = all(boxes.get(time, [None])[0] for time in references)
    exact = complete and boxes.keys() <= times and len(entries) == len(boxes)
    canonical = exact and _CANONICAL.fullmatch(sample.answer.strip())
    factor = concise(around(sample.answer, useful.values()), sample.reference)
    return Rating(1.0 if canonical else fallback, total / claimed, concise=factor)


def _rate_bare(sample: Sample, references: dict[str, Box], fallback: float) -> Rating:
    """A bare list of boxes, taken in the order of the reference's times."""
    bare = _bare_boxes(sample.answer)
    pairs = [pair for pair in zip(bare, references.values(), strict=False) if is_proper_box(pair[0])]
    if not pairs:
        return Rating(0.0, 0.0)
    raw = sum(box_iou(*pair) for pair in pairs) / max(len(references), len(bare))
    places = [match.span() for match in _BARE_BOX.finditer(sample.answer)][: len(references)]
    return Rating(fallback, raw, concise=concise(around(sample.answer, places), sample.reference))


def metric(prediction: str, struc_info: Any) -> dict[str, Any]:
    """Mean IoU of one record, as the leaderboard computes it.

    Quirks kept: the reference's time is rounded to one decimal, the predicted one is not, so "8.04" never matches; a
    missing first box is a zero box, later ones repeat the one before; four zeros count as missing; a bare list of
    boxes is keyed by the reference's own spelling, so that only keys with exactly one decimal match; reference boxes
    that are not four numbers are dropped; a record without references, or with none left, is left out.
    Where the official code fails (a nan or an infinity whose IoU is undefined), that box scores 0.

    Returns:
        `parsed`, and `mean_iou`: None when the record is left out.
    """
    parsed = parse(prediction)
    references = _bbox_dict(struc_info)
    boxes = parsed if isinstance(parsed, dict) else dict(zip(references, parsed, strict=False))
    ious: list[float] = []
    previous: Box = _ABSENT
    for time, reference in references.items():
        box = boxes.get(_decimal(time), _ABSENT)
        if box == _ABSENT:
            box = previous
        previous = box
        if _is_box(reference):
            ious.append(box_iou(box, reference))
    return {"parsed": parsed, "mean_iou": math.fsum(ious) / len(ious) if ious else None}
