# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""The writer of rows that leaves no half Parquet file."""

import contextlib
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from data_preprocess.common.atomic_file import whole_file
from data_preprocess.common.errors import InputError, write_failures
from data_preprocess.common.run_summary import SPLITS, Summary
from data_preprocess.schema import ROW_SCHEMA


class RowWriter(contextlib.AbstractContextManager):
    """Streams rows into a Parquet file, one row group in memory at a time.

    The file appears under its name when the ``with`` block is left normally; after an exception an older one stays.
    """

    def __init__(self, path: str | os.PathLike, *, schema: pa.Schema = ROW_SCHEMA, rows_per_group: int = 1024):
        self._schema, self._rows_per_group = schema, rows_per_group
        self._pending: list[Mapping] = []
        self.count = 0
        self._file = contextlib.ExitStack()
        self._writer = pq.ParquetWriter(self._file.enter_context(whole_file(path)), schema, compression="zstd")

    def write(self, row: Mapping) -> None:
        self._pending.append(row)
        self.count += 1
        if len(self._pending) >= self._rows_per_group:
            self._flush()

    def write_table(self, table: pa.Table) -> None:
        """Write rows of the writer's schema as a row group of their own."""
        self._flush()
        self._writer.write_table(table)
        self.count += table.num_rows

    def _flush(self) -> None:
        if self._pending:
            self._writer.write_table(pa.Table.from_pylist(self._pending, schema=self._schema))
            self._pending = []

    def close(self) -> None:
        """Write what is pending; the file takes its name when the ``with`` block ends."""
        if self._writer.is_open:
            self._flush()
            self._writer.close()

    def __exit__(self, kind, error, traceback) -> None:
        with self._file:
            if kind is None:
                self.close()
                return
            with contextlib.suppress(OSError):
                self._writer.close()
            raise error


def is_ours(path: Path) -> bool:
    """Whether the Parquet file has rows of this project; False where it cannot be read."""
    try:
        return "data_source" in pq.read_schema(path).names
    except (pa.ArrowInvalid, OSError):
        return False


class _TooManyFailures(Exception):
    """Leaves the writers through an exception, so that they drop what they hold."""


@contextlib.contextmanager
def split_writers(
    out: Path,
    splits: Iterable[str],
    summary: Summary,
    max_failed: int,
    nothing: str,
    inputs: Iterable[Path],
    schema: pa.Schema = ROW_SCHEMA,
) -> Iterator[dict[str, RowWriter]]:
    """A writer for each split, and ``failed.jsonl``; on too many failures, or an exception, older Parquet files stay.

    Args:
        nothing: what to say, ahead of the reasons, where there is no row.
        inputs: files that must not be written onto.
    """
    own = {(out / name).resolve() for name in (*(f"{split}.parquet" for split in SPLITS), "failed.jsonl")}
    if lost := next((path for path in inputs if path.resolve() in own), None):
        raise InputError(f"{lost} is an input, and would be overwritten. Choose another folder with --out")
    if alien := next((path for path in own if path.suffix == ".parquet" and path.exists() and not is_ours(path)), None):
        raise InputError(f"{alien} was not written by these commands. Choose another folder with --out, or move it")
    with contextlib.suppress(_TooManyFailures), contextlib.ExitStack() as stack:
        writers = {split: stack.enter_context(RowWriter(out / f"{split}.parquet", schema=schema)) for split in splits}
        yield writers
        write_failures(out / "failed.jsonl", summary.failures)
        if summary.failed > max_failed:
            raise _TooManyFailures
        if not summary.rows:
            raise InputError(": ".join(filter(None, (nothing, summary.why_nothing()))))
        # All files are whole before the first takes its name: a full disk must not leave a new one next to an old one.
        for writer in writers.values():
            writer.close()
