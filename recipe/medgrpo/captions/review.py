# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""A page on which people accept or reject captions, and what their answers say."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from data_preprocess.common.atomic_file import write_whole
from data_preprocess.common.errors import InputError
from recipe.medgrpo.captions.request import Request, picture_url
from recipe.medgrpo.captions.validate import Pair

TEMPLATES = Path(__file__).with_name("templates")
#: Frames of a clip on the page, and their longer side in pixels.
_FRAMES, _SIDE = 6, 320
VERDICTS = ("accept", "reject")


class Agreement(NamedTuple):
    """Of two reviewers on the captions that both judged; kappa is NaN where both gave one verdict throughout."""

    both: int
    agreed: float
    kappa: float


def write_page(pairs: Iterable[Pair], path: Path, sample: int, seed: int = 0) -> int:
    """Write the page about a sample of the pairs that are kept, and return its number of clips.

    The same seed shows all reviewers the same.
    """
    from jinja2 import Environment, FileSystemLoader

    kept = sorted((pair for pair in pairs if pair.kept()), key=lambda pair: pair.request.key)
    chosen = random.Random(seed).sample(kept, min(sample, len(kept)))
    page = Environment(autoescape=True, loader=FileSystemLoader(TEMPLATES), trim_blocks=True).get_template(
        "review.html"
    )
    write_whole(path, page.render(pairs=chosen, verdicts=VERDICTS, pictures=_pictures))
    return len(chosen)


def _pictures(request: Request) -> list[tuple[str, float]]:
    """Frames of the clip with their boxes, as data URLs, and their times."""
    drawn, places = request.record["evidence"]["boxes"], request.shown(_FRAMES)
    paths = [request.record["video"][place] for place in places]
    urls = [picture_url(path, drawn.get(path, ()), _SIDE) for path in paths]
    return [(url, place / request.fps) for url, place in zip(urls, places, strict=True)]


def read_review(path: Path) -> dict[str, dict[str, str]]:
    """What a reviewer saved: caption -> verdict and note."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))["captions"]
        wrong = [name for name, entry in found.items() if entry["verdict"] not in VERDICTS]
    except (ValueError, KeyError, TypeError, AttributeError):
        raise InputError(f"{path} is no review: expected the JSON file that the page saves") from None
    if wrong:
        raise InputError(f"{path}, {wrong[0]}.verdict: expected {' or '.join(VERDICTS)}")
    return found


def apply_reviews(pairs: Iterable[Pair], reviews: Sequence[dict[str, dict[str, str]]]) -> Iterable[Pair]:
    """The pairs, without captions that any reviewer rejected."""
    for pair in pairs:
        for slot in pair.captions:
            for entry in (review.get(f"{pair.request.key}/{slot}") for review in reviews):
                if entry and entry["verdict"] == "reject":
                    note = entry.get("note") or "no note"
                    pair.reasons.setdefault(slot, f"rejected by a reviewer: {note}")
        yield pair


def agreement(first: dict[str, dict[str, str]], second: dict[str, dict[str, str]]) -> Agreement:
    """Share of equal verdicts, and Cohen's kappa: the share beyond what chance alone would give."""
    both = [(first[name]["verdict"], second[name]["verdict"]) for name in first.keys() & second.keys()]
    if not both:
        return Agreement(0, float("nan"), float("nan"))
    agreed = sum(one == other for one, other in both) / len(both)
    shares = [[sum(pair[side] == verdict for pair in both) / len(both) for side in (0, 1)] for verdict in VERDICTS]
    chance = sum(one * other for one, other in shares)
    return Agreement(len(both), agreed, (agreed - chance) / (1 - chance) if chance < 1 else float("nan"))
