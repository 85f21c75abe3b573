# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""What the reference of a row says, read the same way by all tasks."""

import json
import math
from typing import Any

from reward_score.errors import BadGroundTruth


def _finite(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def read_fps(value: Any, row: str) -> float:
    """Frames per second as a finite number; the released data spell it as text."""
    fps = _finite(value)
    if fps is None:
        raise BadGroundTruth(f"{row}: fps {value!r} is not a number; give the sampled frames per second of the clip")
    return fps


def read_span(item: Any, what: str) -> tuple[float, float]:
    """``start`` and ``end`` of a reference, in seconds; `what` names it in the message, e.g. ``span``."""
    start, end = (_finite(item.get(name) if isinstance(item, dict) else None) for name in ("start", "end"))
    if start is None or end is None:
        raise BadGroundTruth(f"{what} {str(item)[:200]} needs finite numbers `start` and `end` in seconds")
    return start, end


def load_struc_info(text: str) -> Any:
    """Structured ground truth from its JSON text; None when there is none."""
    if not text:
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadGroundTruth(f"struc_info is no JSON ({error}): {text[:80]!r}") from None


def whole_number(digits: str) -> int:
    """Integer of a run of digits; beyond 18 digits it only stays larger than any score (Python refuses > 4,300)."""
    return int(digits.lstrip("0")[:18] or "0")


def require_numbers(scores: dict[str, Any], name: str) -> None:
    """Raise BadGroundTruth if a reference's scores, the record's dict `name`, are not all numbers."""
    if not all(isinstance(score, int | float) for score in scores.values()):
        raise BadGroundTruth(f"{name} must be numbers: {str(scores)[:200]}")
