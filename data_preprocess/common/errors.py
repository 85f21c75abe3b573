# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""What is wrong with an input, told so that a person can fix it: file, record, field, reason, remedy."""

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from data_preprocess.common.atomic_file import write_whole


class InputError(Exception):
    """The input as a whole cannot be used; the message names the file and what to do."""


class RecordError(ValueError):
    """One record cannot become a row: its ``field`` in the input's spelling (``metadata.fps``), why, and what to do."""

    #: What ``failed.jsonl`` calls it. "failed" counts against ``--max-failed``, the others are left out, yet no error.
    kind = "failed"

    def __init__(self, field: str, reason: str, remedy: str):
        super().__init__(field, reason, remedy)
        self.field, self.reason, self.remedy = field, reason, remedy

    def __str__(self) -> str:
        return f"{self.field}: {self.reason}. {self.remedy}"


class Duplicate(RecordError):
    """A record that repeats an earlier one."""

    kind = "duplicate"


class KnownDefect(RecordError):
    """A record that the publishers got wrong, which everybody leaves out."""

    kind = "defect"


@dataclass(frozen=True)
class Failure:
    """A record left out of the output."""

    file: str
    record: int
    id: str
    field: str
    reason: str
    remedy: str
    kind: str = "failed"

    def __str__(self) -> str:
        line = f"{self.file}, record {self.record} ({self.id or 'no id'}), {self.field}: {self.reason}. {self.remedy}"
        # It may quote half a character, which no terminal takes.
        return line.encode("utf-8", "backslashreplace").decode()


def record_id(raw: object, *fields: str) -> str:
    """The first of the fields that names the record, as text; 0 does. "" where none does.

    Example:
        >>> record_id({"id": None, "qid": 0}, "id", "qid"), record_id("no record", "id")
        ('0', '')
    """
    values = [raw.get(field) for field in fields] if isinstance(raw, dict) else []
    return next((str(value) for value in values if isinstance(value, str | int | float) and value != ""), "")


def alike(failures: Sequence[Failure]) -> list[tuple[Failure, str]]:
    """Of failures that differ in names and numbers only the first one, and a line that counts the others."""
    groups: dict[tuple, list[Failure]] = {}
    for failure in failures:
        what = re.sub(r"\S*[\d/]\S*", "*", f"{failure.field} {failure.reason}")
        groups.setdefault((failure.kind, what, failure.remedy), []).append(failure)
    return [
        (first, f"{first} ({len(others)} more like it)" if others else str(first)) for first, *others in groups.values()
    ]


def write_failures(path: Path, failures: Sequence[Failure]) -> None:
    """One JSON object per line; no failures, no file."""
    if failures:
        lines = "".join(json.dumps(asdict(failure), ensure_ascii=False) + "\n" for failure in failures)
        write_whole(path, lines.encode("utf-8", "backslashreplace"))
    else:
        path.unlink(missing_ok=True)
