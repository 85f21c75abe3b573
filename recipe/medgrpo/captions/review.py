# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""A page on which people accept or reject captions, and what their answers say."""

from __future__ import annotations

import html
import json
import random
from collections.abc import Iterable, Sequence
from pathlib import Path
from string import Template
from typing import NamedTuple

from data_preprocess.common.atomic_file import write_whole
from data_preprocess.common.errors import InputError
from recipe.medgrpo.captions.request import picture_url
from recipe.medgrpo.captions.validate import Pair

#: Frames of a clip on the page, and their longer side in pixels.
_FRAMES, _SIDE = 6, 320
VERDICTS = ("accept", "reject")


class Agreement(NamedTuple):
    """Of two reviewers on the captions that both judged; kappa is NaN where both gave one verdict throughout."""

    both: int
    agreed: float
    kappa: float


def write_page(pairs: Iterable[Pair], path: Path, sample: int, seed: int = 0) -> int:
    """Write the page about a sample of the pairs that are kept; the same seed shows all reviewers the same.

    Returns:
        Clips on the page.
    """
    kept = sorted((pair for pair in pairs if len(pair.reasons) < len(pair.captions)), key=lambda pair: pair.request.key)
    chosen = random.Random(seed).sample(kept, min(sample, len(kept)))
    page = Template(Path(__file__).with_name("templates").joinpath("review.html").read_text(encoding="utf-8"))
    write_whole(path, page.substitute(items="\n".join(map(_item, chosen)), count=len(chosen)))
    return len(chosen)


def _item(pair: Pair) -> str:
    request = pair.request
    drawn = request.record["evidence"]["boxes"]
    frames = ((request.record["video"][place], place / request.fps) for place in request.shown(_FRAMES))
    pictures = "".join(f'<figure><img src="{picture_url(path, drawn.get(path, ()), _SIDE)}"><figcaption>{time:.1f} s'
                       "</figcaption></figure>" for path, time in frames)  # fmt: skip
    captions = "".join(_caption(pair, slot) for slot in pair.captions if slot not in pair.reasons)
    question = html.escape(request.record["conversations"][0]["value"].removeprefix("<video>").strip())
    head = f"{request.record['data_source']} {request.task}, similarity {pair.similarity:.2f}"
    return f"<section><h2>{html.escape(head)}</h2><div>{pictures}</div><p>{question}</p>{captions}</section>"


def _caption(pair: Pair, slot: str) -> str:
    name = f"{pair.request.key}/{slot}"
    choices = "".join(
        f'<label><input type="radio" name="{name}" value="{verdict}">{verdict}</label>' for verdict in VERDICTS
    )
    text = html.escape(pair.text(slot)).replace("\n", "<br>")
    return f'<blockquote>{text}</blockquote><p>{choices}<input type="text" data-note="{name}" placeholder="note"></p>'


def read_review(path: Path) -> dict[str, dict[str, str]]:
    """What a reviewer saved: caption -> verdict and note.

    Raises:
        InputError: no such file of ours.
    """
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
