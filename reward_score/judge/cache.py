# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Persistent cache of verdicts: one SQLite file, shared by all processes of a node.

SQLite's write-ahead log makes each verdict durable on its own, whoever is killed and whenever, and lets many processes
write. It needs a disk of the node itself, no network file system. A file that cannot be used (locked for long, damaged,
read-only, no space) loses no verdict: the judge goes on without it, the failure is counted and logged with what to do,
the file is tried again after a pause, and what was to be written meanwhile waits in memory until it can be, or until
the process ends. A damaged file is never deleted here.

Captions are not stored, only the hash of what was asked; and no key of any service ever comes near it.
"""

import hashlib
import json
import logging
import os
import sqlite3
import threading
import time
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
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

_SCHEMA = f"""CREATE TABLE IF NOT EXISTS verdicts (
    key BLOB PRIMARY KEY, model TEXT NOT NULL, prompt TEXT NOT NULL, created REAL NOT NULL,
    {", ".join(f"{name} REAL NOT NULL" for name in DIMENSIONS)}) WITHOUT ROWID"""
_GRADES = ", ".join(DIMENSIONS)
# SQLite takes at most 999 parameters in its older builds.
_CHUNK = 900


def make_key(model: str, prompt: str, parameters: Mapping[str, Any], pair: CaptionPair) -> bytes:
    """Hash of all that a verdict depends on."""
    asked = json.dumps([model, prompt, sorted(parameters.items()), pair.candidate, pair.reference])
    return hashlib.sha256(asked.encode()).digest()


class VerdictCache:
    """Verdicts by key, in memory and in a file; safe to share between threads.

    Args:
        path: the file; None keeps verdicts in memory alone.
        size: verdicts kept in memory, least recently used dropped first; and those that may wait for the file, oldest
            dropped first.
    """

    def __init__(self, path: str | os.PathLike | None, size: int = 50_000) -> None:
        self.path = None if path is None else Path(path).expanduser()
        self.size = size
        self._memory: OrderedDict[bytes, Verdict] = OrderedDict()
        self._unwritten: OrderedDict[bytes, list[Any]] = OrderedDict()
        self._connection: sqlite3.Connection | None = None
        self._lock = threading.RLock()
        self._retry_at = 0.0
        self._errors = 0
        self._told: set[str] = set()

    def get_many(self, keys: Iterable[bytes]) -> dict[bytes, Verdict]:
        """The verdicts that are known; never fails."""
        with self._lock:
            found = {key: self._memory[key] for key in keys if key in self._memory}
            missing = [key for key in keys if key not in found]
            for i in range(0, len(missing), _CHUNK):
                chunk = missing[i : i + _CHUNK]
                places = ",".join("?" * len(chunk))
                for row in self._run(f"SELECT key, {_GRADES} FROM verdicts WHERE key IN ({places})", chunk) or ():
                    try:
                        found[row[0]] = Verdict(**dict(zip(DIMENSIONS, row[1:], strict=True)))
                    except (ValidationError, TypeError) as error:
                        self._fail(f"a damaged entry ({type(error).__name__})")
            self._remember(found)
        return found

    def put(self, key: bytes, model: str, prompt: str, verdict: Verdict) -> None:
        """Keep a verdict; on return it survives the end of this process, unless the file failed, which is counted: then
        it waits for the next `put`, or `close`, that the file lets through."""
        grades = [getattr(verdict, name) for name in DIMENSIONS]
        with self._lock:
            self._remember({key: verdict})
            self._unwritten[key] = [key, model, prompt, time.time(), *grades]
            while len(self._unwritten) > self.size:
                self._unwritten.popitem(last=False)
            self._write()

    def pop_errors(self) -> int:
        """Number of failed reads and writes of the file since the last call."""
        with self._lock:
            errors, self._errors = self._errors, 0
        return errors

    def close(self) -> None:
        """Write what waits for the file, and let go of it. The cache can be used again afterwards."""
        with self._lock:
            # No later chance is known of, so the pause does not count.
            self._retry_at = 0.0
            self._write()
            if self._unwritten:
                logger.warning("judge cache %s: %d verdicts could not be written", self.path, len(self._unwritten))
            self._disconnect()

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _write(self) -> None:
        """Write what waits for the file, oldest first, up to the first failure."""
        columns = f"key, model, prompt, created, {_GRADES}"
        places = ",".join("?" * (4 + len(DIMENSIONS)))
        while self._unwritten:
            key, row = next(iter(self._unwritten.items()))
            if self._run(f"INSERT OR REPLACE INTO verdicts ({columns}) VALUES ({places})", row) is None:
                return
            del self._unwritten[key]

    def _remember(self, verdicts: Mapping[bytes, Verdict]) -> None:
        for key, verdict in verdicts.items():
            self._memory[key] = verdict
            self._memory.move_to_end(key)
        while len(self._memory) > self.size:
            self._memory.popitem(last=False)

    def _run(self, statement: str, values: Sequence[Any]) -> list[tuple] | None:
        """Rows of a statement; None after a failure, which is counted and logged once per kind."""
        if self.path is None:
            return []
        if time.monotonic() < self._retry_at:
            self._errors += 1
            return None
        try:
            if self._connection is None:
                self._connection = open_file(self.path)
            return self._connection.execute(statement, values).fetchall()
        except (sqlite3.Error, OSError) as error:
            self._disconnect()
            self._retry_at = time.monotonic() + PAUSE
            self._fail(str(error))
            return None

    def _fail(self, reason: str) -> None:
        self._errors += 1
        if reason not in self._told:
            self._told.add(reason)
            logger.warning(
                "judge cache %s: %s. Verdicts go on without it and wait in memory to be written; it is tried again "
                "every %.0f s. If it is damaged, move the file away; if it is read-only or full, mend its folder; "
                "another one: option `cache`",
                self.path,
                reason,
                PAUSE,
            )


def open_file(path: Path, readonly: bool = False) -> sqlite3.Connection:
    """A connection to the cache file, made if needed.

    Raises:
        sqlite3.Error, OSError: it cannot be used.
    """
    if readonly:
        return sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=BUSY_TIMEOUT)
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
    mean = "+".join(f"AVG({name})" for name in DIMENSIONS)
    names = ("model", "prompt", "verdicts", "mean_grade", "first", "last")
    with _using(path, readonly=True) as connection:
        rows = connection.execute(
            f"SELECT model, prompt, COUNT(*), ({mean}) / {len(DIMENSIONS)}, MIN(created), MAX(created) "
            "FROM verdicts GROUP BY model, prompt ORDER BY 3 DESC"
        )
        return [dict(zip(names, row, strict=True)) for row in rows]


def export(path: Path) -> Iterator[dict[str, Any]]:
    """All verdicts, oldest first.

    Raises:
        CacheUnusable: the file cannot be read.
    """
    names = ("key", "model", "prompt", "created", *DIMENSIONS)
    with _using(path, readonly=True) as connection:
        for row in connection.execute(f"SELECT hex(key), {', '.join(names[1:])} FROM verdicts ORDER BY created, key"):
            yield dict(zip(names, row, strict=True))


def prune(path: Path, older_than: float | None = None, model: str | None = None, prompt: str | None = None) -> int:
    """Delete verdicts that were given before `older_than` (seconds since 1970), by a model, to a prompt version; all
    given conditions must hold, and one must be given. Returns their number.

    Raises:
        CacheUnusable: the file cannot be written.
    """
    wanted = {"created < ?": older_than, "model = ?": model, "prompt = ?": prompt}
    conditions = {text: value for text, value in wanted.items() if value is not None}
    with _using(path) as connection:
        where = " AND ".join(conditions) or "0"
        deleted = connection.execute(f"DELETE FROM verdicts WHERE {where}", list(conditions.values())).rowcount
        connection.execute("VACUUM")
        return deleted


@contextmanager
def _using(path: Path, readonly: bool = False) -> Iterator[sqlite3.Connection]:
    connection = None
    try:
        connection = open_file(path, readonly)
        yield connection
    except (sqlite3.Error, OSError) as error:
        raise CacheUnusable(f"judge cache {path}: {error}; if it is damaged, move the file away") from None
    finally:
        if connection is not None:
            connection.close()
