# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""What a command did: rows by source, task and split, records left out and why; told in the terminal."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table

from data_preprocess.common.errors import Failure, InputError, RecordError

FAILURES_SHOWN = 20


class TooManyFailures(Exception):
    """Leaves the writers through an exception, so that they drop what they hold."""


@dataclass
class Summary:
    """Counts of a run.

    Attributes:
        rows: by (source, task, split).
        failures: records left out, of any kind; only those of kind "failed" count against ``--max-failed``.
        unknown: rows by a qa_type never met before.
        notes: how often something was repaired or is remarkable, by a sentence that ends the line "N records: ...".
    """

    rows: Counter = field(default_factory=Counter)
    failures: list[Failure] = field(default_factory=list)
    unknown: Counter = field(default_factory=Counter)
    notes: Counter = field(default_factory=Counter)

    @property
    def failed(self) -> int:
        return sum(failure.kind == "failed" for failure in self.failures)

    def why_nothing(self) -> str:
        """What became of the records, for a run without rows."""
        causes = [f"{count} records: {note}" for note, count in sorted(self.notes.items())]
        kinds = Counter(failure.kind for failure in self.failures)
        causes += [
            f"{count} records: {kind}, the first is {self._first(kind)}" for kind, count in sorted(kinds.items())
        ]
        return "; ".join(causes) or "it has no records"

    def _first(self, kind: str) -> Failure:
        return next(failure for failure in self.failures if failure.kind == kind)

    def leave_out(self, file: object, record: int, name: str, error: RecordError, kind: str = "failed") -> None:
        self.failures.append(Failure(str(file), record, name, error.field, error.reason, error.remedy, kind))


def _splits(summary: Summary) -> list[str]:
    return [split for split in ("train", "val", "test") if any(key[2] == split for key in summary.rows)]


def counts_table(summary: Summary) -> Table:
    """Rows per source and task (lines) and split (columns)."""
    splits = _splits(summary)
    table = Table(title="Rows by source, task and split")
    table.add_column("source")
    table.add_column("task")
    for split in splits:
        table.add_column(split, justify="right")
    for source, task in sorted({key[:2] for key in summary.rows}):
        table.add_row(source, task, *(str(summary.rows[source, task, split]) for split in splits))
    table.add_section()
    totals = (str(sum(n for key, n in summary.rows.items() if key[2] == split)) for split in splits)
    table.add_row("all", "", *totals)
    return table


def run_and_tell(convert: Callable[[], Summary], out: Path, max_failed: int) -> int:
    """Exit status of a data command: run ``convert``, then say in the terminal what became of the records."""
    # Names come from the data, and may look like markup.
    console = Console(markup=False, emoji=False)
    errors = Console(stderr=True, soft_wrap=True, highlight=False, markup=False, emoji=False)
    try:
        summary = convert()
    except InputError as error:
        errors.print(f"error: {error}")
        return 1
    except OSError as error:
        errors.print(f"error: {error.strerror or error}: {error.filename or out}. Nothing was left half-written")
        return 1
    for failure in summary.failures[:FAILURES_SHOWN]:
        errors.print(f"{failure.kind}: {failure}")
    if len(summary.failures) > FAILURES_SHOWN:
        errors.print(f"... and {len(summary.failures) - FAILURES_SHOWN} more in {out / 'failed.jsonl'}")
    if summary.failed > max_failed:
        errors.print(
            f"error: {summary.failed} records failed, {max_failed} are allowed (--max-failed). No Parquet was "
            f"written; the list is in {out / 'failed.jsonl'}"
        )
        return 1
    console.print(counts_table(summary))
    for qa_type, count in sorted(summary.unknown.items()):
        console.print(f"note: {count} rows of the unknown qa_type {qa_type!r} were kept; no reward knows them")
    for note, count in sorted(summary.notes.items()):
        console.print(f"note: {count} records: {note}", soft_wrap=True)
    if summary.failures:
        kinds = Counter(failure.kind for failure in summary.failures)
        parts = [f"{summary.failed} failed", f"{kinds['duplicate']} duplicates"]
        parts += [f"{kinds['defect']} known defects"] if kinds["defect"] else []
        console.print(f"left out: {', '.join(parts)} ({out / 'failed.jsonl'})")
    console.print(f"written: {out}")
    # Rewards are not tried out while converting: a truth that none of them can read is found there.
    first = shlex.quote(f"{out / _splits(summary)[0]}.parquet")
    console.print(f"next: medgrpo data check {first}", soft_wrap=True, highlight=False)
    return 0
