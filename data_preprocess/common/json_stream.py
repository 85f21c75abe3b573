# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""A JSON array, or JSON Lines, read piece by piece, so that a file of gigabytes needs memory for a few records only.

:func:`scan` finds where each entry begins and ends, at the speed of a few passes of numpy over the bytes.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import orjson

from data_preprocess.common.errors import InputError, RecordError
from data_preprocess.common.file_kind import known_kind

BLOCK = 16 << 20
_QUOTE, _BACKSLASH, _OPEN, _CLOSE = b'"\\{}'
_SPACES = b" \t\r\n"
_BOM = b"\xef\xbb\xbf"
_HALF = re.compile("[\ud800-\udfff]")
# A comma, and an entry that is no object: a string, or a word without spaces.
_COMMA_AND_ENTRY = re.compile(rb'\s*,\s*("(?:[^"\\]|\\.)*"|[^\s",{}\[\]]+)\s*', re.DOTALL)


class Entry(NamedTuple):
    """Bytes ``start`` to ``end`` of the file hold one entry of the array."""

    start: int
    end: int


def read_json_list(path: Path) -> Iterator[object]:
    """The entries of a JSON array, or of JSON Lines; an InputError names the record that is no JSON."""
    with path.open("rb") as file:
        entries = (entry for part in scan(path) for entry in part)
        for number, (start, end) in enumerate(entries):
            file.seek(start)
            try:
                yield parse(file.read(end - start))
            except RecordError as error:
                raise InputError(f"{path}, record {number}: {error}") from error


def parse(text: bytes) -> object:
    """One entry; NaN and Infinity, which Python's json writes, are taken as well. A RecordError where it is no JSON."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        try:
            return json.loads(text)
        except (ValueError, RecursionError) as error:
            raise RecordError("record", f"is no JSON ({error})", "Fix it, or fetch the file again") from error


def check_characters(value: object) -> None:
    """Refuse half a character (``\\ud83d`` alone), which JSON can say and no file can keep, by a RecordError."""
    if field := _half_in(value, ""):
        raise RecordError(field, "holds half a character (a lone surrogate)", "No file can keep it: fix the text")


def _half_in(value: object, name: str) -> str | None:
    if isinstance(value, dict):
        parts = [(part, f"{name}.{key}".lstrip(".")) for key, part in value.items()]
        parts += [(key, name or "record") for key in value]
    elif isinstance(value, list):
        parts = [(part, f"{name}[{position}]") for position, part in enumerate(value)]
    else:
        return name if isinstance(value, str) and _HALF.search(value) else None
    return next((found for part, place in parts if (found := _half_in(part, place))), None)


def scan(path: Path, block: int = BLOCK) -> Iterator[list[Entry]]:
    """Places of the entries, a list for each ``block`` bytes of the file. Braces inside strings do not count.

    Raises:
        InputError: neither array nor JSON Lines, an empty one, cut off, or something else between its entries.
    """
    with path.open("rb") as file:
        head = file.read(1 << 16)
        text = head.removeprefix(_BOM).lstrip(_SPACES)
        if text.startswith(b"{"):
            yield from _scan_lines(path, block)
            return
        if not text.startswith(b"["):
            raise InputError(
                f"{path} does not begin with [: a JSON array of records is expected{known_kind(path, otherwise='')}"
            )
        position = len(head) - len(text) + 1
        file.seek(position)
        count, depth, odd, begin = 0, 0, False, 0
        between, since = b",", position - 1  # text after the last entry, and its place; ahead of the first as after one
        carried = b""  # backslashes that end a block: the next one's first quote may be escaped by them
        while data := file.read(block):
            text = carried + data
            carried = text[len(text.rstrip(b"\\")) :]
            text = text[: len(text) - len(carried)]
            array = np.frombuffer(text, np.uint8)
            quotes = _unescaped(array, text)
            braces = np.flatnonzero((array == _OPEN) | (array == _CLOSE))
            braces = braces[(np.searchsorted(quotes, braces) + odd) % 2 == 0]
            opening = array[braces] == _OPEN
            depths = depth + np.cumsum(np.where(opening, 1, -1))
            edges = ((depths == 1) & opening) | (depths < 1)
            entries: list[Entry] = []
            edge = 0  # where the text between objects begins
            for place, after in zip(braces[edges].tolist(), depths[edges].tolist(), strict=True):
                if after == 1:
                    entries += _entries_between(between + text[edge:place], since, path, count + len(entries))
                    begin = position + place
                elif after < 0:
                    raise InputError(f"{path}, record {count + len(entries)}: a closing brace without an opening one")
                else:
                    edge = place + 1
                    entries.append(Entry(begin, position + edge))
                    between, since = b"", position + edge
            if len(depths):
                depth = int(depths[-1])
            if depth == 0:
                between += text[edge:]
            odd ^= bool(len(quotes) % 2)
            position += len(text)
            count += len(entries)
            yield entries
        rest = between.rstrip(_SPACES)
        if depth or carried or not rest.endswith(b"]"):
            raise InputError(f"{path}, record {count}: the file is cut off, or more follows the array. Fetch it again")
        if rest[:-1].strip(_SPACES) == b"," and not count:
            raise InputError(f"{path} holds an empty array: there is nothing to do")
        yield _entries_between(rest[:-1] + b",", since, path, count)


def _scan_lines(path: Path, block: int) -> Iterator[list[Entry]]:
    """The same for JSON Lines: each line that is not empty is an entry."""
    with path.open("rb") as file:
        begin = position = len(_BOM) if file.read(len(_BOM)) == _BOM else 0
        file.seek(begin)
        lines = (line for line in file if line.strip(_SPACES))
        first, more = next(lines), next(lines, None)
        if not _is_object(first) or (more is None and path.suffix not in (".jsonl", ".ndjson")):
            what = "one object" if more is None else "neither: its first line is no whole object"
            raise InputError(
                f"{path} does not begin with [: a JSON array of records is expected, or JSON Lines; it holds {what}. "
                "Write the list of its records alone into a file"
            )
        file.seek(begin)
        entries: list[Entry] = []
        for line in file:
            if line.strip(_SPACES):
                entries.append(Entry(position, position + len(line)))
            position += len(line)
            if entries and position - entries[0].start >= block:
                yield entries
                entries = []
        yield entries


def _is_object(text: bytes) -> bool:
    try:
        return isinstance(parse(text), dict)
    except RecordError:
        return False


def _entries_between(text: bytes, start: int, path: Path, number: int) -> list[Entry]:
    """Entries that are no objects (a number among the records), in a text that begins and ends with a comma."""
    found, place = [], 0
    while entry := _COMMA_AND_ENTRY.match(text, place):
        found.append(Entry(start + entry.start(1), start + entry.end(1)))
        place = entry.end()
    if text[place:].strip(_SPACES) != b",":
        shown = text[place:][:40].decode("utf-8", "replace")
        raise InputError(f"{path}, record {number + len(found)}: {shown!r} does not continue a JSON array of records")
    return found


def _unescaped(array: np.ndarray, text: bytes) -> np.ndarray:
    """Positions of the quotes that begin or end a string."""
    quotes = np.flatnonzero(array == _QUOTE)
    suspects = np.flatnonzero(array[quotes - 1] == _BACKSLASH) if len(quotes) else quotes
    escaped = []
    for index in suspects.tolist():
        place = count = int(quotes[index])
        while count and text[count - 1] == _BACKSLASH:
            count -= 1
        if (place - count) % 2:
            escaped.append(index)
    return np.delete(quotes, escaped) if escaped else quotes
