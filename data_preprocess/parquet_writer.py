# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""The writer of rows that leaves no half Parquet file."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from data_preprocess.schema import ROW_SCHEMA


class RowWriter(contextlib.AbstractContextManager):
    """Streams rows into a Parquet file that appears under its name only when it is whole.

    Rows are held for one row group at a time. Leaving the ``with`` block normally renames the temporary file to
    ``path`` (replacing an older one); leaving it through an exception removes the temporary file and leaves ``path`` as
    it was.
    """

    def __init__(self, path: str | os.PathLike, *, schema: pa.Schema = ROW_SCHEMA, rows_per_group: int = 1024):
        self.path = Path(path)
        self.schema = schema
        self.count = 0
        self._rows_per_group = rows_per_group
        self._pending: list[Mapping] = []
        self._closed = False
        # The process id keeps two commands that write to one folder from sharing a temporary file.
        self._temporary = self.path.with_name(f".{self.path.name}.{os.getpid()}.tmp")
        self._writer = pq.ParquetWriter(self._temporary, schema, compression="zstd")

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
            self._writer.write_table(pa.Table.from_pylist(self._pending, schema=self.schema))
            self._pending = []

    def close(self) -> None:
        """Write what is pending; the file takes its name when the ``with`` block ends."""
        if not self._closed:
            self._flush()
            self._writer.close()
            self._closed = True

    def __exit__(self, kind, error, traceback) -> None:
        try:
            if kind is None:
                self.close()
                os.replace(self._temporary, self.path)
            else:
                with contextlib.suppress(OSError):
                    self._writer.close()
        finally:
            self._temporary.unlink(missing_ok=True)
