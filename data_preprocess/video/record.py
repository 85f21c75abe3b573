# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""One record of a MedVidBench JSON file, checked field by field without touching a frame.

The schema is that of the MedVidBench / MedVidU dataset cards and of the benchmark's evaluation code. The clip's extent,
named in three ways, is carried along in ``metadata`` and never interpreted.
"""

import hashlib
import json
import math
import re
from dataclasses import dataclass

from data_preprocess.common.errors import RecordError, record_id
from data_preprocess.schema import RESERVED, RESERVED_REMEDY, plain_source
from data_preprocess.video.medvidbench_names import canonical_source, task_of
from data_preprocess.video.region_box import NORMALIZED_REMEDY, is_normalized

_NUMBER = r"\s*(-?\d+(?:\.\d+)?)\s*"
_BOX_IN_TEXT = re.compile(rf"\[{_NUMBER},{_NUMBER},{_NUMBER},{_NUMBER}\]")
_FARTHEST = 1e9
_UNANSWERED = "Add it; a file of questions alone is for python -m data_preprocess.medvidbench --questions-only"
_UNASKED = "It is a request for a caption: take captioned.json of medgrpo captions validate"
_HUMAN, _MODEL = ("human", "user"), ("gpt", "assistant")


@dataclass(frozen=True)
class Record:
    """A checked record.

    Attributes:
        frames: still the paths of the file.
        region: (path, box in pixels) of a region caption.
        unmarked: a region caption of a test file that does not say where its region is.
        boxes: to be found, in pixels.
        struc_info, metadata: JSON text.
        irregular: the frames' numbers in the source video do not lie at one distance (their rate is rounded or varies).
        trimmed: a frame's path began with ``file://`` or ended in a line break, which were cut off.
    """

    id: str
    source: str
    task: str
    qa_type: str
    question: str
    answer: str
    frames: list[str]
    fps: float
    video_id: str
    region: tuple[str, list[float]] | None
    unmarked: bool
    boxes: list[list[float]]
    struc_info: str
    metadata: str
    irregular: bool
    trimmed: bool


def parse_record(raw: object, *, questions_only: bool = False) -> Record:
    """Check one entry of the JSON array; a RecordError names the field, what is wrong, and the remedy.

    Args:
        questions_only: accept a record without an answer (the public test file), and a region caption without a
            region: every record of that file has to be answered, and the official code then draws no box.
    """
    _need(isinstance(raw, dict), "record", raw, "Every entry of the array is an object, one question")
    task = qa_task(raw)
    source = source_name(raw)
    split_unit(raw)
    question, answer = _conversation(raw, questions_only)
    frames = _frames(raw)
    of_region = bool(raw.get("is_RC")) or task == "rc"
    region = _region(raw, frames, questions_only) if of_region else None
    return Record(
        id=record_id(raw, "id"),
        source=source,
        task=task,
        qa_type=raw["qa_type"],
        question=question,
        answer=answer,
        frames=frames,
        fps=_fps(raw),
        video_id=video_name(raw),
        region=region,
        unmarked=of_region and not region,
        boxes=_boxes(raw.get("struc_info"), answer) if task == "stg" else [],
        struc_info=json.dumps(raw["struc_info"], ensure_ascii=False) if raw.get("struc_info") else "",
        metadata=json.dumps(raw["metadata"], ensure_ascii=False),
        irregular=_irregular(raw.get("sampled_video_frames")),
        trimmed=frames != raw["video"],
    )


def qa_task(raw: dict) -> str:
    return task_of(_qa_type(raw))


def fingerprint(raw: dict, frames: bytes, questions_only: bool = False) -> bytes:
    """Equal for records that repeat each other: one source's question about the same frames, of one kind, one answer.

    Their ids, the order of their keys and all other fields may differ. ``frames`` is the list's JSON without spaces.
    """
    of_region = raw.get("is_RC") or qa_task(raw) == "rc"
    region = json.dumps(raw.get("RC_info"), sort_keys=True) if of_region else ""
    parts = (source_name(raw), _qa_type(raw), *_conversation(raw, questions_only), str(_fps(raw)), region)
    key = hashlib.blake2b("\0".join(parts).encode("utf-8", "surrogatepass"), digest_size=16)
    key.update(frames)
    return key.digest()


def _qa_type(raw: dict) -> str:
    value = raw.get("qa_type")
    remedy = "Name the task, for example tal, stg or video_summary_gpt"
    _need(isinstance(value, str) and value.strip(), "qa_type", value, remedy)
    return value


def _irregular(numbers: object) -> bool:
    if not isinstance(numbers, list) or len(numbers) < 3:
        return False
    first, step = numbers[0], numbers[1] - numbers[0] if {type(numbers[0]), type(numbers[1])} == {int} else 0
    if not step:
        return False  # no numbers, or one frame again and again: nothing is known of the distances
    return numbers != list(range(first, first + step * len(numbers), step))


def source_name(raw: dict) -> str:
    """``data_source``, or ``dataset_name``, as the evaluators read it; a slash would split verl's metric names."""
    for field in ("data_source", "dataset_name"):
        value = raw.get(field)
        if isinstance(value, str) and value.strip():
            return canonical_source(plain_source(value.strip()))
    raise RecordError("data_source", "is missing, and so is dataset_name", "Name the data set, for example CholecT50")


def video_name(raw: dict) -> str:
    """The source video, by which the data are split."""
    value = _metadata(raw).get("video_id")
    usable = isinstance(value, str | int) and str(value).strip()
    _need(usable, "metadata.video_id", value, "Name the source video: the split goes by it")
    return str(value).strip()


