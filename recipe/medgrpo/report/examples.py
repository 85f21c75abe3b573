# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Answers before and after, with the frames they speak of: what a person looks at first in a report."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow.parquet as pq
from PIL import Image, ImageDraw

from data_preprocess.media.frames import FrameError, read_frame
from recipe.medgrpo.common.run_folder import RunDirError
from recipe.medgrpo.evaluation.answers import check_rows
from recipe.medgrpo.report.run_data import Evaluation
from reward_score.tasks import stg, tag

THUMBNAILS = 4
THUMBNAIL_HEIGHT = 96
#: Okabe-Ito colours of reference, before and after, told apart by everyone; the page's legend uses the same.
COLORS = {"reference": "#009E73", "before": "#8A94A6", "after": "#0072B2"}


class Thumbnail(NamedTuple):
    """A small picture as a data URI and its time in the clip, in seconds."""

    uri: str
    seconds: float


class Bar(NamedTuple):
    """Answered intervals as (left, width) in percent of the clip."""

    who: str
    parts: list[tuple[float, float]]


class Example(NamedTuple):
    """One held-out row: ``texts`` of reference, before and after, and the latter two's ``scores`` (raw, reward).

    ``broken`` says what is wrong with frames that are files and no pictures.
    """

    kind: str
    source: str
    question: str
    texts: dict[str, str]
    scores: dict[str, tuple[float | None, float | None]]
    thumbnails: list[Thumbnail]
    broken: list[str]
    timeline: list[Bar]


def pick(before: Evaluation, after: Evaluation, tasks: Sequence[str]) -> dict[str, list[tuple[str, int]]]:
    """Rows to show: per task the largest gain, the median change and the largest loss, gains first; a row once.

    The rule is fixed so that a report cannot be flattered by choice. Only the first answer to a row counts here.
    """
    old, new = _first_answers(before), _first_answers(after)
    chosen: dict[str, list[tuple[str, int]]] = {}
    for task in tasks:
        # An answer that the judge gave no verdict on has no score.
        scored = [i for i in old if old[i]["task"] == task and None not in (old[i]["score"], new[i]["score"])]
        changes = sorted((new[i]["score"] - old[i]["score"], i) for i in scored)
        if not changes:
            continue
        picks = {"largest gain": changes[-1], "typical": changes[len(changes) // 2], "largest loss": changes[0]}
        rows: dict[int, str] = {}
        for kind, (change, index) in picks.items():
            if kind == "typical" or (change > 0 if kind == "largest gain" else change < 0):
                rows.setdefault(index, kind)
        chosen[task] = [(kind, index) for index, kind in rows.items()]
    return chosen


def _first_answers(side: Evaluation) -> dict[int, dict[str, Any]]:
    return {result["index"]: result for result in reversed(side.results)}


def build(before: Evaluation, after: Evaluation, tasks: Sequence[str], parquet: Path) -> dict[str, list[Example]]:
    """The examples of each task. Frames that are not on this machine leave an example without thumbnails."""
    check_rows(parquet)
    columns = [name for name in ("videos", "images", "extra_info") if name in pq.read_schema(parquet).names]
    table = pq.read_table(parquet, columns=columns)
    old, new = _first_answers(before), _first_answers(after)
    if max(old) >= table.num_rows:
        raise RunDirError(f"{parquet} has {table.num_rows} rows, and row {max(old)} was answered: it is another file")

    def example(kind: str, index: int) -> Example:
        row, task = table.slice(index, 1).to_pylist()[0], old[index]["task"]
        frames, fps = _frames(row)
        answers = {"before": old[index], "after": new[index]}
        texts = {"reference": old[index]["ground_truth"]} | {who: one["response"] for who, one in answers.items()}
        thumbnails, broken = _thumbnails(frames, fps, texts if task == "stg" else {})
        return Example(
            kind,
            old[index]["source"],
            row["extra_info"]["question"],
            texts,
            scores={who: (one["raw"], one["score"]) for who, one in answers.items()},
            thumbnails=thumbnails,
            broken=broken,
            timeline=_timeline(texts, len(frames) / fps) if task == "tag" else [],
        )

    return {task: [example(*one) for one in picks] for task, picks in pick(before, after, tasks).items()}


def _frames(record: dict[str, Any]) -> tuple[list[str], float]:
    """Frame paths of a row's first clip and its frames per second (1 for still images)."""
    if record.get("videos"):
        return record["videos"][0]["video"], record["videos"][0]["sample_fps"]
    return [image["image"] if isinstance(image, dict) else image for image in record.get("images") or []], 1.0


def _thumbnails(frames: Sequence[str], fps: float, texts: dict[str, str]) -> tuple[list[Thumbnail], list[str]]:
    parsed = {who: stg.parse(text) for who, text in texts.items()}
    # A bare list of boxes names no times: nothing to draw it on.
    boxes = {who: {float(at): b for at, b in found.items()} for who, found in parsed.items() if isinstance(found, dict)}
    # With boxes, the frames that the reference speaks of; otherwise frames at equal distances, ends included.
    times = sorted(boxes["reference"]) if boxes.get("reference") else [i / fps for i in range(len(frames))]
    step = max(1.0, (len(times) - 1) / (THUMBNAILS - 1))
    thumbnails, broken = [], []
    for seconds in (times[round(k * step)] for k in range(min(THUMBNAILS, len(times)))):
        path = Path(frames[min(len(frames) - 1, round(seconds * fps))])
        if path.is_file():
            try:
                image = read_frame(str(path))
            except FrameError as error:
                broken.append(str(error))
                continue
            thumbnails.append(Thumbnail(_picture(image, {who: b.get(seconds) for who, b in boxes.items()}), seconds))
    return thumbnails, broken


def _picture(image: Image.Image, boxes: dict[str, Sequence[float] | None]) -> str:
    scale = THUMBNAIL_HEIGHT / image.height
    image = image.resize((max(1, round(image.width * scale)), THUMBNAIL_HEIGHT), Image.Resampling.LANCZOS)
    draw = ImageDraw.Draw(image)
    for who, box in boxes.items():
        if box is not None and box[0] < box[2] and box[1] < box[3]:
            draw.rectangle([value * scale for value in box], outline=COLORS[who], width=2)
    buffer = io.BytesIO()
    image.save(buffer, format="JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def _timeline(texts: dict[str, str], duration: float) -> list[Bar]:
    """Bars of the spans in ``texts`` over a clip of ``duration`` seconds, parts outside of it left out."""

    def parts(text: str) -> list[tuple[float, float]]:
        spans = ((max(0.0, start), min(duration, end)) for start, end in tag.parse(text))
        return [(100 * a / duration, max(0.6, 100 * (b - a) / duration)) for a, b in spans if a <= b]

    return [Bar(who, parts(text)) for who, text in texts.items()]
