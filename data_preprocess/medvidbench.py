# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""MedVidBench JSON and its frame folder -> train.parquet and val.parquet for verl.

    python -m data_preprocess.medvidbench --json FILE --frames-root DIR --out DIR

Reads the training format and the released train/val and test files. Validation holds out whole source videos. The box
of a region caption is drawn on a copy of its frame (OUT/frames_rc), and the row lists the copy. Records that cannot be
used go to OUT/failed.jsonl; more than ``--max-failed`` of them end the command with exit code 1 and no new Parquet.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import sys
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table
from tqdm import tqdm

from data_preprocess.failures import Failure, InputError, RecordError, write_failures
from data_preprocess.frames import OFFICIAL_PREFIX, FrameStore, draw_region, place_region
from data_preprocess.medvidbench_record import Record, parse_record, source_name, video_name
from data_preprocess.row import TASKS, Clip, RowWriter, build_row, canonical_source
from data_preprocess.split import validation_videos
from data_preprocess.video_tokens import MAX_PIXELS, MIN_PIXELS, TOTAL_PIXELS, video_size

BENCHMARK = "medvidbench"
FAILURES_SHOWN = 20


@dataclass(frozen=True)
class Options:
    """What the command line says; see :func:`parser` for the meaning of each."""

    json: Path
    frames_root: Path
    out: Path
    path_prefix: str = OFFICIAL_PREFIX
    val_ratio: float = 0.15
    seed: int = 0
    min_pixels: int = MIN_PIXELS
    max_pixels: int = MAX_PIXELS
    tasks: Sequence[str] | None = None
    verify_frames: bool = False
    questions_only: bool = False
    max_failed: int = 0


@dataclass
class Summary:
    """Rows per (source, task, split), records left out, and counts of every qa_type never met before."""

    rows: Counter = field(default_factory=Counter)
    failures: list[Failure] = field(default_factory=list)
    unknown: Counter = field(default_factory=Counter)

    @property
    def failed(self) -> int:
        return sum(failure.kind == "failed" for failure in self.failures)


def load_records(path: Path) -> list:
    """The JSON array of a MedVidBench file.

    Raises:
        InputError: the file is missing, no JSON, cut off, no array, or empty.
    """
    try:
        text = path.read_text(encoding="utf-8-sig").strip()
    except FileNotFoundError:
        raise InputError(f"{path} does not exist. Give the MedVidBench JSON file with --json")
    except IsADirectoryError:
        raise InputError(f"{path} is a folder. Give the MedVidBench JSON file with --json")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is no UTF-8 text ({error}). Is it the frame archive rather than the JSON file?")
    try:
        records = json.loads(text)
    except json.JSONDecodeError as error:
        if not text:
            raise InputError(f"{path} is empty. Fetch it again")
        if text[0] in "[{" and (text[-1] not in "]}" or error.pos >= len(text)):
            raise InputError(
                f"{path} is cut off: it ends inside a value that began by line {error.lineno}. Fetch it again"
            )
        raise InputError(f"{path} is not JSON: {error.msg} at line {error.lineno}, column {error.colno}")
    if not isinstance(records, list):
        keys = f" with the keys {', '.join(list(records)[:5])}" if isinstance(records, dict) else ""
        raise InputError(f"{path} holds a {type(records).__name__}{keys}; a JSON array of records is expected")
    if not records:
        raise InputError(f"{path} holds an empty array: there is nothing to do")
    return records


