# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""What is wrong with an input, told so that a person can mend it: file, record, field, reason, remedy."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from data_preprocess.common.atomic_file import whole_file


class InputError(Exception):
    """The input as a whole cannot be used; the message names the file and what to do."""


class RecordError(ValueError):
    """One record cannot become a row.

    Attributes:
        field: the offending field, in the spelling of the input file (``metadata.fps``).
        reason: what is wrong with it, with the value found.
        remedy: what to do.
    """

    def __init__(self, field: str, reason: str, remedy: str):
        super().__init__(f"{field}: {reason}. {remedy}")
        self.field, self.reason, self.remedy = field, reason, remedy

    def __reduce__(self):
        return type(self), (self.field, self.reason, self.remedy)


@dataclass(frozen=True)
class Failure:
    """A record left out of the output. ``kind`` is "failed", or "duplicate" (left out, yet no error)."""

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


def write_failures(path: Path, failures: Iterable[Failure]) -> None:
    """One JSON object per line, atomically; no failures, no file."""
    lines = [json.dumps(asdict(failure), ensure_ascii=False) + "\n" for failure in failures]
    if not lines:
        path.unlink(missing_ok=True)
        return
    with whole_file(path) as temporary:
        temporary.write_text("".join(lines), encoding="utf-8", errors="backslashreplace")
