# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""What all sets of questions about images have in common: from a reader's items to train.parquet and test.parquet.

A data set's own file only reads (`docs/add_a_dataset.md`). Questions are split by image, so that no picture of the
training rows is ever evaluated; a picture is known by the hash of its file, so that copies stay together.
"""

import argparse
import hashlib
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image
from tqdm import tqdm

from data_preprocess.common import download
from data_preprocess.common.atomic_file import whole_file, write_whole
from data_preprocess.common.cli_types import at_least, utf8_path
from data_preprocess.common.errors import Duplicate, InputError, RecordError, record_id
from data_preprocess.common.holdout import validation_videos
from data_preprocess.common.run_summary import SPLITS, Summary, run_and_tell
from data_preprocess.images.question import Item, checked, is_yes_no
from data_preprocess.media.frames import FrameError, read_frame
from data_preprocess.media.token_count import image_size
from data_preprocess.parquet_writer import split_writers
from data_preprocess.schema import IMAGE_ROW_SCHEMA, Picture, build_image_row, plain_source

# Med-R1's processor bounds: 4 to 512 merged patches of 28 x 28 pixels.
MIN_PIXELS, MAX_PIXELS = 3136, 401_408
SPLIT_UNITS = ("image", "qa", "published")


@dataclass
class Reading:
    """What a reader works with, and what it read: ``items``, each with its file and its number there."""

    root: Path
    args: argparse.Namespace
    summary: Summary = field(default_factory=Summary)
    items: list[tuple[Item, Path, int]] = field(default_factory=list)

    def add(self, parse: Callable[..., Item], raw: object, file: Path, record: int, *more) -> None:
        """Keep ``parse(raw, *more)`` if it can become a row; a RecordError is noted, and the reader goes on."""
        try:
            if not isinstance(raw, dict):
                raise RecordError("record", f"is a {type(raw).__name__}, not an object", "Each entry is one question")
            self.items.append((checked(parse(raw, *more)), file, record))
        except RecordError as error:
            self.summary.leave_out(file, record, record_id(raw, "id", "question_id", "qid"), error)

    def note(self, sentence: str) -> None:
        self.summary.notes[sentence] += 1

    def keep_image(self, data: bytes) -> Path:
        """Write an image that came inside another file, once, and say where."""
        images = self.args.out / "images"
        images.mkdir(parents=True, exist_ok=True)
        kind = {b"\x89P": ".png", b"\xff\xd8": ".jpg", b"GI": ".gif", b"BM": ".bmp"}.get(data[:2], ".img")
        path = images / (hashlib.sha256(data).hexdigest()[:16] + kind)
        if not path.exists():
            write_whole(path, data)
        return path


def published_files(reading: Reading, names: Mapping[str, str]) -> dict[str, Path]:
    """Those of the files (split -> name) that are in the root; an InputError if they do not do."""
    found = {split: reading.root / name for split, name in names.items() if (reading.root / name).exists()}
    if not found:
        raise InputError(f"{reading.root} holds none of {', '.join(names.values())}: give their folder with --root")
    require_parts(reading, found)
    return found


def require_parts(reading: Reading, found: Iterable[str]) -> None:
    """Refuse the publishers' split where a part of it is not there: its Parquet file would be empty."""
    missing = [split for split in ("train", "test") if split not in found]
    if missing and reading.args.split_unit == "published":
        raise InputError(
            f"{reading.root} has no published {' and no '.join(missing)} part: fetch it too, or draw another split "
            "with --split-unit image"
        )


def answer_task(raw: dict, answer: str, reading: Reading) -> str:
    """``open`` or ``closed``, as ``answer_type`` says; yes and no are closed, whatever it says."""
    kind = str(raw.get("answer_type") or "").strip().upper()
    if kind not in ("OPEN", "CLOSED"):
        raise RecordError("answer_type", f"is {kind!r}, not OPEN or CLOSED", "Fix the record")
    if kind != raw["answer_type"]:
        reading.note("answer_type with spaces around it, or in small letters")
    if kind == "OPEN" and is_yes_no(answer):
        reading.note("a yes/no question marked OPEN was taken as closed")
        return "closed"
    return kind.lower()