def convert(options: Options, *, progress: bool = True) -> Summary:
    """Write the Parquet files and failed.jsonl.

    Nothing is written under a final name before all of it is there: on too many failures, and on any exception, the
    Parquet files of an earlier run stay as they were.

    Returns:
        Counts, with the records left out; ``summary.failed > options.max_failed`` means that no Parquet was written.

    Raises:
        InputError: the JSON file or the frame folder as a whole cannot be used.
        OSError: the output cannot be written.
    """
    records = load_records(options.json)
    if not options.frames_root.is_dir():
        raise InputError(f"{options.frames_root} is not a folder. Give the folder of the frames with --frames-root")
    held_out = _held_out(records, options)
    splits = ("test",) if options.questions_only else ("train", "val")
    summary = Summary()
    options.out.mkdir(parents=True, exist_ok=True)
    store = FrameStore(options.frames_root, options.path_prefix)
    seen: set[bytes] = set()
    with contextlib.suppress(_TooManyFailures), contextlib.ExitStack() as stack:
        pool = stack.enter_context(ThreadPoolExecutor(max_workers=4))
        writers = {split: stack.enter_context(RowWriter(options.out / f"{split}.parquet")) for split in splits}
        for index, raw in enumerate(tqdm(records, desc=options.json.name, unit="record", disable=not progress)):
            try:
                record = parse_record(raw, questions_only=options.questions_only)
                if options.tasks and record.task not in options.tasks:
                    continue
                clip = _clip(record, store, pool, options)
            except RecordError as error:
                summary.failures.append(_failure(options.json, index, raw, error))
                continue
            if _repeated(record, seen) and not options.questions_only:
                error = RecordError("record", "repeats an earlier one in every field", "Left out")
                summary.failures.append(_failure(options.json, index, raw, error, kind="duplicate"))
                continue
            split = splits[-1] if (record.source, record.video_id) in held_out else splits[0]
            writers[split].write(_row(record, index, split, clip))
            summary.rows[record.source, record.task, split] += 1
            if not record.known:
                summary.unknown[record.qa_type] += 1
        write_failures(options.out / "failed.jsonl", summary.failures)
        if summary.failed > options.max_failed:
            raise _TooManyFailures
        if not summary.rows:
            raise InputError(f"{options.json} holds no usable record of the tasks {', '.join(options.tasks or TASKS)}")
        # All files are whole before the first takes its name: a full disk must not leave a new one beside an old one.
        for writer in writers.values():
            writer.close()
    return summary


class _TooManyFailures(Exception):
    """Leaves the writers through an exception, so that they drop what they hold."""


def _held_out(records: Sequence, options: Options) -> set[tuple[str, str]]:
    videos = []
    for raw in records:
        # A record that fails here is reported by the main loop.
        with contextlib.suppress(RecordError, AttributeError):
            videos.append((canonical_source(source_name(raw)), video_name(raw)))
    return validation_videos(videos, options.val_ratio, options.seed)


def _clip(record: Record, store: FrameStore, pool: ThreadPoolExecutor, options: Options) -> Clip:
    frames = [store.resolve(path) for path in record.frames]
    limits = {"min_pixels": options.min_pixels, "max_pixels": options.max_pixels}
    with _field("video", "Check --frames-root and --path-prefix, or unpack the frames again"):
        height, width = store.size(frames[0])
        if options.verify_frames:
            store.verify(frames, pool)
    with _field("video", "Leave such pictures out"):
        size = video_size(len(frames), height, width, **limits)
    with _field("struc_info", _BOX_REMEDY):
        for box in record.boxes:
            place_region(box, height, width)
    if record.region:
        path, box = record.region
        position = record.frames.index(path)
        with _field("RC_info", _BOX_REMEDY):
            frames[position] = draw_region(frames[position], box, options.out / "frames_rc", **limits)
    return Clip(frames, record.fps, height, width, **limits, total_pixels=TOTAL_PIXELS, num_tokens=size.num_tokens)


_BOX_REMEDY = "Boxes are pixels of the original frame: it must be there, and not resized"


@contextlib.contextmanager
def _field(name: str, remedy: str):
    """What goes wrong with the frames inside is the fault of this field of the record."""
    try:
        yield
    except ValueError as error:
        raise RecordError(name, str(error), remedy)


def _row(record: Record, index: int, split: str, clip: Clip) -> dict:
    return build_row(
        benchmark=BENCHMARK,
        source=record.source,
        task=record.task,
        qa_type=record.qa_type,
        index=index,
        split=split,
        question=record.question,
        answer=record.answer,
        clip=clip,
        video_id=record.video_id,
        record_id=record.id,
        struc_info=record.struc_info,
        metadata=record.metadata,
    )


def _repeated(record: Record, seen: set[bytes]) -> bool:
    parts = (record.source, record.id, record.qa_type, record.question, record.answer, *record.frames)
    digest = hashlib.blake2b("\0".join(parts).encode(), digest_size=16).digest()
    repeated = digest in seen
    seen.add(digest)
    return repeated


