# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""PMC-VQA, version 1 or 2 -> train.parquet and test.parquet for verl.

    python -m data_preprocess.pmc_vqa --root DIR --out DIR [--version 1|2] [--clean-test] [--subset 10000 7000]

Choices carry their letter (`` A:Diffuse uptake``), which is cut off with quotes and spaces around the text. Rows whose
label and answer disagree, and rows of which no letter can be right, are known defects: left out and counted.
"""

import argparse
import csv
import random
import re
import string
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from data_preprocess.common import download
from data_preprocess.common.cli_types import at_least
from data_preprocess.common.errors import InputError, KnownDefect, RecordError
from data_preprocess.common.file_kind import known_kind
from data_preprocess.images import convert
from data_preprocess.images.convert import Reading, published_files
from data_preprocess.images.question import Item, inside, right_option, same_option

BENCHMARK = "pmc_vqa"
HUB = "RadGenome/PMC-VQA"
FIELDS = ("Figure_path", "Question", "Answer", "Choice A", "Choice B", "Choice C", "Choice D")
_IMAGES = {1: ("images", "images.zip"), 2: ("figures", "images_2.zip")}
_FILES = {1: {"train": "train.csv", "test": "test.csv"}, 2: {"train": "train_2.csv", "test": "test_2.csv"}}
_CLEAN_TEST = "test_clean.csv"
_AROUND = string.whitespace + "'\"\u00a0\u200a"
_PREFIX = re.compile(r"^\s*[A-D]\s*:")


def read(reading: Reading) -> None:
    """Add the data set's records to ``reading``."""
    version, root = reading.args.version, reading.root
    folder, zipped = _IMAGES[version]
    download.unpack(root / zipped, root)
    found = published_files(reading, _files(reading.args))
    # The archive of either version has been seen with and without its folder.
    images = root / folder if (root / folder).is_dir() else root
    for split, file in found.items():
        for number, raw in enumerate(_rows(file)):
            reading.add(_item, raw, file, number, images, split)
    if reading.args.subset:
        _take_subset(reading)


def _files(args: argparse.Namespace) -> dict[str, str]:
    return _FILES[args.version] | ({"test": _CLEAN_TEST} if args.clean_test else {})


def _take_subset(reading: Reading) -> None:
    """Keep the first rows of each part, once it is shuffled, in the order of the file.

    A row that repeats another one is left out later on: it does not count here.
    """
    chosen: set[int] = set()
    for split, size in zip(("train", "test"), reading.args.subset, strict=True):
        numbers = [number for number, (item, _, _) in enumerate(reading.items) if item.split == split]
        random.Random(reading.args.seed).shuffle(numbers)
        taken: set[tuple] = set()
        for number in numbers:
            item = reading.items[number][0]
            what = item.image, item.question, item.options, item.answer
            if len(taken) < size and what not in taken:
                taken.add(what)
                chosen.add(number)
        if len(taken) < size:
            raise InputError(f"{reading.root} has {len(taken)} usable {split} rows, --subset asks for {size}")
    reading.summary.notes["not chosen for the subset"] += len(reading.items) - len(chosen)
    reading.items = [reading.items[number] for number in sorted(chosen)]


def _rows(file: Path) -> Iterator[dict]:
    csv.field_size_limit(1 << 24)
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            rows = csv.DictReader(lines)
            names = {name: "Answer" if name.strip() == "Anwser" else name.strip() for name in rows.fieldnames or ()}
            if missing := [field for field in FIELDS if field not in names.values()]:
                found = known_kind(file, otherwise=". Is it PMC-VQA's, and whole?")
                raise InputError(f"{file} has no column {', '.join(missing)}{found}")
            for row in rows:
                yield {names[key]: value for key, value in row.items() if key in names}
    except UnicodeDecodeError as error:
        raise InputError(f"{file} is no UTF-8 text ({error.reason}){known_kind(file)}") from error
    except csv.Error as error:
        raise InputError(f"{file} is no CSV ({error}). Fetch it again") from error


def _item(raw: dict, images: Path, split: str) -> Item:
    def clean(field: str) -> str:
        value = (raw.get(field) or "").strip(_AROUND)
        if not value:
            raise RecordError(field, "is empty or missing", "Fix the row, or fetch the file again")
        return value

    options = tuple(_PREFIX.sub("", clean(f"Choice {letter}")).strip(_AROUND) for letter in "ABCD")
    if not all(options):
        raise KnownDefect("Choice", f"one of {list(options)} is empty", "Left out")
    answer = clean("Answer")
    label = (raw.get("Answer_label") or "").strip(_AROUND)
    if answer in "ABCD" and len(answer) == 1 and not label:  # version 2 gives the letter
        label, answer = answer, options["ABCD".index(answer)]
    if not any(same_option(option, answer) for option in options):
        answer = _PREFIX.sub("", answer).strip(_AROUND)
    if label and (label not in tuple("ABCD") or not same_option(options["ABCD".index(label)], answer)):
        raise KnownDefect("Answer_label", f"{label!r} is not the choice of the answer {answer!r}", "Left out")
    image = inside(images, clean("Figure_path"), "Figure_path")
    return Item(
        image=image,
        source="figure",
        task="mcq",
        question=clean("Question"),
        options=options,
        answer=options[right_option(options, answer, "Answer")],
        id=f"{split}-{raw.get('index') or image.stem}",
        split=split,
    )


def _settle(cli: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    if args.clean_test and args.version == 2:
        cli.error(f"--clean-test is {_CLEAN_TEST} of version 1: give --version 1 too, or leave it out")
    if args.subset and args.split_unit not in (None, "published"):
        cli.error(f"--subset takes rows of the published split: leave --split-unit {args.split_unit} out")
    args.split_unit = "published" if args.subset else args.split_unit
    # The images of the other version are gigabytes that nobody asked for.
    args.hub_files = [*_files(args).values(), _IMAGES[args.version][1]]


def main(argv: Sequence[str] | None = None) -> int:
    cli = convert.parser("data_preprocess.pmc_vqa", __doc__, HUB)
    cli.add_argument("--version", type=int, choices=(1, 2), default=2, help="of the published files (%(default)s)")
    cli.add_argument("--clean-test", action="store_true", help="version 1: the 2,000 test rows that were checked")
    cli.add_argument("--subset", nargs=2, type=at_least(1), metavar=("TRAIN", "TEST"), help="take so many rows of the "
                     "published split's parts, shuffled with --seed")  # fmt: skip
    return convert.run(BENCHMARK, read, cli, argv, _settle)


if __name__ == "__main__":
    sys.exit(main())
