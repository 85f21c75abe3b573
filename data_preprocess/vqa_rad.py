# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""VQA-RAD -> train.parquet and test.parquet for verl.

    python -m data_preprocess.vqa_rad --root DIR --out DIR

Reads the hub's Parquet files, or ``VQA_RAD Dataset Public.json`` next to ``VQA_RAD Image Folder``. Many pictures are in
both published parts: the split is drawn by image here, unless ``--split-unit published`` asks for theirs.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from data_preprocess.common.errors import InputError, RecordError, record_id
from data_preprocess.common.find_files import find
from data_preprocess.common.json_stream import read_json_list
from data_preprocess.images import convert
from data_preprocess.images.convert import Reading, answer_task
from data_preprocess.images.hub_parquet import read_parquet
from data_preprocess.images.question import Item, inside, text

BENCHMARK = "vqa_rad"
HUB = "flaviagiammarino/vqa-rad"


def read(reading: Reading) -> None:
    """Add the data set's records to ``reading``."""
    if read_parquet(reading, "radiology"):
        return
    files = find(reading.root, "VQA_RAD Dataset Public.json")
    if not files:
        raise InputError(f"{reading.root} holds neither train-*.parquet nor VQA_RAD Dataset Public.json (--root)")
    images = next((path for path in find(reading.root, "VQA_RAD Image Folder*") if path.is_dir()), None)
    for number, raw in enumerate(read_json_list(files[0])):
        reading.add(_original, raw, files[0], number, images or reading.root, reading)


def _original(raw: dict, images: Path, reading: Reading) -> Item:
    answer = raw.get("answer")
    if isinstance(answer, int | float) and not isinstance(answer, bool) and answer == answer:  # not NaN
        reading.note("an answer that is a number was taken as text")
        answer = str(answer)
    if not isinstance(answer, str) or not answer.strip():
        raise RecordError("answer", f"is {answer!r}", "Fix the record or leave it out")
    return Item(
        image=inside(images, text(raw, "image_name"), "image_name"),
        source=text(raw, "image_organ"),
        task=answer_task(raw, answer, reading),
        question=text(raw, "question"),
        answer=answer.strip(),
        question_type=str(raw.get("question_type") or ""),
        id=record_id(raw, "qid"),
        split="test" if str(raw.get("phrase_type") or "").startswith("test") else "train",
    )


def main(argv: Sequence[str] | None = None) -> int:
    cli = convert.parser("data_preprocess.vqa_rad", __doc__, HUB, ["data/*.parquet"])
    return convert.run(BENCHMARK, read, cli, argv)


if __name__ == "__main__":
    sys.exit(main())