def _failure(path: Path, index: int, raw: object, error: RecordError, kind: str = "failed") -> Failure:
    name = str(raw.get("id") or "") if isinstance(raw, dict) else ""
    return Failure(str(path), index, name, error.field, error.reason, error.remedy, kind)


def counts_table(summary: Summary) -> Table:
    """Rows per source and task (lines) and split (columns)."""
    splits = [split for split in ("train", "val", "test") if any(key[2] == split for key in summary.rows)]
    table = Table(title="Rows by source, task and split")
    table.add_column("source")
    table.add_column("task")
    for split in splits:
        table.add_column(split, justify="right")
    for source, task in sorted({key[:2] for key in summary.rows}):
        table.add_row(source, task, *(str(summary.rows[source, task, split]) for split in splits))
    table.add_section()
    totals = (str(sum(n for key, n in summary.rows.items() if key[2] == split)) for split in splits)
    table.add_row("all", "", *totals)
    return table


def parser() -> argparse.ArgumentParser:
    cli = argparse.ArgumentParser(prog="python -m data_preprocess.medvidbench", description=__doc__.split("\n")[0])
    cli.add_argument("--json", type=Path, required=True, help="MedVidBench JSON file")
    cli.add_argument("--frames-root", type=Path, required=True, help="folder that takes the place of --path-prefix")
    cli.add_argument("--out", type=Path, required=True, help="folder for the Parquet files")
    cli.add_argument("--path-prefix", default=OFFICIAL_PREFIX, help="start of the paths in the JSON (%(default)s)")
    cli.add_argument("--val-ratio", type=float, default=0.15, help="share of source videos held out (%(default)s)")
    cli.add_argument("--seed", type=int, default=0, help="which videos are held out (%(default)s)")
    cli.add_argument("--min-pixels", type=int, default=MIN_PIXELS, help="least area of a resized frame (%(default)s)")
    cli.add_argument("--max-pixels", type=int, default=MAX_PIXELS, help="largest area of a resized frame (%(default)s)")
    cli.add_argument("--tasks", nargs="+", choices=TASKS, help="keep these tasks only (default: all)")
    cli.add_argument("--verify-frames", action="store_true", help="read every frame file to its end")
    cli.add_argument("--questions-only", action="store_true", help="the test file: no answers, all to test.parquet")
    cli.add_argument("--max-failed", type=int, default=0, help="bad records to put up with (%(default)s)")
    return cli


def main(argv: Sequence[str] | None = None) -> int:
    arguments = parser().parse_args(argv)
    if not 0 <= arguments.val_ratio <= 1:
        parser().error(f"--val-ratio {arguments.val_ratio} is not between 0 and 1")
    options = Options(**vars(arguments))
    console, errors = Console(), Console(stderr=True, soft_wrap=True, highlight=False, markup=False)
    try:
        summary = convert(options)
    except InputError as error:
        errors.print(f"error: {error}")
        return 1
    except OSError as error:
        errors.print(
            f"error: {error.strerror or error}: {error.filename or options.out}. Nothing was left half-written"
        )
        return 1
    for failure in summary.failures[:FAILURES_SHOWN]:
        errors.print(f"{failure.kind}: {failure}")
    if len(summary.failures) > FAILURES_SHOWN:
        errors.print(f"... and {len(summary.failures) - FAILURES_SHOWN} more in {options.out / 'failed.jsonl'}")
    if summary.failed > options.max_failed:
        errors.print(
            f"error: {summary.failed} records failed, {options.max_failed} are allowed (--max-failed). No Parquet was "
            f"written; the list is in {options.out / 'failed.jsonl'}"
        )
        return 1
    console.print(counts_table(summary))
    for qa_type, count in sorted(summary.unknown.items()):
        console.print(f"note: {count} rows of the unknown qa_type {qa_type!r} were kept; no reward knows them")
    if summary.failures:
        duplicates = len(summary.failures) - summary.failed
        console.print(f"left out: {summary.failed} failed, {duplicates} duplicates ({options.out / 'failed.jsonl'})")
    console.print(f"written: {options.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
