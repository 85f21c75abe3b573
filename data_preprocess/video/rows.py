# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""A stretch of a MedVidBench JSON file -> rows: the work that several processes share.

Twice over the file: :func:`survey` reads what the split and the subset are decided by, :func:`build` makes the rows.
"""

import contextlib
import hashlib
import json
import re
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa

from data_preprocess.common.errors import Duplicate, RecordError, record_id
from data_preprocess.common.json_stream import Entry, check_characters, parse
from data_preprocess.media.frames import OFFICIAL_PREFIX, FrameStore
from data_preprocess.media.token_count import PATCH, fit_clip, pixel_budget
from data_preprocess.schema import ROW_SCHEMA, TASKS, Clip, build_row
from data_preprocess.video.medvidbench_names import SOURCES, nearest
from data_preprocess.video.one_shot_prompt import system_message
from data_preprocess.video.record import (
    Record,
    fingerprint,
    parse_record,
    qa_task,
    source_name,
    split_unit,
    video_name,
)
from data_preprocess.video.region_box import draw_region, has_area, place_region, region_copy

BENCHMARK = "medvidbench"
# What becomes of a record: the place of its split among the splits, or one of these.
NOT_CHOSEN, REPEATED = -1, -2
_BOX_REMEDY = "Boxes are pixels of the original frame: it must be there, and not resized"
_VERIFYING_THREADS = 16
# Media tokens of a clip that leave room for its text within the recipe's limits, which the note below names.
ROOMY = 7500
# Half a character is an escape (as each half of a whole one beyond 16 bits is), or bytes that are no UTF-8. Few texts
# have either.
_HALVES = re.compile(rb"\\u[dD][89a-fA-F]|\xed[\xa0-\xbf]")


@dataclass(frozen=True)
class Options:
    """What the command line says; see :func:`data_preprocess.medvidbench.parser` for the meaning of each."""

    json: Path
    frames_root: Path
    out: Path
    path_prefix: str = OFFICIAL_PREFIX
    val_ratio: float = 0.15
    seed: int = 0
    patch: int = PATCH
    min_pixels: int | None = None
    max_pixels: int | None = None
    max_clip_tokens: int | None = None
    overlong: str = "drop"
    tasks: Sequence[str] | None = None
    per_pair: int | None = None
    position_fps: float | None = None
    one_shot: bool = False
    verify_frames: bool = False
    skip_frames: bool = False
    questions_only: bool = False
    max_failed: int = 0
    workers: int = 2


@dataclass
class Built:
    """Rows of each split, and what is to be told. ``left_out`` holds number, id and error."""

    tables: dict[str, pa.Table] = field(default_factory=dict)
    rows: Counter = field(default_factory=Counter)
    left_out: list[tuple[int, str, RecordError]] = field(default_factory=list)
    notes: Counter = field(default_factory=Counter)


class _Head(msgspec.Struct):
    """The fields that :func:`survey` wants of a record; what else there is, is passed over and not built."""

    data_source: Any = None
    dataset_name: Any = None
    qa_type: Any = None
    metadata: Any = None
    conversations: Any = None
    is_RC: Any = None
    RC_info: Any = None
    # Not built either: for most uses its text will do.
    video: msgspec.Raw = msgspec.Raw(b"null")


def _texts(path: Path, entries: Sequence[Entry]) -> Iterator[bytes]:
    """Bytes of entries that follow each other in the file."""
    first = entries[0].start
    with path.open("rb") as file:
        file.seek(first)
        data = file.read(entries[-1].end - first)
    yield from (data[start - first : end - first] for start, end in entries)


def survey(options: Options, entries: Sequence[Entry]) -> list[tuple[tuple[str, str, str, str] | None, str, bytes]]:
    """Of each record (source, task, *split unit), None where :func:`build` fails; its video; what repetitions share."""
    found = []
    head = msgspec.json.Decoder(_Head)
    for text in _texts(options.json, entries):
        unit = digest = None
        video = ""
        with contextlib.suppress(RecordError, RecursionError):
            try:
                raw = msgspec.structs.asdict(head.decode(text))
                frames = msgspec.json.format(bytes(raw["video"]), indent=-1)
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):  # no object, NaN, half a character, ...
                raw = parse(text)
                check_characters(raw)
                frames = json.dumps(raw.get("video"), separators=(",", ":")).encode() if isinstance(raw, dict) else b""
            if isinstance(raw, dict):
                unit, video = (source_name(raw), qa_task(raw), *split_unit(raw)), video_name(raw)
                digest = fingerprint(raw, frames, options.questions_only)
        found.append((unit, video, digest or hashlib.blake2b(text, digest_size=16).digest()))
    return found


def build(options: Options, entries: Sequence[Entry], first: int, fates: Sequence[int], splits: Sequence[str]) -> Built:
    """Rows of a stretch from record ``first`` on; ``fates`` are places in ``splits``, NOT_CHOSEN or REPEATED."""
    built, rows = Built(), {split: [] for split in splits}
    for number, (text, fate) in enumerate(zip(_texts(options.json, entries), fates, strict=True), first):
        if fate == NOT_CHOSEN:
            continue
        raw = None
        try:
            raw = parse(text)
            if _HALVES.search(text):
                check_characters(raw)
            record = parse_record(raw, questions_only=options.questions_only)
            if options.tasks and record.task not in options.tasks:
                continue
            clip = _clip(record, options, built.notes)
            if clip is None:
                continue
            if fate == REPEATED:
                raise Duplicate("record", "repeats an earlier one: same frames, question and answer", "Left out")
        except (RecordError, RecursionError) as error:
            if isinstance(error, RecursionError):
                error = RecordError("record", "has brackets within brackets, hundreds deep", "Fix the record")
            built.left_out.append((number, record_id(raw, "id"), error))
            continue
        split = splits[fate]
        rows[split].append(_row(record, number, split, clip, options))
        built.rows[record.source, record.task, split] += 1
        built.notes.update(_notes(record, clip))
    built.tables = {split: pa.Table.from_pylist(some, schema=ROW_SCHEMA) for split, some in rows.items() if some}
    return built


def _notes(record: Record, clip: Clip) -> Iterator[str]:
    """What is remarkable about a row."""
    if record.task not in TASKS:
        guess = nearest(record.qa_type)
        yield f"of the unknown qa_type {record.qa_type!r}{guess}; they were kept, and no reward knows them"
    if record.trimmed:
        yield "file:// or a line break was cut off the paths of frames"
    if record.source not in SOURCES:
        yield f"source {record.source!r} is none of MedVidBench's; they were kept"
    if len(set(record.frames)) < len(record.frames):
        yield "a frame is listed more than once in the clip"
    if record.irregular:
        yield "frames at irregular distances; their times are taken as i / fps, like the official evaluator"
    if record.unmarked:
        yield "a region caption without RC_info or with a frame that is not in video: no box is drawn"
    if not all(map(has_area, record.boxes)):
        yield "a box to be found has no area; it was kept, and rewards pass over it"
    if (clip.num_tokens or 0) > ROOMY:
        yield (
            f"more than {ROOMY} tokens of media, too little room for text within the recipe's limits (RL: prompts of "
            f"8192 tokens, SFT: 9216 with the answer). --max-clip-tokens {ROOMY} leaves such clips out, or shortens "
            "them with --overlong fewer_frames or lower_pixels"
        )


@cache
def _store(root: Path, prefix: str) -> FrameStore:
    """One for each process: it remembers the size of the frames of each folder."""
    return FrameStore(root, prefix)


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_VERIFYING_THREADS)


def _clip(record: Record, options: Options, notes: Counter) -> Clip | None:
    """The record's clip, made to fit as ``options.overlong`` says; None where it has to be left out for its length."""
    store = _store(options.frames_root, options.path_prefix)
    frames = store.resolve_all(record.frames)
    budget = pixel_budget(options.patch)
    limits = {name: getattr(options, name) or budget[name] for name in ("min_pixels", "max_pixels")}
    stride, height, width, tokens = 1, None, None, None
    if not options.skip_frames:
        with _field("video", "Check --frames-root and --path-prefix, or unpack the frames again"):
            height, width = store.size(frames[0])
            if options.verify_frames:
                store.verify(frames, _pool())
        with _field("video", "Leave such pictures out"):
            most = options.max_clip_tokens or sys.maxsize
            fit = fit_clip(len(frames), height, width, most, options.overlong, **limits, patch=options.patch)
        # A region caption's question lives on one frame: the clip cannot do without it.
        loses_region = record.region and fit and record.frames.index(record.region[0]) % fit.stride
        if fit is None or loses_region:
            notes[f"left out: more than {most} tokens"] += 1
            return None
        if fit.stride > 1 or fit.max_pixels != limits["max_pixels"]:
            notes[f"made to fit {most} tokens by {options.overlong.replace('_', ' ')}"] += 1
        stride, tokens = fit.stride, fit.size.num_tokens
        limits = {"min_pixels": fit.min_pixels, "max_pixels": fit.max_pixels}
        with _field("struc_info" if record.struc_info else "conversations", _BOX_REMEDY):
            for box in record.boxes:
                place_region(box, height, width)
    if record.region:
        path, box = record.region
        position = record.frames.index(path)
        copy = region_copy if options.skip_frames else partial(draw_region, patch=options.patch)
        with _field("RC_info", _BOX_REMEDY):
            frames[position] = copy(frames[position], box, options.out / "frames_rc", **limits)
    limits["total_pixels"] = budget["total_pixels"]
    return Clip(
        frames[::stride],
        record.fps / stride,
        height,
        width,
        **limits,
        num_tokens=tokens,
        position_fps=options.position_fps,
    )


@contextlib.contextmanager
def _field(name: str, remedy: str):
    """What goes wrong with the frames inside is the fault of this field of the record."""
    try:
        yield
    except ValueError as error:
        raise RecordError(name, str(error), remedy) from error


def _row(record: Record, index: int, split: str, clip: Clip, options: Options) -> dict:
    same = ("source", "task", "qa_type", "question", "answer", "video_id", "struc_info", "metadata")
    return build_row(
        benchmark=BENCHMARK,
        index=index,
        split=split,
        clip=clip,
        record_id=record.id,
        system=system_message(record.task, index) if options.one_shot else "",
        **{name: getattr(record, name) for name in same},
    )
