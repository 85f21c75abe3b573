# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Locks on files, and the processes that a start of a stage has left behind."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

#: Environment variable by which all descendants of a stage's command are known, whatever process group they are in.
MARK = "MEDGRPO_STAGE"


def lock(descriptor: int, path: Path) -> bool:
    """Lock an open file until it and its copies in child processes are closed; False if somebody else holds it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        print(f"warning: {path} cannot be locked ({error.strerror}): start this only once", file=sys.stderr)
    return True


def mark_of(root: Path, name: str) -> str:
    """The value of MARK for a stage of a run folder: a copy of the folder has another, and so has a new one there."""
    folder = root.stat()
    return f"{folder.st_dev}:{folder.st_ino}:{root.resolve()}:{name}"


def signal_all(mark: str, number: int) -> dict[int, str]:
    """Send a signal, or 0 for none, to the living processes of this user that were started with ``MARK=mark`` in their
    environment; not to this process, nor to those that started it.

    Returns:
        Process numbers and commands.
    """
    wanted, above, reached = f"{MARK}={mark}".encode(), set(_ancestors()), {}
    for folder in Path("/proc").glob("[0-9]*"):
        # It may have ended, or belong to another user.
        with contextlib.suppress(OSError):
            pid = int(folder.name)
            # Opened before the rest is read: should the number be given to another process, the signal reaches nobody.
            handle = os.pidfd_open(pid)
            try:
                own = folder.stat().st_uid == os.getuid() and pid not in above
                if own and wanted in (folder / "environ").read_bytes().split(b"\0"):
                    command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                    signal.pidfd_send_signal(handle, number)
                    reached[pid] = command.strip()[:60]
            finally:
                os.close(handle)
    return reached


def _ancestors() -> Iterator[int]:
    pid = os.getpid()
    while pid > 0:
        yield pid
        try:
            # The name in brackets may hold spaces; the parent is the second field after it.
            pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            return


def end_all(mark: str, grace: float = 10.0) -> dict[int, str]:
    """SIGTERM to the processes that `signal_all` finds, and SIGKILL to those that live on after ``grace`` seconds.

    Returns:
        Numbers and commands of those that were found at first.
    """
    limit, found = time.monotonic() + grace, signal_all(mark, signal.SIGTERM)
    while found and signal_all(mark, 0 if time.monotonic() < limit else signal.SIGKILL):
        time.sleep(0.2)
    return found
