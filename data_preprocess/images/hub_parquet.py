# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Data sets published as Parquet with the images inside (``image, question, answer``), as on the Hugging Face hub."""

import contextlib
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from data_preprocess.common.errors import InputError, RecordError
from data_preprocess.common.file_kind import known_kind
from data_preprocess.common.find_files import find
from data_preprocess.images.convert import Reading, require_parts
from data_preprocess.images.question import Item, is_yes_no, text
from data_preprocess.parquet_writer import is_ours

_SPLITS = {"train": "train", "validation": "val", "valid": "val", "val": "val", "test": "test"}
_ROWS = 64


def _files_of(root: Path) -> list[tuple[str, Path]]:
    """(split, file) of every Parquet file that begins with a split's name, not our own; all in one folder."""
    paths = [path for path in find(root, "*.parquet") if path.is_file()]
    found = [(_SPLITS.get(re.split(r"[-_.]", path.name)[0]), path) for path in paths]
    found = [(split, path) for split, path in found if split and not is_ours(path)]
    if len(folders := sorted({str(path.parent) for _, path in found})) > 1:
        raise InputError(f"{folders[0]} and {folders[1]} both hold Parquet files of a set: give one with --root")
    return found


@contextlib.contextmanager
def _whole(file: Path):
    try:
        yield
    except (pa.ArrowInvalid, OSError) as error:
        if isinstance(error, OSError) and error.errno:
            raise
        raise InputError(f"{file} is no whole Parquet file ({error}){known_kind(file)}") from error


def read_parquet(reading: Reading, source: str) -> bool:
    """Add every row as a question of ``source``, its image written to the output folder; False without such files."""
    files = _files_of(reading.root)
    if files:
        require_parts(reading, {split for split, _ in files})
    for split, file in files:
        with _whole(file):
            rows = (raw for batch in pq.ParquetFile(file).iter_batches(_ROWS) for raw in batch.to_pylist())
            for number, raw in enumerate(rows):
                reading.add(_item, raw, file, number, reading, source, split)
    return bool(files)


def _item(raw: dict, reading: Reading, source: str, split: str) -> Item:
    image = raw.get("image")
    if not isinstance(image, dict) or not isinstance(image.get("bytes"), bytes) or not image["bytes"]:
        raise RecordError("image", "holds no bytes", "Take the published Parquet files, with their images inside")
    question, answer = text(raw, "question"), text(raw, "answer")
    task = "closed" if is_yes_no(answer) else "open"
    return Item(reading.keep_image(image["bytes"]), source, task, question, answer, split=split)
