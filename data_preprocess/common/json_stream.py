# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""A JSON array of objects read piece by piece, so that a file of gigabytes needs memory for a few records only.

:func:`scan` finds where each entry begins and ends, at the speed of a few passes of numpy over the bytes; each entry is
then parsed on its own (:func:`parse`), by whichever process holds the bytes.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import orjson

from data_preprocess.common.errors import InputError, RecordError

BLOCK = 16 << 20
_QUOTE, _BACKSLASH, _OPEN, _CLOSE = b'"\\{}'
_BLANK = b" \t\r\n"
_HALF = re.compile("[\ud800-\udfff]")
_BOM = b"\xef\xbb\xbf"
# A file that is no array is read whole, to say what it is instead, up to this size in bytes.
_DIAGNOSED = 64 << 20


class Entry(NamedTuple):
    """Bytes ``start`` to ``end`` of the file hold one entry of the array."""

    start: int
    end: int


def read_json_list(path: Path) -> Iterator[object]:
    """The entries of a JSON array, one after the other.

    Raises:
        InputError: see :func:`scan`.
    """
    with open_json(path) as file:
        for entries in scan(path):
            for entry in entries:
                file.seek(entry.start)
                yield parse(file.read(entry.end - entry.start), path, entry.start)


def open_json(path: Path):
    try:
        return path.open("rb")
    except FileNotFoundError:
        raise InputError(f"{path} does not exist. Give a JSON file") from None
    except IsADirectoryError:
        raise InputError(f"{path} is a folder. Give the JSON file in it") from None
    except PermissionError:
        raise InputError(f"{path} may not be read. Change its permissions, or those of its folder") from None


def parse(text: bytes, path: Path, start: int) -> object:
    """One entry; NaN and Infinity, which Python's json writes, are taken as well.

    Raises:
        InputError: not JSON; the message names line and column of the file.
    """
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        try:
            return json.loads(text)
        except json.JSONDecodeError as error:
            raise not_json(path, error.msg, start + len(text.decode()[: error.pos].encode())) from error
        except UnicodeDecodeError as error:
            raise InputError(
                f"{path} is no UTF-8 text ({error.reason} at byte {start + error.start}). Fetch it again"
            ) from error
        except ValueError as error:  # a number of thousands of digits
            raise not_json(path, str(error), start) from error
        except RecursionError:
            raise not_json(path, "more brackets within brackets than can be read,", start) from None


def check_characters(value: object) -> None:
    """Refuse half a character (``\\ud83d`` alone), which JSON can say and no file can keep.

    Raises:
        RecordError: naming the field.
    """
    if field := _half_in(value, ""):
        raise RecordError(field, "holds half a character (a lone surrogate)", "No file can keep it: mend the text")


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
    """Places of the entries, a list for each ``block`` bytes of the file.

    Entries other than objects (a number among the records) are found too. Braces inside strings do not count.

    Raises:
        InputError: missing, unreadable, empty, no array, an empty array, cut off, or text after the array.
    """
    with open_json(path) as file:
        position = _skip_to_array(path, file)
        depth, odd, begin = 0, False, 0
        outside = _Outside(path, position)
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
            edge = 0  # where the text outside of objects begins
            for place, after in zip(braces[edges].tolist(), depths[edges].tolist(), strict=True):
                if after == 1:
                    outside.take(text[edge:place])
                    entries += outside.close(last=False)
                    begin = position + place
                elif after == 0:
                    edge = place + 1
                    entries.append(Entry(begin, position + edge))
                    outside.begin(position + edge)
                else:
                    raise not_json(path, "a closing brace without an opening one", position + place)
            if len(depths):
                depth = int(depths[-1])
            if depth == 0:
                outside.take(text[edge:])
            odd ^= bool(len(quotes) % 2)
            position += len(text)
            yield entries
        if depth or carried:
            raise _cut_off(path, begin)
        yield outside.close(last=True)
        if outside.empty:
            raise InputError(f"{path} holds an empty array: there is nothing to do")