def split_unit(raw: dict) -> tuple[str, str]:
    """What stays on one side of the split: (source, video), or the two parts of ``metadata.split_group``."""
    group = _metadata(raw).get("split_group")
    if group is None:
        return source_name(raw), video_name(raw)
    parts = [part.strip() for part in group.split("/")] if isinstance(group, str) else []
    usable = len(parts) == 2 and all(parts)
    _need(usable, "metadata.split_group", group, "Write family/member, for example cholec/12")
    return tuple(parts)


def _metadata(raw: dict) -> dict:
    metadata = raw.get("metadata")
    _need(isinstance(metadata, dict), "metadata", metadata, "It must be an object that holds fps and video_id")
    return metadata


def _fps(raw: dict) -> float:
    value = _metadata(raw).get("fps")
    try:
        fps = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        fps = math.nan
    remedy = 'Give the sampled frames per second as a positive number, for example "0.5": all times come from it'
    _need(0 < fps < math.inf, "metadata.fps", value, remedy)
    return fps


def _frames(raw: dict) -> list[str]:
    frames = raw.get("video")
    remedy = "Give the list of the clip's frame image paths, in order"
    _need(isinstance(frames, list) and frames, "video", frames, remedy)
    if set(map(type, frames)) != {str} or not all(frames):
        for position, path in enumerate(frames):
            _need(isinstance(path, str) and path, f"video[{position}]", path, remedy)
    text = "".join(frames)
    if "\n" in text or "\r" in text or "file://" in text:
        frames = [_trimmed(path) for path in frames]
        for position, path in enumerate(frames):
            _need(path and not re.search(r"[\r\n]", path), f"video[{position}]", path, remedy)
    return frames


def _trimmed(path: object) -> object:
    return path.strip("\r\n").removeprefix("file://") if isinstance(path, str) else path


def _conversation(raw: dict, questions_only: bool) -> tuple[str, str]:
    turns = raw.get("conversations")
    _need(isinstance(turns, list) and turns, "conversations", turns, "Give the list of the human and the gpt turn")
    texts: dict[str, str] = {}
    for position, turn in enumerate(turns):
        where = f"conversations[{position}]"
        _need(isinstance(turn, dict), where, turn, 'Write {"from": ..., "value": ...}')
        role, text = turn.get("from", turn.get("role")), turn.get("value", turn.get("content"))
        side = "question" if role in _HUMAN else "answer" if role in _MODEL else None
        _need(side, f"{where}.from", role, f"Use one of {', '.join(_HUMAN + _MODEL)}")
        if side in texts:
            raise RecordError(where, f"is a second {side}", "Only one question with one answer is supported")
        _need(isinstance(text, str), f"{where}.value", text, "Give the text of the turn")
        texts[side] = text.strip()
    question = re.sub(r"^<video>\s*", "", texts.get("question", ""))
    answer = texts.get("answer", "")
    if not question:
        raise RecordError("conversations", "hold no question", "Add the human turn")
    if not answer and not questions_only:
        raise RecordError("conversations", "hold no answer", _UNASKED if "evidence" in raw else _UNANSWERED)
    for side, text in (("question", question), ("answer", answer)):
        if found := RESERVED.search(text):
            raise RecordError("conversations", f"hold {found.group()} inside the {side}", RESERVED_REMEDY)
    return question, answer


def _region(raw: dict, frames: list[str], questions_only: bool) -> tuple[str, list[float]] | None:
    info = raw.get("RC_info")
    frame = _trimmed(info.get("start_frame")) if isinstance(info, dict) else None
    if questions_only and frame not in frames:
        return None
    _need(isinstance(info, dict), "RC_info", info, "A region caption needs start_frame and start_frame_bbox")
    _need(frame in frames, "RC_info.start_frame", frame, "It must equal one entry of video")
    return frame, _box(info.get("start_frame_bbox"), "RC_info.start_frame_bbox")


def _boxes(struc_info: object, answer: str) -> list[list[float]]:
    """Boxes of the STG truth in any of its three shapes, or of the answer; not all-zero ones (nothing to be seen)."""
    if not struc_info:
        found = [[float(side) for side in box] for box in _BOX_IN_TEXT.findall(answer)]
        return [_box(box, "conversations") for box in found if any(box)]
    entries = struc_info if isinstance(struc_info, list) else [struc_info]
    by_time = [entry.get("bbox_dict", entry) for entry in entries if isinstance(entry, dict)]
    return [
        _box(box, f"struc_info.bbox_dict[{_shown(time)}]")
        for boxes in by_time
        if isinstance(boxes, dict)
        for time, box in boxes.items()
        if isinstance(box, list) and any(box)
    ]


def _box(value: object, field: str) -> list[float]:
    # Compared, and not math.isfinite, which fails on a whole number beyond any float.
    numbers = isinstance(value, list) and all(
        isinstance(side, int | float) and not isinstance(side, bool) and abs(side) < _FARTHEST for side in value
    )
    _need(numbers and len(value) == 4, field, value, "A box is [x1, y1, x2, y2] in pixels of the frame")
    if is_normalized(value):
        raise RecordError(field, f"is {_shown(value)}: shares of the frame, not pixels", NORMALIZED_REMEDY)
    return value


def _need(met: object, field: str, value: object, remedy: str) -> None:
    if not met:
        raise RecordError(field, f"is {_shown(value)}", remedy)


def _shown(value: object) -> str:
    if value is None:
        return "missing"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else text[:77] + "..."
