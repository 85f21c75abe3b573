# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""SLAKE -> train.parquet and test.parquet for verl.

    python -m data_preprocess.slake --root DIR --out DIR [--language en]

``--root`` holds train.json, validation.json, test.json and ``imgs`` (or imgs.zip). The source is the modality.
"""

import sys
from collections.abc import Sequence

from data_preprocess.common import download
from data_preprocess.common.errors import record_id
from data_preprocess.common.json_stream import read_json_list
from data_preprocess.images import convert
from data_preprocess.images.convert import Reading, answer_task, published_files
from data_preprocess.images.question import Item, inside, text

BENCHMARK = "slake"
HUB = "BoKelvin/SLAKE"
_FILES = {"train": "train.json", "val": "validation.json", "test": "test.json"}


def read(reading: Reading) -> None:
    """Add the data set's records to ``reading``."""
    download.unpack(reading.root / "imgs.zip", reading.root)
    for split, file in published_files(reading, _FILES).items():
        for number, raw in enumerate(read_json_list(file)):
            language = raw.get("q_lang") if isinstance(raw, dict) else None
            if language and language != reading.args.language:
                reading.note(f"questions in another language ({language}) were not taken")
                continue
            reading.add(_item, raw, file, number, reading, split)


def _item(raw: dict, reading: Reading, split: str) -> Item:
    answer, modality = text(raw, "answer"), text(raw, "modality")
    return Item(
        image=inside(reading.root / "imgs", text(raw, "img_name"), "img_name"),
        source=modality,
        task=answer_task(raw, answer, reading),
        question=text(raw, "question"),
        answer=answer,
        modality=modality,
        question_type=str(raw.get("content_type") or ""),
        id=record_id(raw, "qid"),
        split=split,
    )


def main(argv: Sequence[str] | None = None) -> int:
    cli = convert.parser("data_preprocess.slake", __doc__, HUB, ["*.json", "imgs.zip"])
    cli.add_argument("--language", default="en", help="language of the questions, as q_lang says (%(default)s)")
    return convert.run(BENCHMARK, read, cli, argv)


if __name__ == "__main__":
    sys.exit(main())
