# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Overlap of intervals and of boxes: the only place where IoU is computed."""

import math
from collections.abc import Iterable, Sequence

Span = tuple[float, float]
Box = Sequence[float]


def span_iou(a: Span, b: Span, hull: bool = True) -> float:
    """IoU of two intervals (start, end); 0 if either is reversed or has no length.

    The leaderboard divides by the hull in TAG, and by the sum less the overlap in DVC: the same number up to rounding,
    which decides ties at a threshold.
    """
    overlap = min(a[1], b[1]) - max(a[0], b[0])
    if not overlap > 0:
        return 0.0
    union = max(a[1], b[1]) - min(a[0], b[0]) if hull else (a[1] - a[0]) + (b[1] - b[0]) - overlap
    return overlap / union if 0 < union < math.inf else 0.0


def merge_spans(spans: Iterable[Span]) -> list[Span]:
    """The same set of points as sorted, disjoint intervals."""
    merged: list[Span] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            if end > merged[-1][1]:
                merged[-1] = (merged[-1][0], end)
        else:
            merged.append((start, end))
    return merged


def widen(span: Span, fps: float) -> Span:
    """A zero-length span (a real label) widened by half a frame period on either side; others as they stand."""
    start, end = span
    if start != end:
        return span
    # A frame that lasts beyond 1,000 s is a slip of the metadata; its period must stay a number.
    half = 0.5 / max(fps, 1e-3) if fps > 0 else 0.5
    return start - half, end + half


def widen_answer(span: Span, references: Sequence[Span], fps: float) -> Span | None:
    """An answered span as `widen` makes it; None for one of zero length that meets no labelled one of zero length: at a
    low rate it would cover most of a longer reference."""
    if span[0] != span[1]:
        return span
    wide = widen(span, fps)
    moments = (widen(other, fps) for other in references if other[0] == other[1])
    return wide if any(wide[0] < end and start < wide[1] for start, end in moments) else None


def overlap(spans: Sequence[Span]) -> float:
    """Length that intervals cover more than once."""
    return sum(end - start for start, end in spans) - sum(end - start for start, end in merge_spans(spans))


def union_iou(a: Sequence[Span], b: Sequence[Span], surplus: float = 0.0) -> float:
    """IoU of two unions of intervals: the common length over that of the whole plus `surplus`; 0 if that is 0."""
    a, b = merge_spans(a), merge_spans(b)
    common, i, j = 0.0, 0, 0
    while i < len(a) and j < len(b):
        common += max(0.0, min(a[i][1], b[j][1]) - max(a[i][0], b[j][0]))
        if a[i][1] < b[j][1]:
            i += 1
        else:
            j += 1
    whole = sum(end - start for start, end in a) + sum(end - start for start, end in b) - common + surplus
    return min(1.0, common / whole) if whole > 0 else 0.0


def box_iou(a: Box, b: Box) -> float:
    """IoU of two boxes (x1, y1, x2, y2) in pixels; reversed corners give 0, numbers that overflow give 0."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if not (width > 0 and height > 0):
        return 0.0
    overlap = width * height
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - overlap
    iou = overlap / max(union, 1e-6)
    return iou if iou <= 1e300 and iou == iou else 0.0


def is_proper_box(box: Box) -> bool:
    """Whether a box has finite corners in order and an area."""
    x1, y1, x2, y2 = box
    return -1e300 < x1 < x2 < 1e300 and -1e300 < y1 < y2 < 1e300