def convert(
    benchmark: str, read: Callable[[Reading], None], args: argparse.Namespace, progress: bool = True
) -> Summary:
    """Write the Parquet files and failed.jsonl; on too many failures, or an exception, the old files stay."""
    if args.hub:
        download.fetch(args.hub, args.root, args.hub_files)
    if not args.root.is_dir():
        raise InputError(f"{args.root} is not a folder. Give the folder of the published files with --root")
    reading = Reading(args.root, args)
    summary = reading.summary
    read(reading)
    args.out.mkdir(parents=True, exist_ok=True)
    pictures = _pictures({item.image for item, _, _ in reading.items}, args, progress)
    rows = list(_usable(reading, pictures, args.split_unit))
    split_of = _split(rows, pictures, args, summary)
    splits = [name for name in SPLITS if name in {"train", "test", *split_of}]
    nothing = f"{args.root} holds no usable question"
    inputs = {file for _, file, _ in reading.items} | {Path(failure.file) for failure in summary.failures}
    with split_writers(args.out, splits, summary, args.max_failed, nothing, inputs, IMAGE_ROW_SCHEMA) as writers:
        for index, (item, split) in enumerate(zip(rows, split_of, strict=True)):
            writers[split].write(_row(benchmark, item, index, split, pictures[item.image]))
            summary.rows[source := plain_source(item.source), item.task, split] += 1
            if source != item.source:
                summary.notes[f"of the source {item.source!r}, which is written {source!r}"] += 1
    if summary.failed <= args.max_failed:
        # A part that an earlier run wrote and this one does not would overlap with the new ones.
        for name in {*SPLITS} - {*splits}:
            (args.out / f"{name}.parquet").unlink(missing_ok=True)
    return summary


def _pictures(paths: set[Path], args: argparse.Namespace, progress: bool) -> dict[Path, Picture | FrameError]:
    if args.skip_images:
        limits = {"min_pixels": args.min_pixels, "max_pixels": args.max_pixels}
        return {path: Picture(str(path.absolute()), str(path), **limits) for path in paths}
    if args.resize:
        (args.out / f"images_{args.resize}").mkdir(exist_ok=True)

    def look(path: Path) -> Picture | FrameError:
        try:
            return _look(path, args)
        except FrameError as error:
            return error

    with ThreadPoolExecutor(8) as pool:
        ordered = sorted(paths)
        found = tqdm(pool.map(look, ordered), total=len(ordered), desc="images", unit="file", disable=not progress)
        return dict(zip(ordered, found, strict=True))


def _look(path: Path, args: argparse.Namespace) -> Picture:
    picture = read_frame(str(path))
    height, width = picture.height, picture.width
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    if args.resize:
        height = width = args.resize
        path = args.out / f"images_{args.resize}" / f"{digest}.png"
        if not path.exists():
            with whole_file(path) as temporary:
                picture.resize((width, height), Image.Resampling.BICUBIC).save(temporary, "PNG")
    limits = {"min_pixels": args.min_pixels, "max_pixels": args.max_pixels}
    try:
        tokens = image_size(height, width, **limits).num_tokens
    except ValueError as error:
        raise FrameError(f"{path}: {error}") from error
    return Picture(str(path.absolute()), digest, **limits, height=height, width=width, num_tokens=tokens)


def _usable(reading: Reading, pictures: dict[Path, Picture | FrameError], split_unit: str) -> Iterable[Item]:
    """Items whose image can be read, each once; across published splits a repetition is kept, since it is theirs."""
    seen = set()
    for item, file, record in reading.items:
        picture = pictures[item.image]
        try:
            if isinstance(picture, FrameError):
                raise RecordError("image", str(picture), "Check --root, or unpack the images again")
            split = item.split if split_unit == "published" else ""
            key = (picture.image_id, item.source, item.task, item.question, item.options, item.answer, split)
            if key in seen:
                raise Duplicate("record", "repeats an earlier question about the same picture", "Left out")
        except RecordError as error:
            reading.summary.leave_out(file, record, item.id, error)
            continue
        seen.add(key)
        yield item


