# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""MedVidBench JSON and its frame folder -> train.parquet and val.parquet for verl.

    python -m data_preprocess.medvidbench --json FILE --frames-root DIR --out DIR

Reads the training format and the released train/val and test files, as a stream, twice, by several processes: memory
holds some megabytes of it at a time.
"""

import argparse
import contextlib
import gc
import hashlib
import multiprocessing
import os
import sys
from array import array
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from tqdm import tqdm

from data_preprocess.common.cli_types import at_least, positive, utf8_path
from data_preprocess.common.errors import InputError
from data_preprocess.common.holdout import validation_videos
from data_preprocess.common.json_stream import Entry, scan
from data_preprocess.common.run_summary import Summary, run_and_tell
from data_preprocess.media.frames import OFFICIAL_PREFIX
from data_preprocess.media.token_count import OVERLONG, pixel_budget
from data_preprocess.parquet_writer import split_writers
from data_preprocess.schema import TASKS
from data_preprocess.video.medvidbench_names import nearest, task_of
from data_preprocess.video.rows import NOT_CHOSEN, REPEATED, ROOMY, Options, build, survey

# Below this many bytes one process is done before others have started.
_SHARED_FROM = 64 << 20


@dataclass
class Contents:
    """What the survey found: stretches of the file, and of each record its unit (a number) and whether it repeats.

    ``groups`` says of each (source, video) what the split goes by, and the first record of it; ``mixed`` is the
    complaint if another record of the video says otherwise.
    """

    stretches: list[np.ndarray] = field(default_factory=list)
    units: dict[tuple[str, str, str, str], int] = field(default_factory=dict)
    unit_of: array = field(default_factory=lambda: array("i"))
    repeated: set[int] = field(default_factory=set)
    groups: dict[tuple[str, str], tuple[tuple[str, str], int]] = field(default_factory=dict)
    mixed: str = ""
    _seen: set[bytes] = field(default_factory=set)

    def add(self, entries: Sequence[Entry], found: Iterable[tuple]) -> None:
        self.stretches.append(np.array(entries, np.int64))
        for unit, video, digest in found:
            if digest in self._seen:
                self.repeated.add(len(self.unit_of))
            self._seen.add(digest)
            if unit:
                number = len(self.unit_of)
                group, first = self.groups.setdefault((unit[0], video), (unit[2:], number))
                if group != unit[2:] and not self.mixed:
                    self.mixed = (
                        f"record {number}, metadata.split_group: differs from that of record {first}, of the same "
                        f"video ({unit[0]} {video}), which might come on both sides of the split. Give all of its "
                        "records one"
                    )
            self.unit_of.append(-1 if unit is None else self.units.setdefault(unit, len(self.units)))


def convert(options: Options, *, progress: bool = True) -> Summary:
    """Write the Parquet files and failed.jsonl; on too many failures, or an exception, the old Parquet files stay.

    Raises:
        InputError: the JSON file or the frame folder as a whole cannot be used.
    """
    if not options.frames_root.is_dir():
        raise InputError(f"{options.frames_root} is not a folder. Give the folder of the frames with --frames-root")
    if options.json.exists() and not (options.json.is_file() or options.json.is_dir()):
        raise InputError(f"{options.json} is no regular file, which could be read twice: write it to one first")
    size = options.json.stat().st_size
    shared = options.workers > 1 and size >= _SHARED_FROM and not options.verify_frames
    with _Workers(options.workers if shared else 0) as workers:
        contents = _survey(options, workers, _bar("reading", size, progress))
        known = {*TASKS, *(unit[1] for unit in contents.units)}
        if strange := [task for task in options.tasks or () if task not in known]:
            raise InputError(
                f"--tasks {strange[0]}{nearest(strange[0], tuple(known))}: no record of {options.json} has this task"
            )
        if contents.mixed and not options.questions_only:
            raise InputError(f"{options.json}, {contents.mixed}")
        options.out.mkdir(parents=True, exist_ok=True)
        return _write(options, contents, workers, _bar("writing", size, progress))


def _bar(what: str, size: int, shown: bool) -> tqdm:
    return tqdm(total=size, desc=what, unit="B", unit_scale=True, unit_divisor=1024, disable=not shown, mininterval=0.5)


class _Workers(contextlib.AbstractContextManager):
    """Processes that share the work, or this one where there are none to share with."""

    def __init__(self, count: int):
        self._count = count
        # Not forked: a copy of a process with pyarrow's threads may hang. Without garbage collection, which would look
        # through thousands of live rows again and again for cycles that records cannot have: 2.4 times as fast.
        context = multiprocessing.get_context("spawn")
        self._pool = ProcessPoolExecutor(count, context, initializer=gc.disable) if count else None

    def __exit__(self, kind, error, traceback) -> None:
        if self._pool:
            self._pool.shutdown(cancel_futures=True)

    def run(self, work: Callable, tasks: Iterable[tuple]) -> Iterator[tuple[tuple, object]]:
        """(arguments, result) of each task, in order; few are under way at a time, so that memory stays small."""
        if not self._pool:
            yield from ((task, work(*task)) for task in tasks)
            return
        waiting: deque = deque()
        try:
            for task in tasks:
                waiting.append((task, self._pool.submit(work, *task)))
                if len(waiting) > self._count + 1:
                    done, future = waiting.popleft()
                    yield done, future.result()
            yield from ((done, future.result()) for done, future in waiting)
        except BrokenProcessPool as error:
            reason = "a worker process was ended from outside, perhaps for want of memory: try --workers 1"
            raise InputError(reason) from error


def _survey(options: Options, workers: _Workers, bar: tqdm) -> Contents:
    contents = Contents()
    stretches = (entries for entries in scan(options.json) if entries)
    with bar:
        for (_, entries), found in workers.run(survey, ((options, entries) for entries in stretches)):
            contents.add(entries, found)
            bar.update(entries[-1].end - bar.n)
    return contents


def _fates(options: Options, contents: Contents, splits: Sequence[str]) -> array:
    """Of each record the place of its split, NOT_CHOSEN or REPEATED. One without a unit goes first, and fails there."""
    units = list(contents.units)
    held_out = validation_videos((unit[2:] for unit in units), options.val_ratio, options.seed)
    last = len(splits) - 1
    place = [last if unit[2:] in held_out else 0 for unit in units]
    fates = array("b", (place[unit] if unit >= 0 else 0 for unit in contents.unit_of))
    if not options.questions_only:
        for number in contents.repeated:
            fates[number] = REPEATED
    if options.per_pair:
        candidates: dict[tuple[str, str], list[int]] = defaultdict(list)
        for number, unit in enumerate(contents.unit_of):
            if fates[number] == 0 and unit >= 0 and (not options.tasks or units[unit][1] in options.tasks):
                candidates[units[unit][:2]].append(number)
        for numbers in candidates.values():
            # By seed and number alone, so that a smaller subset lies within a larger one.
            numbers.sort(key=lambda number: hashlib.blake2b(f"{options.seed} {number}".encode()).digest())
            for number in numbers[options.per_pair :]:
                fates[number] = NOT_CHOSEN
    return fates


def _write(options: Options, contents: Contents, workers: _Workers, bar: tqdm) -> Summary:
    splits = ("test",) if options.questions_only else ("train", "val")
    fates = _fates(options, contents, splits)
    summary = Summary()

    def tasks() -> Iterator[tuple]:
        first = 0
        for stretch in contents.stretches:
            entries = [Entry(*places) for places in stretch.tolist()]
            yield options, entries, first, fates[first : first + len(entries)], splits
            first += len(entries)

    nothing = f"{options.json} holds no usable record of the tasks {', '.join(options.tasks or TASKS)}"
    inputs = [options.json]
    with split_writers(options.out, splits, summary, options.max_failed, nothing, inputs) as writers, bar:
        for (_, entries, *_), built in workers.run(build, tasks()):
            for split, table in built.tables.items():
                writers[split].write_table(table)
            for number, name, error in built.left_out:
                summary.leave_out(options.json, number, name, error)
            summary.rows += built.rows
            summary.notes += built.notes
            bar.update(entries[-1].end - bar.n)
    if dropped := fates.count(NOT_CHOSEN):
        summary.notes["not chosen for the balanced subset"] = dropped
    if options.skip_frames:
        unopened = "no frame was opened: no sizes, no token counts, boxes neither checked nor drawn"
        summary.notes[unopened] = summary.rows.total()
    return summary


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    cli = argparse.ArgumentParser(prog="python -m data_preprocess.medvidbench", description=__doc__.split("\n")[0])
    cli.add_argument("--json", type=Path, required=True, help="MedVidBench JSON file")
    cli.add_argument(
        "--frames-root", type=utf8_path, required=True, help="folder that takes the place of --path-prefix"
    )
    cli.add_argument("--out", type=utf8_path, required=True, help="folder for the Parquet files")
    cli.add_argument("--path-prefix", default=OFFICIAL_PREFIX, help="start of the paths in the JSON (%(default)s)")
    cli.add_argument("--val-ratio", type=float, default=0.15, help="share of source videos held out (%(default)s)")
    cli.add_argument("--seed", type=int, default=0, help="which videos are held out (%(default)s)")
    cli.add_argument("--patch", type=int, choices=(14, 16), default=14, help="the model's patch size in pixels: 14 for "
                     "Qwen2-VL and Qwen2.5-VL, 16 for Qwen3-VL and Qwen3.5 (%(default)s)")  # fmt: skip
    cli.add_argument("--min-pixels", type=at_least(1), help="least area of a resized frame (default: 8 merged patches)")
    cli.add_argument(
        "--max-pixels", type=at_least(1), help="largest area of a resized frame (default: 48 merged patches)"
    )
    cli.add_argument("--max-clip-tokens", type=at_least(1), metavar="N", help="most tokens of a clip (default: any "
                     f"number; {ROOMY} leave room for text within the recipe's limits)")  # fmt: skip
    cli.add_argument("--overlong", choices=OVERLONG, default="drop", help="a clip with more: leave it out, keep every "
                     "k-th frame, or lower its pixels (%(default)s)")  # fmt: skip
    cli.add_argument("--tasks", nargs="+", type=task_of, metavar="TASK", help="keep these tasks only, of "
                     f"{', '.join(TASKS)} and your own (default: all)")  # fmt: skip
    cli.add_argument(
        "--per-pair", type=at_least(1), metavar="N", help="at most N training rows for each source and task"
    )
    cli.add_argument("--position-fps", type=positive, metavar="FPS", help="tell the model this fps for all clips, "
                     "as the authors' development code does with 2; scores keep true times")  # fmt: skip
    cli.add_argument("--one-shot", action="store_true", help="a system message with an example, for untuned models")
    opening = cli.add_mutually_exclusive_group()
    opening.add_argument("--verify-frames", action="store_true", help="read every frame file to its end")
    opening.add_argument("--skip-frames", action="store_true", help="open no frame file: no sizes, no boxes drawn")
    cli.add_argument("--questions-only", action="store_true", help="the test file: no answers, all to test.parquet")
    cli.add_argument("--max-failed", type=at_least(0), default=0, help="bad records to put up with (%(default)s)")
    cli.add_argument("--workers", type=at_least(1), default=min(os.cpu_count() or 1, 8), help="processes (%(default)s)")
    return cli


def main(argv: Sequence[str] | None = None) -> int:
    cli = parser()
    arguments = cli.parse_args(argv)
    if not 0 <= arguments.val_ratio <= 1:
        cli.error(f"--val-ratio {arguments.val_ratio} is not between 0 and 1")
    budget = pixel_budget(arguments.patch)
    least, most = (getattr(arguments, name) or budget[name] for name in ("min_pixels", "max_pixels"))
    if least > most:
        cli.error(f"--min-pixels {least} is above --max-pixels {most}")
    if arguments.questions_only and arguments.per_pair:
        cli.error("--per-pair chooses among training rows: --questions-only has none")
    options = Options(**vars(arguments))
    return run_and_tell(lambda: convert(options), options.out, options.max_failed)


if __name__ == "__main__":
    sys.exit(main())
