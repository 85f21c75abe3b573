# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Which captions are kept: two models must agree, and none may break a rule that needs no model."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from recipe.medgrpo.captions.author import SLOTS
from recipe.medgrpo.captions.request import Request
from reward_score.sample import CaptionPair
from reward_score.similarity import SentenceEncoder

#: Published: pairs whose sentences are less similar are dropped.
THRESHOLD = 0.3
BATCH = 256
#: Words of one caption, by task.
LENGTHS = {"vs": (8, 250), "rc": (5, 100), "dvc": (3, 100)}
_REFUSAL = re.compile(r"\b(I'm sorry|I am sorry|I can(no|')t|unable to|as an AI|not able to (see|determine))\b", re.I)
_META = re.compile(r"\b(annotat\w+|bounding box(es)?|green box|the frames?|image \d+|screenshots?)\b", re.I)
_TIME = re.compile(r"(\d+(?:\.\d+)?)\s*(?:s|sec|secs|seconds?)\b", re.I)
_WORD = re.compile(r"[a-z]{4,}")
_STEM, _SLACK = 5, 0.5
_COMMON = {"phase", "said", "the", "with", "from", "holds", "hand", "hands", "null", "verb"}


@dataclass
class Pair:
    """Captions of a request by slot, each a list of sentences, one for each event of a dense one.

    ``similarity`` is None where one is missing; ``reasons`` says by slot why a caption is dropped.
    """

    request: Request
    captions: Mapping[str, list[str]]
    similarity: float | None = None
    reasons: dict[str, str] = field(default_factory=dict)

    def text(self, slot: str) -> str:
        return "\n".join(self.captions[slot])

    def kept(self) -> list[str]:
        return [slot for slot in self.captions if slot not in self.reasons]

    def rejected(self, slot: str) -> dict[str, Any]:
        """Its line in the list of rejected captions."""
        record, own = self.request.record, {"slot": slot, "reason": self.reasons[slot]}
        names = {"id": record["id"], "key": self.request.key, "qa_type": record["qa_type"]}
        return names | own | {"similarity": self.similarity, "captions": dict(self.captions)}


def pair_up(requests: Iterable[Request], captions: Mapping[tuple[str, str, str], list[str]]) -> Iterator[Pair]:
    """The requests with their captions, if any; of several models in a slot the last one's."""
    by_place = {(key, slot): texts for (key, slot, _), texts in captions.items()}
    for request in requests:
        own = {slot: by_place[request.key, slot] for slot in SLOTS if (request.key, slot) in by_place}
        yield Pair(request, own)


def judge_pairs(pairs: Iterable[Pair], encoder: SentenceEncoder, threshold: float) -> Iterator[Pair]:
    """The pairs with similarity and reasons."""
    pairs = iter(pairs)
    while some := list(islice(pairs, BATCH)):
        yield from _judged(some, encoder, threshold)


def _judged(pairs: list[Pair], encoder: SentenceEncoder, threshold: float) -> list[Pair]:
    whole = [pair for pair in pairs if len(pair.captions) == len(SLOTS)]
    asked = [CaptionPair(*(pair.text(slot) for slot in SLOTS)) for pair in whole]
    for pair, similarity in zip(whole, encoder.similarity(asked) if asked else [], strict=True):
        pair.similarity = similarity
    for pair in pairs:
        for slot in pair.captions:
            reason = broken_rule(pair.request, pair.captions[slot])
            if pair.similarity is None:
                reason = "the other model wrote no caption"
            elif pair.similarity < threshold:
                reason = f"similarity {pair.similarity:.2f} is below {threshold:g}"
            if reason:
                pair.reasons[slot] = reason
    return pairs


def broken_rule(request: Request, captions: list[str]) -> str:
    """Why a caption cannot be right, "" if no rule says so."""
    low, high = LENGTHS[request.task]
    for caption in captions:
        if found := _REFUSAL.search(caption) or _META.search(caption):
            return f"says {found.group()!r}"
        if not low <= len(caption.split()) <= high:
            return f"{len(caption.split())} words; {low} to {high} are allowed"
        if not caption.endswith((".", "!", "?", '"', ")")):
            return "ends in the middle of a sentence"
        times = [float(time) for time in _TIME.findall(caption)]
        if late := [time for time in times if time > request.seconds + _SLACK]:
            return f"names {late[0]:g} s in a clip of {request.seconds:g} s"
    labels = [label for _, _, label in request.events] or _labels(request)
    said = _stems(" ".join(captions))
    if labels and not any(_stems(label) & said for label in labels):
        return f"mentions none of the annotations ({', '.join(labels[:3])})"
    return ""


def _labels(request: Request) -> list[str]:
    """What the annotations name: of a region its object, of a clip all labels."""
    lines = request.record["evidence"]["lines"]
    if request.task == "rc":
        lines = lines[:1]
    return list(dict.fromkeys(line.split(": ", 1)[-1] for line in lines))


def _stems(text: str) -> set[str]:
    return {word[:_STEM] for word in _WORD.findall(text.lower()) if word not in _COMMON}


def record_with(pair: Pair, slot: str) -> dict[str, Any]:
    """The record with this slot's caption as its answer."""
    record, captions = copy.copy(pair.request.record), pair.captions[slot]
    del record["evidence"]
    answer = captions[0]
    if pair.request.task == "dvc":
        events = [(*event, text) for event, text in zip(pair.request.events, captions, strict=True)]
        spans = [{"start": start, "end": end, "caption": text} for start, end, _, text in events]
        answer = "\n".join(f"{start}-{end} seconds: {label.lower()}: {text}" for start, end, label, text in events)
        record["struc_info"] = [{"dc_segments": spans}] if record["data_source"] == "NurViD" else [spans]
    record["qa_type"] = f"{record['qa_type']}_{slot}"
    record["conversations"] = [*record["conversations"], {"from": "gpt", "value": answer}]
    return record