def _split(rows: list[Item], pictures: dict[Path, Picture], args: argparse.Namespace, summary: Summary) -> list[str]:
    ids = [pictures[item.image].image_id for item in rows]
    if args.split_unit == "published":
        if missing := next((item for item in rows if not item.split), None):
            raise InputError(f"{args.root} has no published split ({missing.image}): use --split-unit image")
        of_image: dict[str, set[str]] = defaultdict(set)
        for name, item in zip(ids, rows, strict=True):
            of_image[name].add(item.split)
        leaks = sum(item.split == "test" and len(of_image[name]) > 1 for name, item in zip(ids, rows, strict=True))
        if leaks:
            summary.notes["test questions whose image has training or validation questions too (the publishers'"
                          " split; --split-unit image has none)"] = leaks  # fmt: skip
        return [item.split for item in rows]
    if args.split_unit == "qa":
        units = [(item.source, str(number)) for number, item in enumerate(rows)]
    else:
        # An image that two sources share belongs to the first, or it could be held out in one of them only.
        owner: dict[str, str] = {}
        units = [(owner.setdefault(name, item.source), name) for name, item in zip(ids, rows, strict=True)]
    held_out = validation_videos(units, args.test_fraction, args.seed)
    return ["test" if unit in held_out else "train" for unit in units]


def _row(benchmark: str, item: Item, index: int, split: str, picture: Picture) -> dict:
    same = ("task", "question", "answer", "options", "modality", "question_type")
    return build_image_row(
        benchmark=benchmark,
        source=plain_source(item.source),
        index=index,
        split=split,
        picture=picture,
        record_id=item.id,
        dataset=item.dataset or benchmark,
        **{name: getattr(item, name) for name in same},
    )


def parser(module: str, description: str, hub: str = "", hub_files: Sequence[str] = ("*",)) -> argparse.ArgumentParser:
    """Arguments that every set has; ``hub`` is what ``--hub`` alone stands for, ``hub_files`` what is fetched of it."""
    cli = argparse.ArgumentParser(prog=f"python -m {module}", description=description.split("\n")[0])
    cli.add_argument("--root", type=utf8_path, required=True, help="folder of the published files")
    cli.add_argument("--out", type=utf8_path, required=True, help="folder for the Parquet files")
    cli.add_argument("--split-unit", choices=SPLIT_UNITS, help="what is held out whole: images (no leak), single "
                     "questions, or as the publishers did (image)")  # fmt: skip
    cli.add_argument("--test-fraction", type=float, default=0.2, help="share held out (%(default)s)")
    cli.add_argument("--seed", type=int, default=42, help="which are held out (%(default)s)")
    cli.add_argument("--min-pixels", type=at_least(1), default=MIN_PIXELS, help="least area of an image (%(default)s)")
    cli.add_argument(
        "--max-pixels", type=at_least(1), default=MAX_PIXELS, help="largest area of an image (%(default)s)"
    )
    cli.add_argument("--resize", type=at_least(1), metavar="N", help="write copies stretched to N x N pixels (Med-R1: "
                     "384)")  # fmt: skip
    cli.add_argument("--skip-images", action="store_true", help="open no image: sizes unknown, paths as identity")
    cli.add_argument("--max-failed", type=at_least(0), default=0, help="bad records to put up with (%(default)s)")
    cli.add_argument("--hub", nargs="?", const=hub, metavar="ID", help="first fetch this Hugging Face data set into "
                     f"--root (default id: {hub or 'none'})")  # fmt: skip
    cli.set_defaults(hub_files=hub_files)
    return cli


def run(
    benchmark: str,
    read: Callable[[Reading], None],
    cli: argparse.ArgumentParser,
    argv: Sequence[str] | None,
    settle: Callable[[argparse.ArgumentParser, argparse.Namespace], None] = lambda cli, args: None,
) -> int:
    """Exit status of a data set's command.

    Args:
        read: adds the data set's records to the :class:`Reading` that it is given.
        settle: refuses what the set's own arguments rule out, or completes them; there ``args.split_unit`` is None
            unless it was given.
    """
    args = cli.parse_args(argv)
    if not 0 <= args.test_fraction <= 1:
        cli.error(f"--test-fraction {args.test_fraction} is not between 0 and 1")
    if args.min_pixels > args.max_pixels:
        cli.error(f"--min-pixels {args.min_pixels} is above --max-pixels {args.max_pixels}")
    settle(cli, args)
    args.split_unit = args.split_unit or "image"
    if args.skip_images and args.resize:
        cli.error("--resize needs the images that --skip-images leaves closed")
    return run_and_tell(lambda: convert(benchmark, read, args, sys.stderr.isatty()), args.out, args.max_failed)
