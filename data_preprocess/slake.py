# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""SLAKE -> train.parquet and test.parquet for verl.

    python -m data_preprocess.slake --root DIR --out DIR [--language en]

``--root`` holds train.json, validation.json, test.json and ``imgs`` (or imgs.zip, which is unpacked). The set has each
question in English and Chinese: one language is taken, and the others are counted. The source is the modality.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from data_preprocess import archive, image_set
from data_preprocess.failures import InputError, RecordError
from data_preprocess.image_set import Item, Reading, is_yes_no, text
from data_preprocess.json_stream import read_json_list

BENCHMARK = "slake"
HUB = "BoKelvin/SLAKE"
_FILES = {"train": "train.json", "val": "validation.json", "test": "test.json"}


def read(reading: Reading) -> None:
    """Add the data set's records to ``reading``."""
    archive.unpack(reading.root / "imgs.zip", reading.root)
    files = {split: reading.root / name for split, name in _FILES.items() if (reading.root / name).exists()}
    if not files:
        raise InputError(f"{reading.root} holds none of {', '.join(_FILES.values())}: give SLAKE's folder with --root")
    for split, file in files.items():
        for number, raw in enumerate(read_json_list(file)):
            language = raw.get("q_lang") if isinstance(raw, dict) else None
            if language and language != reading.args.language:
                reading.note(f"questions in another language ({language}) were not taken")
                continue
            reading.add(_item, raw, file, number, reading, split)


def _item(raw: dict, reading: Reading, split: str) -> Item:
    answer, kind = text(raw, "answer"), str(raw.get("answer_type") or "").strip().upper()
    if kind not in ("OPEN", "CLOSED"):
        raise RecordError("answer_type", f"is {kind!r}, not OPEN or CLOSED", "Mend the record")
    if kind == "OPEN" and is_yes_no(answer):
        reading.note("a yes/no question marked OPEN was taken as closed")
        kind = "CLOSED"
    name = Path(text(raw, "img_name"))
    if name.is_absolute() or ".." in name.parts:
        raise RecordError("img_name", f"{str(name)!r} leaves the folder imgs", "It must be xmlabN/source.jpg")
    modality = text(raw, "modality")
    return Item(
        image=reading.root / "imgs" / name,
        source=modality,
        task=kind.lower(),
        question=text(raw, "question"),
        answer=answer,
        modality=modality,
        question_type=str(raw.get("content_type") or ""),
        id=str(raw.get("qid") or ""),
        split=split,
    )


def main(argv: Sequence[str] | None = None) -> int:
    cli = image_set.parser("data_preprocess.slake", __doc__, HUB, ["*.json", "imgs.zip"])
    cli.add_argument("--language", default="en", help="language of the questions, as q_lang says (%(default)s)")
    return image_set.run(BENCHMARK, read, cli, argv)


if __name__ == "__main__":
    sys.exit(main())
