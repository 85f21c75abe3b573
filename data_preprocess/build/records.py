# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Drafts -> records in MedVidBench's schema with worded questions, and requests for captions."""

import json
import zlib
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from data_preprocess.build.annotated import AnnotatedVideo, Source
from data_preprocess.build.tasks import Draft

QA_TYPES = {
    "tag": "tal", "stg": "stg", "nap": "next_action", "sa": "skill_assessment", "cvs": "cvs_assessment",
    "vs": "video_summary", "rc": "region_caption", "dvc": "dense_captioning",
}  # fmt: skip
#: Boxes that are drawn on a frame for the author of a caption.
_MOST_DRAWN = 6


@cache
def _pools() -> dict[str, Any]:
    return json.loads(Path(__file__).with_name("questions.json").read_text(encoding="utf-8"))


def pick(pool: Sequence[str], key: str) -> str:
    """One of the pool, the same for the same key."""
    return pool[zlib.crc32(key.encode("utf-8", "surrogatepass")) % len(pool)]


def question(source: str, kind: str, words: Mapping[str, Any], key: str) -> str:
    """A question about a clip; ``key`` chooses among the paraphrases of ``kind``, a task or ``stg_one`` (one box)."""
    pools, own = _pools(), _pools()["sources"][source]
    parts = (pools["roles"], own["sentences"], pools["requests"][kind])
    texts = [pick(pool, f"{key} {place}") for place, pool in enumerate(parts)]
    filled = {**words, "field": own["field"]}
    return "<video>\n" + " ".join(text.format_map(filled) for text in texts)


def record_of(draft: Draft, video: AnnotatedVideo, source: Source, paths: Sequence[str], seed: int) -> dict[str, Any]:
    """A record about a clip with these frames; without an answer it holds ``evidence`` in place of the model's turn."""
    clip = draft.clip
    first, last = clip.numbers[0], clip.numbers[-1]
    in_seconds = source.extent.endswith("time")
    extent = (round(clip.start, 2), round(clip.end, 2)) if in_seconds else (first, last)
    fps = str(round(clip.fps, 6))
    name = f"{video.id}&&{first}&&{last}&&{fps}"
    key = f"{seed} {name} {draft.task} {draft.words}"
    metadata = {
        "fps": fps,
        "video_id": video.id,
        source.extent.format("start"): str(extent[0]),
        source.extent.format("end"): str(extent[1]),
    }
    if video.split_group:
        metadata["split_group"] = video.split_group
    turns = [{"from": "human", "value": question(source.name, draft.kind or draft.task, draft.words | {
        "procedure": video.procedure}, key)}]  # fmt: skip
    record = {
        "id": name,
        "conversations": turns,
        "video": paths,
        "sampled_video_frames": list(clip.numbers),
        "metadata": metadata,
        "qa_type": QA_TYPES[draft.task],
        "data_source": source.name,
        "struc_info": list(draft.struc_info),
        "is_RC": draft.region is not None,
        "RC_info": None,
    }
    if draft.region:
        number, box = draft.region
        record["RC_info"] = {"start_frame": paths[clip.numbers.index(number)], "start_frame_bbox": box}
    if draft.answer:
        turns.append({"from": "gpt", "value": draft.answer})
    else:
        record["evidence"] = {
            "lines": list(draft.evidence),
            "events": [list(event) for event in draft.events],
            "boxes": _drawn(draft, video, paths),
        }
    return record


def _drawn(draft: Draft, video: AnnotatedVideo, paths: Sequence[str]) -> dict[str, list]:
    """Frame -> [object, box] of what is in view there; of a region caption its own region alone."""
    if draft.region:
        number, box = draft.region
        return {paths[draft.clip.numbers.index(number)]: [["", box]]}
    drawn: dict[str, list] = {}
    for path, number in zip(paths, draft.clip.numbers, strict=True):
        seen = [[name, boxes[number]] for name, boxes in video.boxes.items() if number in boxes]
        if seen:
            drawn[path] = seen[:_MOST_DRAWN]
    return drawn
