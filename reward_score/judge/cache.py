# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Persistent cache of verdicts: one SQLite file, shared by all processes of a node. A file that cannot be used stops no
judge: verdicts are then kept in memory alone, and the file is tried again after a pause. See docs/judge.md.
"""

import hashlib
import json
import logging
import os
import sqlite3
import threading
import time
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from reward_score.errors import CacheUnusable
from reward_score.judge.verdict import DIMENSIONS, Verdict
from reward_score.sample import CaptionPair

logger = logging.getLogger(__name__)

#: Seconds that a read or write may wait for another process, and for which a failed file is left alone.
BUSY_TIMEOUT = 1.0
PAUSE = 30.0

_GRADES = ", ".join(DIMENSIONS)
_SCHEMA = f"""CREATE TABLE IF NOT EXISTS verdicts (
    key BLOB PRIMARY KEY, model TEXT NOT NULL, prompt TEXT NOT NULL, created REAL NOT NULL,
    {", ".join(f"{name} REAL NOT NULL" for name in DIMENSIONS)}) WITHOUT ROWID"""
_INSERT = f"INSERT OR REPLACE INTO verdicts (key, model, prompt, created, {_GRADES}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"


def make_key(model: str, prompt: str, parameters: Mapping[str, Any], pair: CaptionPair) -> bytes:
    """Hash of all that a verdict depends on."""
    asked = json.dumps([model, prompt, sorted(parameters.items()), pair.candidate, pair.reference])
    return hashlib.sha256(asked.encode()).digest()


class VerdictCache:
    """Verdicts by key, in memory (the `size` used last) and in a file, if any; safe to share between threads."""

    def __init__(self, path: str | os.PathLike | None, size: int = 50_000) -> None:
        self.path = None if path is None else Path(path).expanduser()
        self.size = size
        self._memory: OrderedDict[bytes, Verdict] = OrderedDict()
        self._connection: sqlite3.Connection | None = None
        self._lock = threading.RLock()
        self._retry_at = 0.0
        self._errors = 0
        self._logged: set[str] = set()

    def get_many(self, keys: Iterable[bytes]) -> dict[bytes, Verdict]:
        """The verdicts that are known; never fails."""
        with self._lock:
            found = {key: verdict for key in keys if (verdict := self._get(key)) is not None}
            self._remember(found)
        return found

    def _get(self, key: bytes) -> Verdict | None:
        if (verdict := self._memory.get(key)) is not None:
            return verdict
        for grades in self._run(f"SELECT {_GRADES} FROM verdicts WHERE key = ?", [key]):
            try:
                return Verdict(**dict(zip(DIMENSIONS, grades, strict=True)))
            except ValidationError as error:
                self._fail(f"a damaged entry ({type(error).__name__})")
        return None

    def put(self, key: bytes, model: str, prompt: str, verdict: Verdict) -> None:
        """Keep a verdict; on return it survives the end of this process, unless the file failed, which is counted."""
        with self._lock:
            self._remember({key: verdict})
            self._run(_INSERT, [key, model, prompt, time.time(), *verdict.model_dump().values()])

    def pop_errors(self) -> int:
        """Number of failed reads and writes of the file since the last call."""
        with self._lock:
            errors, self._errors = self._errors, 0
        return errors

    def close(self) -> None:
        """Let go of the file; it can be used again afterwards."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _remember(self, verdicts: Mapping[bytes, Verdict]) -> None:
        for key, verdict in verdicts.items():
            self._memory[key] = verdict
            self._memory.move_to_end(key)
        while len(self._memory) > self.size:
            self._memory.popitem(last=False)

    def _run(self, statement: str, values: Sequence[Any]) -> list[tuple]:
        """Rows of a statement; none after a failure, which is counted and logged once per kind."""
        if self.path is None:
            return []
        if time.monotonic() < self._retry_at:
            self._errors += 1
            return []
        try:
            if self._connection is None:
                self._connection = _connect(self.path)
            return self._connection.execute(statement, values).fetchall()
        except (sqlite3.Error, OSError) as error:
            self.close()
            self._retry_at = time.monotonic() + PAUSE
            self._fail(str(error))
            return []

    def _fail(self, reason: str) -> None:
        self._errors += 1
        if reason not in self._logged:
            self._logged.add(reason)
            logger.warning(
                "judge cache %s: %s. Verdicts go on without it, kept in memory alone; it is tried again every %.0f s. "
                "If it is damaged, move the file away; if it is read-only or full, fix its folder; another one: option "
                "`cache`",
                self.path,
                reason,
                PAUSE,
            )


def _connect(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(parents=True, exist_ok=True)
    # Autocommit: each verdict is a transaction of its own.
    connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        # Safe against any death of a process; only a power cut may lose the last verdicts, never the file.
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute(_SCHEMA)
    except BaseException:
        connection.close()
        raise
    return connection


def statistics(path: Path) -> list[dict[str, Any]]:
    """Per model and prompt version: number of verdicts, mean grade, and when the first and last were given.

    Raises:
        CacheUnusable: the file cannot be read.
    """
    query = f"""SELECT model, prompt, COUNT(*) AS verdicts, AVG({"+".join(DIMENSIONS)}) / 5 AS mean_grade,
        MIN(created) AS first, MAX(created) AS last FROM verdicts GROUP BY model, prompt ORDER BY verdicts DESC"""
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=BUSY_TIMEOUT)) as file:
            file.row_factory = sqlite3.Row
            return [dict(row) for row in file.execute(query)]
    except sqlite3.Error as error:
        raise CacheUnusable(f"judge cache {path}: {error}; if it is damaged, move the file away") from None
