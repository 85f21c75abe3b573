# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Reading the publishers' files: what is not as expected is reported with file, key and expectation."""

import csv
import json
import math
import re
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from data_preprocess.common.errors import InputError
from data_preprocess.common.find_files import find

PICTURES = (".jpg", ".jpeg", ".png")
_SPACE = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"


def unexpected(file: Path, key: str, found: object, expected: str) -> InputError:
    """The error of a file that does not hold what its format says."""
    shown = "missing" if found is None else repr(found)
    return InputError(f"{file}, {key}: is {shown[:80]}; expected {expected}")


def need(value: Any, file: Path, key: str, kind: type | tuple[type, ...], expected: str) -> Any:
    """The value, if it is of that type; an InputError otherwise."""
    if not isinstance(value, kind) or isinstance(value, bool):
        raise unexpected(file, key, value, expected)
    return value


def objects(value: Any, file: Path, key: str) -> list[dict]:
    """A list of JSON objects."""
    found = need(value, file, key, list, "a list of objects")
    return [need(entry, file, f"{key}[{place}]", dict, "an object") for place, entry in enumerate(found)]


def number(value: Any, file: Path, key: str, expected: str = "a number") -> float:
    """A finite number, also where the file has it as text."""
    try:
        found = float(value)
    except (TypeError, ValueError, OverflowError):
        found = math.nan
    if not math.isfinite(found):
        raise unexpected(file, key, value, expected)
    return found


def whole(value: Any, file: Path, key: str) -> int:
    """A whole number, also where the file has it as text or as 3.0."""
    found = number(value, file, key, "a whole number")
    if found != int(found):
        raise unexpected(file, key, value, "a whole number")
    return int(found)


def corners(value: Any, file: Path, key: str) -> list[float]:
    """Four numbers, also as texts."""
    if not isinstance(value, list) or len(value) != 4:
        raise unexpected(file, key, value, "four numbers")
    return [number(side, file, key, "four numbers") for side in value]


def shares(value: Any, file: Path, key: str) -> list[float]:
    """Four numbers that are shares of the frame."""
    found = corners(value, file, key)
    if max(found) > 1.5:
        raise unexpected(file, key, value, "shares of the frame, 0 to 1")
    return found


def found_files(root: Path, pattern: str, what: str) -> list[Path]:
    """Files of that name below ``root``; an InputError where there is none."""
    if files := find(root, pattern):
        return files
    raise InputError(f"{root} holds no {pattern}: expected {what}. docs/build.md says what to unpack where")


def one_file(root: Path, pattern: str, what: str) -> Path:
    """The file of that name; an InputError where there are several, since which of them holds is not known."""
    return only(found_files(root, pattern, what))


def only(files: Sequence[Path]) -> Path:
    """The one file of these; an InputError where there are several."""
    if len(files) > 1:
        raise InputError(f"{files[0]} and {files[1]} are two versions of one file: leave one of them in --root")
    return files[0]


def read_json(path: Path, kind: type, expected: str) -> Any:
    """A JSON file whose top level is of that type."""
    try:
        content = json.loads(path.read_bytes())
    except ValueError as error:
        raise InputError(f"{path} is no JSON ({error}). Fetch it again") from error
    return need(content, path, "top level", kind, expected)


def read_lines(path: Path) -> list[str]:
    """Lines of a text file."""
    try:
        return path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is no text ({error}). Fetch it again") from error


def read_table(path: Path, columns: Sequence[str], delimiter: str = ",") -> Iterator[dict[str, str]]:
    """Rows of a CSV file with these columns, chosen by name; case, spaces and underscores do not count."""
    return named_rows(csv.reader(read_lines(path), delimiter=delimiter), path, columns)


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


def read_sheet(path: Path) -> Iterator[list[str]]:
    """Rows of the first sheet as texts, "" for an empty cell; an InputError where it is no workbook."""
    try:
        with zipfile.ZipFile(path) as archive:
            shared = _shared(archive)
            sheet = ElementTree.fromstring(archive.read("xl/worksheets/sheet1.xml"))
    except (zipfile.BadZipFile, KeyError, ElementTree.ParseError) as error:
        raise InputError(f"{path} is no Excel workbook (.xlsx) with a sheet ({error}). Fetch it again") from error
    for row in sheet.iter(f"{_SPACE}row"):
        cells: list[str] = []
        for cell in row.iter(f"{_SPACE}c"):
            place = _column(cell.get("r", "")) if cell.get("r") else len(cells)
            cells += [""] * (place + 1 - len(cells))
            cells[place] = _text(cell, shared)
        yield cells


def _shared(archive: zipfile.ZipFile) -> list[str]:
    if "xl/sharedStrings.xml" not in archive.namelist():
        return []
    table = ElementTree.fromstring(archive.read("xl/sharedStrings.xml"))
    # Text, or pieces of it in different fonts; an entry may also hold how a Chinese name is read, which is no text.
    parts = (
        [*entry.findall(f"{_SPACE}t"), *entry.findall(f"{_SPACE}r/{_SPACE}t")] for entry in table.iter(f"{_SPACE}si")
    )
    return ["".join(part.text or "" for part in entry) for entry in parts]


def _column(name: str) -> int:
    """Place of the cell ``AB12`` in its row, from 0."""
    place = 0
    for letter in re.match(r"[A-Z]*", name)[0]:
        place = place * 26 + ord(letter) - 64
    return place - 1


def _text(cell: ElementTree.Element, shared: list[str]) -> str:
    if cell.get("t") == "inlineStr":
        return "".join(part.text or "" for part in cell.iter(f"{_SPACE}t"))
    value = cell.findtext(f"{_SPACE}v") or ""
    return shared[int(value)] if cell.get("t") == "s" else value
