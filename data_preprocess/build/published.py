# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Reading the publishers' files: what is not as expected is reported with file, key and expectation."""

import csv
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from data_preprocess.common.errors import InputError
from data_preprocess.common.find_files import find

PICTURES = (".jpg", ".jpeg", ".png")


def unexpected(file: Path, key: str, found: object, expected: str) -> InputError:
    """The error of a file that does not hold what its format says."""
    shown = "missing" if found is None else repr(found)
    return InputError(f"{file}, {key}: is {shown[:80]}; expected {expected}")


def need(value: Any, file: Path, key: str, kind: type | tuple[type, ...], expected: str) -> Any:
    """The value, if it is of that type; an InputError otherwise."""
    if not isinstance(value, kind) or isinstance(value, bool):
        raise unexpected(file, key, value, expected)
    return value


def whole(value: Any, file: Path, key: str) -> int:
    """A whole number, also where the file has it as text or as 3.0."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise unexpected(file, key, value, "a whole number") from None
    if number != int(number):
        raise unexpected(file, key, value, "a whole number")
    return int(number)


def corners(value: Any, file: Path, key: str) -> list[float]:
    """Four numbers, also as texts."""
    try:
        numbers = [float(side) for side in value]
    except (TypeError, ValueError):
        numbers = []
    if len(numbers) != 4:
        raise unexpected(file, key, value, "four numbers")
    return numbers


def found_files(root: Path, pattern: str, what: str) -> list[Path]:
    """Files of that name below ``root``; an InputError where there is none."""
    if files := find(root, pattern):
        return files
    raise InputError(f"{root} holds no {pattern}: expected {what}. docs/build.md says what to unpack where")


def read_json(path: Path, kind: type, expected: str) -> Any:
    """A JSON file whose top level is of that type."""
    try:
        content = json.loads(path.read_bytes())
    except ValueError as error:
        raise InputError(f"{path} is no JSON ({error}). Fetch it again") from error
    return need(content, path, "top level", kind, expected)


def read_table(path: Path, columns: Sequence[str]) -> Iterator[dict[str, str]]:
    """Rows of a CSV file with these columns, chosen by name; case, spaces and underscores do not count."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        yield from named_rows(csv.reader(file), path, columns)


def named_rows(rows: Iterator[Sequence], path: Path, columns: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Rows as dicts of ``columns``; the first row is the header."""
    header = [_plain(str(name)) for name in next(rows, [])]
    missing = [name for name in columns if _plain(name) not in header]
    if missing:
        raise unexpected(path, "header", header, f"the columns {', '.join(columns)}")
    places = {name: header.index(_plain(name)) for name in columns}
    for row in rows:
        if any(cell not in ("", None) for cell in row):
            yield {name: row[place] if place < len(row) else "" for name, place in places.items()}


def _plain(name: str) -> str:
    return re.sub(r"[\s_]+", "", name).lower()


def numbered_pictures(folder: Path) -> dict[int, str]:
    """Picture files of a folder by the last number in their names."""
    if not folder.is_dir():
        return {}
    found = {}
    for file in sorted(folder.iterdir()):
        if file.suffix.lower() in PICTURES and (digits := re.findall(r"\d+", file.stem)):
            found[int(digits[-1])] = str(file.absolute())
    return found
