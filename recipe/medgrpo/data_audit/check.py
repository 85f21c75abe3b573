# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Everything about a row that would otherwise go wrong hours into a run."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from tqdm import tqdm

import reward_score
from data_preprocess.common.errors import Failure, InputError
from data_preprocess.common.file_kind import known_kind
from data_preprocess.media.frames import FrameError, FrameStore
from data_preprocess.media.token_count import image_size, patch_of, video_size
from data_preprocess.schema import IMAGE_ROW_SCHEMA, RESERVED, RESERVED_REMEDY, ROW_SCHEMA, plain_source
from data_preprocess.video.region_box import NORMALIZED_REMEDY, is_normalized, place_region
from reward_score.tasks import dvc, stg, tag

HIGHEST_FPS = 120
_READERS = 16
_BATCH = 256
_REWRITE = "Write the file with data_preprocess"
_GROUND_TRUTH = "reward_model.ground_truth"
#: Tasks whose answers name times, with what reads them.
_TIMED = {"tag": tag, "stg": stg, "dvc": dvc}
#: field, reason, remedy
Problem = tuple[str, str, str]


@dataclass
class Checked:
    """What a file holds by (source, task), and failures, whose ``record`` is the row's position in the file."""

    path: Path
    failures: list[Failure] = field(default_factory=list)
    rows: Counter = field(default_factory=Counter)
    bad: Counter = field(default_factory=Counter)
    files: Counter = field(default_factory=Counter)
    tokens: dict[tuple[str, str], list[int]] = field(default_factory=lambda: defaultdict(list))


class _SameText:
    """An encoder that need not be loaded: a text is as similar to itself as can be, and only that is asked here."""

    def similarity(self, pairs) -> list[float]:
        # The answer of dense captioning may name the action ahead of the caption that struc_info has alone.
        return [float(f": {pair.candidate}".endswith(f": {pair.reference}")) for pair in pairs]


#: One for all calls: the scorer with these options is then the same one.
_SAME = _SameText()


def open_rows(path: Path) -> tuple[pq.ParquetFile, str]:
    """The file and its media column, ``videos`` or ``images``."""
    if path.exists() and not path.is_file():
        raise InputError(f"{path} is no regular file")
    try:
        file = pq.ParquetFile(path)
    except FileNotFoundError:
        raise InputError(f"{path} does not exist") from None
    except (pa.ArrowInvalid, OSError) as error:
        found = known_kind(path, otherwise=". Write it anew with data_preprocess")
        raise InputError(f"{path} is no whole Parquet file ({error}){found}") from error
    media = "images" if "images" in file.schema_arrow.names else "videos"
    types = {column.name: column.type for column in file.schema_arrow}
    wrong = [
        f"{column.name} is {types.get(column.name, 'missing')}, not {column.type}"
        for column in (IMAGE_ROW_SCHEMA if media == "images" else ROW_SCHEMA)
        if column.name not in types or _plain(types[column.name]) != column.type
    ]
    if wrong:
        raise InputError(f"{path} does not hold rows of this project: {'; '.join(wrong)}. {_REWRITE}")
    return file, media


def _plain(kind: pa.DataType) -> pa.DataType:
    """The type with large strings and lists, which other writers of Parquet use, as plain ones."""
    if pa.types.is_large_string(kind):
        return pa.string()
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return pa.list_(_plain(kind.value_type))
    if pa.types.is_struct(kind):
        return pa.struct([(field.name, _plain(field.type)) for field in kind])
    return kind


def check(path: Path, *, max_tokens: int, read_files: bool, position_fps: float | None = None) -> Checked:
    """Check every row of a file.

    Args:
        max_tokens: most tokens that a row's media may become.
        read_files: read every frame and image to its end.
        position_fps: the one fps that the converter wrote for all clips; None if each has its own.
    """
    file, media = open_rows(path)
    if not file.metadata.num_rows:
        raise InputError(f"{path} holds no rows")
    checked, seen = Checked(path), {}
    store = FrameStore("/") if read_files else None
    scorer = reward_score.get_scorer(reward_score.ScoreConfig(reward_tasks="all", caption_mix=1.0, similarity=_SAME))
    with ThreadPoolExecutor(_READERS) as pool:
        rows = (row for batch in file.iter_batches(_BATCH) for row in batch.to_pylist())
        for number, row in enumerate(tqdm(rows, total=file.metadata.num_rows, unit="row", disable=None)):
            info = row["extra_info"] or {}
            pair = (str(info.get("source")), str(info.get("task")))
            checked.rows[pair] += 1
            checked.tokens[pair] += [] if info.get("num_tokens") is None else [info["num_tokens"]]
            problems = list(empty_fields(row, media))
            if not problems:
                checked.files[pair] += sum(len(media_files(item)) for item in row[media])
                problems = list(_shape(row, media))
                if not problems:
                    found = _media(row, media, max_tokens, store, pool, position_fps)
                    problems = [*found, *_places(row), *_truth(row, scorer)]
                problems += _repeated(row, media, number, seen)
            checked.bad[pair] += bool(problems)
            name = str(info.get("id") or "")
            checked.failures += [Failure(str(path), number, name, *problem) for problem in problems]
    return checked


