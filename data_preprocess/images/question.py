# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""One question about one image, as a data set's reader makes it of a record, and what readers need for that."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from data_preprocess.common.errors import KnownDefect, RecordError
from data_preprocess.common.json_stream import check_characters
from data_preprocess.common.run_summary import SPLITS
from data_preprocess.schema import IMAGE_TASKS, RESERVED, RESERVED_REMEDY

_LETTERS = 26
_LETTER = re.compile(r"\(?([A-Z])(?:[.:)]+\s*(.*))?", re.IGNORECASE | re.DOTALL)
_READER = "The record, or its reader, is wrong"


@dataclass(frozen=True)
class Item:
    """One question about one image.

    Attributes:
        image: the image file.
        source: part of the data set, such as a modality; rewards and metrics are told apart by it.
        task: ``mcq``, ``closed`` (yes/no and other questions with a short list of answers) or ``open``.
        question: without options.
        answer: its text; with ``options``, equal to exactly one of them.
        options: of ``mcq`` alone.
        split: train, val or test, where the publishers say so.
    """

    image: Path
    source: str
    task: str
    question: str
    answer: str
    options: tuple[str, ...] = ()
    modality: str = ""
    question_type: str = ""
    id: str = ""
    dataset: str = ""
    split: str = ""


def checked(item: Item) -> Item:
    """The item, if it can become a row; a RecordError that names the attribute otherwise."""
    texts = {name: value for name, value in vars(item).items() if name not in ("image", "options")}
    texts |= {f"options[{position}]": option for position, option in enumerate(item.options)}
    for name, value in texts.items():
        if not isinstance(value, str):
            raise RecordError(name, f"is {value!r}, no text", _READER)
        if name in ("source", "question", "answer") or name.startswith("options"):
            if not value.strip():
                raise RecordError(name, "is empty", _READER)
            if found := RESERVED.search(value):
                raise RecordError(name, f"holds {found.group()}", RESERVED_REMEDY)
    check_characters(texts | {"image": str(item.image)})
    if "\0" in str(item.image):
        raise RecordError("image", f"{str(item.image)!r} holds a NUL, which no file name can", "Fix the record")
    if item.task not in IMAGE_TASKS:
        raise RecordError("task", f"is {item.task!r}, none of {', '.join(IMAGE_TASKS)}", _READER)
    if item.split not in (*SPLITS, ""):
        raise RecordError("split", f"is {item.split!r}, not train, val, test or empty", _READER)
    count = len(item.options)
    if (item.task == "mcq") != bool(count) or count == 1 or count > _LETTERS:
        remedy = f"mcq has 2 to {_LETTERS} options, other tasks none"
        raise RecordError("options", f"are {count} for a question of the task {item.task}", remedy)
    if count and item.options.count(item.answer) != 1:
        raise RecordError("answer", f"{item.answer!r} is not one of the options {list(item.options)}", _READER)
    return item


def text(raw: dict, key: str) -> str:
    """A field that must hold text; a RecordError otherwise."""
    value = raw.get(key)
    if not isinstance(value, str) or not value.strip():
        raise RecordError(
            key, "is missing or empty" if value in (None, "") else f"is {value!r}, no text", "Fix the record"
        )
    return value.strip()


def texts(raw: dict, key: str) -> tuple[str, ...]:
    """A field that holds a list of texts, or is not there; a RecordError otherwise."""
    values = raw.get(key) or []
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise RecordError(key, f"is {values!r}, no list of texts", "Fix the record")
    return tuple(value.strip() for value in values)


def inside(folder: Path, name: str, field: str) -> Path:
    """An image below ``folder``; a RecordError where the name leads elsewhere."""
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise RecordError(field, f"{name!r} leaves the folder of the images", f"It must lie below {folder}")
    return folder / name


def _plain(option: str) -> str:
    return option.strip().lower().rstrip(".").strip()


def same_option(option: str, answer: str) -> bool:
    """Whether they differ by no more than case and a final full stop."""
    return _plain(option) == _plain(answer)


def right_option(options: Sequence[str], answer: str, field: str) -> int:
    """Position of the option that ``answer`` means: equal but for case and a final full stop, or its letter (``(b)``).

    Raises:
        RecordError: none of the options; as a KnownDefect several.
    """
    for same in (lambda option: option == answer, lambda option: same_option(option, answer)):
        found = [position for position, option in enumerate(options) if same(option)]
        if len(found) == 1:
            return found[0]
        if len(found) > 1:
            raise KnownDefect(field, f"{answer!r} is several of the options {list(options)}", "No letter can be right")
    if letter := _LETTER.fullmatch(answer.strip()):
        position = ord(letter[1].upper()) - ord("A")
        if position < len(options) and (not letter[2] or same_option(options[position], letter[2])):
            return position
    raise RecordError(field, f"{answer!r} is none of the options {list(options)}", "Fix the record or leave it out")


def is_yes_no(answer: str) -> bool:
    return _plain(answer) in ("yes", "no")
