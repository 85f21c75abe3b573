# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""What a command did: rows by source, task and split, records left out and why; told in the terminal."""

import shlex
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table

from data_preprocess.common.errors import Failure, InputError, RecordError, alike

FAILURES_SHOWN = 20
SPLITS = ("train", "val", "test")


@dataclass
class Summary:
    """Counts of a run.

    Attributes:
        rows: by (source, task, split).
        failures: records left out, of any kind; only those of kind "failed" count against ``--max-failed``.
        notes: how often something was repaired or is remarkable, by a sentence that ends the line "N records: ...".
    """

    rows: Counter = field(default_factory=Counter)
    failures: list[Failure] = field(default_factory=list)
    notes: Counter = field(default_factory=Counter)

    @property
    def failed(self) -> int:
        return sum(failure.kind == "failed" for failure in self.failures)

    @property
    def splits(self) -> list[str]:
        return [split for split in SPLITS if any(key[2] == split for key in self.rows)]

    def leave_out(self, file: object, record: int, name: str, error: RecordError) -> None:
        self.failures.append(Failure(str(file), record, name, error.field, error.reason, error.remedy, error.kind))

    def why_nothing(self) -> str:
        """What became of the records, for a run without rows; "" if nothing is known of them."""
        causes = [f"{count} records: {note}" for note, count in sorted(self.notes.items())]
        first = {failure.kind: failure for failure in reversed(self.failures)}
        for kind, count in sorted(Counter(failure.kind for failure in self.failures).items()):
            causes.append(f"{count} records: {kind}, the first is {first[kind]}")
        return "; ".join(causes)


def counts_table(summary: Summary) -> Table:
    """Rows per source and task (lines) and split (columns)."""
    table = Table("source", "task", title="Rows by source, task and split")
    for split in summary.splits:
        table.add_column(split, justify="right")
    for source, task in sorted({key[:2] for key in summary.rows}):
        table.add_row(source, task, *(str(summary.rows[source, task, split]) for split in summary.splits))
    table.add_section()
    totals = (sum(count for key, count in summary.rows.items() if key[2] == split) for split in summary.splits)
    table.add_row("all", "", *map(str, totals))
    return table


def run_to_status(command: Callable[[], int | None], out: Path, ending: str = "") -> int:
    """Exit status of a command that says itself what it did; an input or a file that is wrong is one line."""
    try:
        return command() or 0
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
    except OSError as error:
        print(f"error: {error.strerror or error}: {error.filename or out}{ending}", file=sys.stderr)
    return 1


def run_and_tell(convert: Callable[[], Summary], out: Path, max_failed: int) -> int:
    """Exit status of a data command: run ``convert``, then say in the terminal what became of the records."""
    return run_to_status(lambda: _tell(convert(), out, max_failed), out, ". Nothing was left half-written")


def _tell(summary: Summary, out: Path, max_failed: int) -> int:
    # Names come from the data, and may look like markup.
    console = Console(markup=False, emoji=False)
    errors = Console(stderr=True, soft_wrap=True, highlight=False, markup=False, emoji=False)
    groups = alike(summary.failures)
    for failure, line in groups[:FAILURES_SHOWN]:
        errors.print(f"{failure.kind}: {line}")
    if len(groups) > FAILURES_SHOWN:
        errors.print(f"... and more of {len(groups) - FAILURES_SHOWN} other kinds in {out / 'failed.jsonl'}")
    if summary.failed > max_failed:
        errors.print(
            f"error: {summary.failed} records failed, {max_failed} are allowed (--max-failed). No Parquet was "
            f"written; the list is in {out / 'failed.jsonl'}"
        )
        return 1
    console.print(counts_table(summary))
    for note, count in sorted(summary.notes.items()):
        console.print(f"note: {count} records: {note}", soft_wrap=True)
    if summary.failures:
        kinds = Counter(failure.kind for failure in summary.failures)
        defects = f", {kinds['defect']} known defects" if kinds["defect"] else ""
        told = f"{summary.failed} failed, {kinds['duplicate']} duplicates{defects}"
        console.print(f"left out: {told} ({out / 'failed.jsonl'})")
    console.print(f"written: {out}")
    # Rewards are not tried out while converting: a truth that none of them can read is found there.
    first = shlex.quote(f"{out / summary.splits[0]}.parquet")
    console.print(f"next: medgrpo data check {first}", soft_wrap=True, highlight=False)
    return 0
