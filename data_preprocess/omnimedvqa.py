# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""OmniMedVQA's open part, or Med-R1's split files of it -> train.parquet and test.parquet for verl.

    python -m data_preprocess.omnimedvqa --root DIR --out DIR [--splits DIR]

``--root`` holds ``Images`` and ``QA_information``, the folder ``OmniMedVQA`` with both, or ``OmniMedVQA.zip``. The set
has no split: it is drawn by image, or by question as in Med-R1 (``--split-unit qa``). Med-R1's own families of split
files (``--splits .../Splits/modality``) are different draws: most test questions of one are training questions of the
other.
"""

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from data_preprocess.common import download
from data_preprocess.common.errors import InputError, RecordError, record_id
from data_preprocess.common.find_files import find
from data_preprocess.common.json_stream import read_json_list
from data_preprocess.images import convert
from data_preprocess.images.convert import Reading
from data_preprocess.images.labels import MODALITIES, QUESTION_TYPES
from data_preprocess.images.question import Item, inside, right_option, text

BENCHMARK = "omnimedvqa"
HUB = "foreverbeliever/OmniMedVQA"
_LETTERS = re.compile(r"[^a-z0-9]")
_SHORT = {_LETTERS.sub("", name.lower()): short for name, short in MODALITIES.items()}
_OPTION = re.compile(r"(?:^| )(A)\)|, ([B-D])\)")
_SOLUTION = re.compile(r"<answer>\s*([A-D])\s*</answer>")


def short_modality(name: str) -> str:
    """Short name of a published modality; an unknown one is returned as it is."""
    return _SHORT.get(_LETTERS.sub("", name.lower()), name)


def read(reading: Reading) -> None:
    """Add the data set's records to ``reading``."""
    download.unpack(reading.root / "OmniMedVQA.zip", reading.root)
    root = reading.root / "OmniMedVQA" if (reading.root / "OmniMedVQA").is_dir() else reading.root
    folder = root / "QA_information" / "Open-access"
    files = find(folder, "*.json")
    if reading.args.splits:
        _read_splits(reading, root, reading.args.splits, files)
        return
    if not files:
        raise InputError(f"{folder} holds no JSON file. Give the unpacked OmniMedVQA folder with --root, or --splits")
    for file in files:
        for number, raw in enumerate(read_json_list(file)):
            reading.add(_record, raw, file, number, root, reading)


def _record(raw: dict, root: Path, reading: Reading) -> Item:
    options = tuple(text(raw, f"option_{letter}") for letter in "ABCD" if raw.get(f"option_{letter}"))
    if len(options) < 2:
        raise RecordError("option_A", "and the others are fewer than two", "Fix the record")
    answer = text(raw, "gt_answer")
    chosen = options[right_option(options, answer, "gt_answer")]
    if chosen != answer:
        reading.note("the answer differs from its option by case or a full stop; the option was taken")
    if "modality_type" not in raw and "modality" in raw:
        reading.note("key modality in place of modality_type")
        raw = raw | {"modality_type": raw["modality"]}
    modality = text(raw, "modality_type")
    return Item(
        image=inside(root, text(raw, "image_path"), "image_path"),
        source=short_modality(modality),
        task="mcq",
        question=text(raw, "question"),
        options=options,
        answer=chosen,
        modality=short_modality(modality),
        question_type=str(raw.get("question_type") or ""),
        id=record_id(raw, "question_id"),
        dataset=str(raw.get("dataset") or ""),
    )


def _read_splits(reading: Reading, root: Path, folder: Path, published: Sequence[Path]) -> None:
    """Med-R1's split files; what they do not say (modality, question type) comes from the published files if there."""
    files = [(split, file) for split in ("train", "test") for file in find(folder / split, "*.json")]
    if not files:
        families = [path.parent.name for path in find(folder, "test")]
        hint = f" It holds {' and '.join(families)}: give one of them" if families else ""
        raise InputError(f"{folder} holds neither train/*.json nor test/*.json.{hint} (--splits)")
    known = {}
    for file in published:
        for number, raw in enumerate(read_json_list(file)):
            if isinstance(raw, dict):
                try:
                    known[text(raw, "image_path"), str(raw.get("question") or "").strip()] = raw
                except RecordError as error:
                    reading.summary.leave_out(file, number, record_id(raw, "question_id"), error)
    for split, file in files:
        for number, raw in enumerate(read_json_list(file)):
            reading.add(_split_record, raw, file, number, root, split, file.stem.removesuffix(f"_{split}"), known)


def _split_record(raw: dict, root: Path, split: str, stem: str, known: dict) -> Item:
    question, options = split_problem(text(raw, "problem"))
    solution = _SOLUTION.search(text(raw, "solution"))
    if not solution or ord(solution[1]) - ord("A") >= len(options):
        raise RecordError("solution", f"{raw['solution']!r} names none of {len(options)} options", "Fix the record")
    answer = options[ord(solution[1]) - ord("A")]
    right_option(options, answer, "solution")
    path = text(raw, "image")
    published = known.get((path, question), {})
    by_type = stem in QUESTION_TYPES
    modality = str(published.get("modality_type") or published.get("modality") or ("" if by_type else stem))
    return Item(
        image=inside(root, path, "image"),
        source=short_modality(modality or stem),
        task="mcq",
        question=question,
        options=options,
        answer=answer,
        modality=short_modality(modality),
        question_type=stem if by_type else str(published.get("question_type") or ""),
        id=record_id(published, "question_id"),
        dataset=Path(path).parts[1] if len(Path(path).parts) > 2 else "",
        split=split,
    )


def split_problem(problem: str) -> tuple[str, tuple[str, ...]]:
    """Question and options of Med-R1's one-line form ``<question> A)<option>, B)<option>``."""
    marks = list(_OPTION.finditer(problem))
    # The last A) that works counts: a question may itself say "A)", and so may an option.
    for first in reversed([mark for mark in marks if mark[1]]):
        chosen = [first, *(mark for mark in marks if mark[2] and mark.start() >= first.end())]
        ends = [mark.start() for mark in chosen[1:]] + [len(problem)]
        options = tuple(problem[mark.end() : end].strip() for mark, end in zip(chosen, ends, strict=True))
        letters = "".join(mark[1] or mark[2] for mark in chosen)
        if len(options) >= 2 and all(options) and letters == "ABCD"[: len(letters)]:
            return problem[: first.start()].strip(), options
    raise RecordError("problem", f"{problem!r} has no options A), B), ...", "Fix the record")


def _settle(cli: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    if args.splits and args.split_unit not in (None, "published"):
        cli.error(f"--splits brings its own split: leave --split-unit {args.split_unit} out")
    args.split_unit = "published" if args.splits else args.split_unit


def main(argv: Sequence[str] | None = None) -> int:
    cli = convert.parser("data_preprocess.omnimedvqa", __doc__, HUB, ["OmniMedVQA.zip"])
    cli.add_argument("--splits", type=Path, help="a family of Med-R1's split files: folder with train/ and test/")
    return convert.run(BENCHMARK, read, cli, argv, _settle)


if __name__ == "__main__":
    sys.exit(main())
