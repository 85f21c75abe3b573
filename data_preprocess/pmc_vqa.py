# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""PMC-VQA, version 1 or 2 -> train.parquet and test.parquet for verl.

    python -m data_preprocess.pmc_vqa --root DIR --out DIR [--version 1|2] [--clean-test]

Version 1: train.csv, test.csv (or test_clean.csv with ``--clean-test``) and ``images`` (or images.zip). Version 2:
train_2.csv, test_2.csv and ``figures`` (or images_2.zip). Choices carry their letter (`` A:Diffuse uptake``), which is
cut off with quotes and blanks around the text. Rows whose label and answer disagree, and rows of which no letter can be
right, are known defects of the published files: left out and counted.
"""

from __future__ import annotations

import csv
import re
import string
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from data_preprocess import archive, image_set
from data_preprocess.failures import InputError, RecordError
from data_preprocess.image_set import Item, KnownDefect, Reading, right_option, same_option

BENCHMARK = "pmc_vqa"
HUB = "RadGenome/PMC-VQA"
FIELDS = ("Figure_path", "Question", "Answer", "Choice A", "Choice B", "Choice C", "Choice D")
_IMAGES = {1: ("images", "images.zip"), 2: ("figures", "images_2.zip")}
_AROUND = string.whitespace + "'\"\u00a0\u200a"
_PREFIX = re.compile(r"^\s*[A-D]\s*:")


def read(reading: Reading) -> None:
    """Add the data set's records to ``reading``."""
    version, root = reading.args.version, reading.root
    folder, zipped = _IMAGES[version]
    archive.unpack(root / zipped, root)
    suffix = "_2" if version == 2 else ""
    files = {
        "train": f"train{suffix}.csv",
        "test": "test_clean.csv" if reading.args.clean_test else f"test{suffix}.csv",
    }
    found = {split: root / name for split, name in files.items() if (root / name).exists()}
    if not found:
        raise InputError(f"{root} holds none of {', '.join(files.values())}: give PMC-VQA's folder with --root")
    # The archive of either version has been seen with and without its folder.
    images = root / folder if (root / folder).is_dir() else root
    for split, file in found.items():
        for number, raw in enumerate(_rows(file)):
            reading.add(_item, raw, file, number, images, split, reading)


def _rows(file: Path) -> Iterator[dict]:
    csv.field_size_limit(1 << 24)
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            rows = csv.DictReader(lines)
            names = {name: "Answer" if name.strip() == "Anwser" else name.strip() for name in rows.fieldnames or ()}
            if missing := [field for field in FIELDS if field not in names.values()]:
                raise InputError(f"{file} has no column {', '.join(missing)}. Is it PMC-VQA's, and whole?")
            for row in rows:
                yield {names[key]: value for key, value in row.items() if key in names}
    except UnicodeDecodeError as error:
        raise InputError(f"{file} is no UTF-8 text ({error.reason}). Fetch it again") from error
    except csv.Error as error:
        raise InputError(f"{file} is no CSV ({error}). Fetch it again") from error


def _item(raw: dict, images: Path, split: str, reading: Reading) -> Item:
    def clean(field: str) -> str:
        value = (raw.get(field) or "").strip(_AROUND)
        if not value:
            raise RecordError(field, "is empty or missing", "Mend the row, or fetch the file again")
        return value

    options = tuple(_PREFIX.sub("", clean(f"Choice {letter}")).strip(_AROUND) for letter in "ABCD")
    if not all(options):
        raise KnownDefect("Choice", f"one of {list(options)} is empty", "Left out")
    answer = clean("Answer")
    label = (raw.get("Answer_label") or "").strip(_AROUND)
    if answer in "ABCD" and len(answer) == 1 and not label:  # version 2 gives the letter
        label, answer = answer, options["ABCD".index(answer)]
    answer = _PREFIX.sub("", answer).strip(_AROUND)
    if label and (label not in tuple("ABCD") or not same_option(options["ABCD".index(label)], answer)):
        raise KnownDefect("Answer_label", f"{label!r} is not the choice of the answer {answer!r}", "Left out")
    name = Path(clean("Figure_path"))
    if name.is_absolute() or ".." in name.parts:
        raise RecordError("Figure_path", f"{str(name)!r} leaves the folder of the images", "It must be a file's name")
    return Item(
        image=images / name,
        source="figure",
        task="mcq",
        question=clean("Question"),
        options=options,
        answer=options[right_option(options, answer, "Answer")],
        id=f"{split}-{raw.get('index') or name.stem}",
        split=split,
    )


def main(argv: Sequence[str] | None = None) -> int:
    cli = image_set.parser("data_preprocess.pmc_vqa", __doc__, HUB, ["*.csv", "images*.zip"])
    cli.add_argument("--version", type=int, choices=(1, 2), default=2, help="of the published files (%(default)s)")
    cli.add_argument("--clean-test", action="store_true", help="version 1: the 2,000 test rows that were checked")
    return image_set.run(BENCHMARK, read, cli, argv)


if __name__ == "__main__":
    sys.exit(main())