class _Outside:
    """The text between two objects of the array: a comma, as a rule, or entries that are no objects."""

    def __init__(self, path: Path, position: int):
        self.path, self.empty = path, True
        self._text, self._start, self._entry_before = b"", position, False

    def begin(self, position: int) -> None:
        """An object ended just before this byte of the file."""
        self._text, self._start, self._entry_before, self.empty = b"", position, True, False

    def take(self, text: bytes) -> None:
        self._text += text

    def close(self, *, last: bool) -> list[Entry]:
        """Entries in the text, which ends at an object or, if ``last``, with the file.

        Raises:
            InputError: the text does not continue an array.
        """
        if not last and self._text.strip(_BLANK) == (b"," if self._entry_before else b""):
            return []
        text, place, found = self._text.decode("utf-8", "replace"), 0, []
        entry_before, after_comma = self._entry_before, False
        while True:
            place += len(text[place:]) - len(text[place:].lstrip())
            here = self._start + len(text[:place].encode())
            if place == len(text):
                if last:
                    raise _cut_off(self.path, here)
                if entry_before:
                    raise not_json(self.path, "Expecting ',' delimiter", here)
                return found
            if text[place] == "]":
                rest = text[place + 1 :].strip()
                if after_comma or rest or not last:
                    raise not_json(self.path, "Illegal trailing comma" if after_comma else "Extra data", here)
                return found
            if (text[place] == ",") != entry_before:
                raise not_json(self.path, "Expecting ',' delimiter" if entry_before else "Expecting value", here)
            if entry_before:
                place, entry_before, after_comma = place + 1, False, True
                continue
            try:
                _, stop = json.JSONDecoder().raw_decode(text, place)
            except json.JSONDecodeError as error:
                if text[place] == "[":
                    raise InputError(
                        f"{self.path} holds an array within the array ({place_of(self.path, here)}); a plain array of "
                        "records is expected"
                    ) from error
                if last and (error.pos >= len(text) or error.msg.startswith("Unterminated")):
                    raise _cut_off(self.path, here) from error
                raise not_json(self.path, error.msg, self._start + len(text[: error.pos].encode())) from error
            found.append(Entry(here, self._start + len(text[:stop].encode())))
            place, entry_before, after_comma, self.empty = stop, True, False, False


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


def place_of(path: Path, position: int) -> str:
    """Line and column of a byte of the file, in words; both count from 1."""
    line, column = 1, 1
    with path.open("rb") as file:
        while position > 0 and (data := file.read(min(position, BLOCK))):
            position -= len(data)
            line += data.count(b"\n")
            column = len(data) - data.rfind(b"\n") if b"\n" in data else column + len(data)
    return f"line {line}, column {column}"


def not_json(path: Path, message: str, position: int) -> InputError:
    return InputError(f"{path} is not JSON: {message} at {place_of(path, position)}")


def _cut_off(path: Path, position: int) -> InputError:
    return InputError(
        f"{path} is cut off: it ends inside a value that began by {place_of(path, position)}. Fetch it again"
    )


def _skip_to_array(path: Path, file) -> int:
    """Offset just behind the opening bracket."""
    head = file.read(1 << 16)
    text = head.removeprefix(_BOM).lstrip(_BLANK)
    if not text.startswith(b"["):
        raise _no_array(path, text)
    offset = len(head) - len(text) + 1
    file.seek(offset)
    return offset


def _no_array(path: Path, head: bytes) -> InputError:
    if not head:
        return InputError(f"{path} is empty. Fetch it again")
    if os.path.getsize(path) > _DIAGNOSED:
        return InputError(f"{path} does not begin with [; a JSON array of records is expected")
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except UnicodeDecodeError as error:
        return InputError(f"{path} is no UTF-8 text ({error}). Is it the frame archive rather than the JSON file?")
    except json.JSONDecodeError as error:
        if head[:1] == b"{" and error.pos >= path.stat().st_size - 1:
            return _cut_off(path, 0)
        return InputError(f"{path} is not JSON: {error.msg} at line {error.lineno}, column {error.colno}")
    keys = f" with the keys {', '.join(list(content)[:5])}" if isinstance(content, dict) else ""
    return InputError(f"{path} holds a {type(content).__name__}{keys}; a JSON array of records is expected")