def media_files(item: dict) -> list[str]:
    """Paths of a clip's frames, or of one image."""
    paths = item["video"] if "video" in item else [item["image"]]
    return [path and path.removeprefix("file://") for path in paths]


def empty_fields(row: dict, media: str) -> Iterator[Problem]:
    """Null where a row (or those columns of it that are there) must hold something; later checks rely on it."""
    nulls = [name for name, value in row.items() if value is None]
    for name in ("prompt", "messages", media):
        nulls += [f"{name}[{i}]" for i, entry in enumerate(row.get(name) or ()) if entry is None]
    for i, item in enumerate(row.get(media) or ()):
        if item and (item.get("video", item.get("image")) is None or None in media_files(item)):
            nulls.append(f"{media}[{i}].{'video' if 'video' in item else 'image'}")
    for name in ("index", "source", "task"):
        if row.get("extra_info") and row["extra_info"][name] is None:
            nulls.append(f"extra_info.{name}")
    yield from ((name, "is null", _REWRITE) for name in nulls)


def _shape(row: dict, media: str) -> Iterator[Problem]:
    info, mark = row["extra_info"], f"<{media[:-1]}>"
    parts = str(row["data_source"]).split("/")
    if len(parts) != 3 or parts[1:] != [info["source"], info["task"]] or row["ability"] != info["task"]:
        yield "data_source", f"{row['data_source']!r} does not end in source/task of extra_info and ability", _REWRITE
    if plain_source(info["source"]) != info["source"]:
        yield "extra_info.source", f"{info['source']!r} holds a sign that separates names", "Write it without / and |"
    items = row[media]
    marks = sum((turn["content"] or "").count(mark) for turn in row["prompt"])
    if not items or marks != len(items):
        yield "prompt", f"holds {mark} {marks} times for {len(items)} {media}", "One mark for each of them"
    for place, turn in enumerate(row["messages"]):
        text = turn["content"] or ""
        if found := RESERVED.search(text if turn["role"] == "assistant" else text.replace(mark, "")):
            yield f"messages[{place}].content", f"holds {found.group()}", RESERVED_REMEDY
    if not all(media_files(item) and all(media_files(item)) for item in items):
        yield media, "an entry has no file", _REWRITE
    if row["messages"][: len(row["prompt"])] != row["prompt"]:
        yield "messages", "do not begin with the prompt", _REWRITE


def _repeated(row: dict, media: str, number: int, seen: dict) -> Iterator[Problem]:
    """The converters leave out the same: a source's question about the same media, of one kind, with one answer."""
    info, truth = row["extra_info"], row["reward_model"]["ground_truth"]
    what = info.get("image_id") or [(media_files(item), item.get("sample_fps")) for item in row[media]]
    key = hash((str(what), row["data_source"], info.get("qa_type"), info["question"], truth))
    if key in seen and truth:
        yield "row", f"repeats row {seen[key]}", "Leave one of them out"
    seen.setdefault(key, number)
    index = ("index", info["index"])
    if index in seen:
        reason = f"{index[1]} is that of row {seen[index]} too"
        yield "extra_info.index", reason, "verl groups answers by it: number anew"
    seen.setdefault(index, number)


