# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""The writer of rows that leaves no half Parquet file."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping

import pyarrow as pa
import pyarrow.parquet as pq

from data_preprocess.common.atomic_file import whole_file
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
