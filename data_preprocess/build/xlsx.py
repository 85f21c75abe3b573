# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""The first sheet of an Excel workbook, by the standard library: two of the sources need no more."""

import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

from data_preprocess.common.errors import InputError

_SPACE = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"


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