def _media(
    row: dict, media: str, max_tokens: int, store: FrameStore | None, pool, position_fps: float | None
) -> Iterator[Problem]:
    info, item = row["extra_info"], row[media][0]
    if media == "videos":
        fps, expected = item["sample_fps"], position_fps or info["fps"]
        if fps is None or not (math.isfinite(fps) and 0 < fps <= HIGHEST_FPS) or fps != expected:
            reason = f"is {fps}, " + (f"not {position_fps}" if position_fps else f"extra_info.fps {info['fps']}")
            remedy = f"Both must be one number above 0, at most {HIGHEST_FPS}; or --position-fps, if so converted"
            yield "videos.sample_fps", reason, remedy
    height, width, tokens = info["height"], info["width"], info["num_tokens"]
    if tokens is None:
        yield "extra_info.num_tokens", "is empty", "Write the file anew, with the frames or images at hand"
        return
    try:
        limits = {name: item[name] for name in item if name.endswith("_pixels")}
        if media == "videos":
            size = video_size(len(item["video"]), height, width, **limits, patch=patch_of(item["total_pixels"]))
        else:
            size = image_size(height, width, **limits)
        if size.num_tokens != tokens:
            yield "extra_info.num_tokens", f"is {tokens}, by size and limits {size.num_tokens}", "Write the file anew"
    except (ValueError, TypeError) as error:
        yield media, str(error), "Leave such rows out"
    if tokens > max_tokens:
        yield "extra_info.num_tokens", f"is {tokens}, more than {max_tokens}", "Lower max_pixels, or raise --max-tokens"
    if store is None:
        return
    files = media_files(item)
    try:
        found = store.verify(files, pool)
        if found != (height, width):
            reason = f"{files[0]} is {found[1]}x{found[0]} pixels, the row says {width}x{height}"
            yield media, reason, "Write the file anew"
    except FrameError as error:
        yield media, str(error), "Unpack the files again, or write the Parquet file anew"


def _places(row: dict) -> Iterator[Problem]:
    """Times of the reference answer lie in the clip, and boxes in the frame."""
    info, truth = row["extra_info"], row["reward_model"]["ground_truth"] or ""
    if info["task"] not in _TIMED or not info.get("fps") or not info.get("num_frames"):
        return
    length, found = info["num_frames"] / info["fps"], _TIMED[info["task"]].parse(truth)
    if info["task"] == "stg":  # a list of boxes alone names no times; a time needs a frame that shows the box
        boxes, latest = dict(found) if isinstance(found, dict) else {}, length - 1e-6
        times = list(map(float, boxes))
    else:  # times are rounded, and an event may end after the last frame
        boxes, latest = {}, length + 0.5 / info["fps"]
        times = [time for event in found for time in event[:2]]
    if beyond := [time for time in times if time > latest]:
        reason = (
            f"names {beyond[0]:g} s, but the clip lasts {length:g} s ({info['num_frames']} frames, {info['fps']:g} fps)"
        )
        yield _GROUND_TRUTH, reason, "Times count from the clip's first frame: subtract where it begins in its video"
    for time, box in boxes.items():
        if any(box) and is_normalized(box):
            yield _GROUND_TRUTH, f"at {time} s: {box} are shares of the frame, not pixels", NORMALIZED_REMEDY
        elif any(box) and info["height"] and info["width"]:
            try:
                place_region(box, info["height"], info["width"])
            except ValueError as error:
                yield _GROUND_TRUTH, f"at {time} s: {error}", "Boxes are x1, y1, x2, y2 in pixels of the frame files"


def _truth(row: dict, scorer) -> Iterator[Problem]:
    """The reference answer, given as a model's answer, must be worth everything."""
    truth = row["reward_model"]["ground_truth"]
    if not truth:
        if row["extra_info"]["split"] != "test":
            yield _GROUND_TRUTH, "is empty", "Only files of questions alone (split test) may have none"
        return
    answer = row["messages"][-1]
    if answer["role"] != "assistant" or not answer["content"]:
        yield "messages", "end without an answer", _REWRITE
        return
    if answer["content"].strip() != truth.strip() and not answer["content"].endswith(f"<answer>{truth}</answer>"):
        reason = f"is {truth[:80]!r}, while messages end with {answer['content'][:80]!r}"
        yield _GROUND_TRUTH, reason, "Training and reward must agree on the answer: fix one of them"
        return
    try:
        columns = [row["data_source"]], [answer["content"]], [truth], [row["extra_info"]]
        score = scorer.score(reward_score.make_samples(*columns))[0]["score"]
    except reward_score.RewardError as error:
        yield _GROUND_TRUTH, str(error), "No answer to such a row can be scored: fix it or leave it out"
        return
    if not math.isclose(score, 1.0, abs_tol=1e-6):
        reason = f"scores {score:.3f} against itself: {answer['content'][:80]!r}"
        yield _GROUND_TRUTH, reason, "The reward cannot read it, or it contradicts struc_info"
