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
from pathlib import Path

import psutil

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
    """Send a signal (0: none) to this user's processes with ``MARK=mark``, except this one and its parents.

    Returns:
        Process numbers and commands.
    """
    spared, reached = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}, {}
    for process in psutil.process_iter(["cmdline", "environ", "uids"]):
        found = process.info
        if process.pid in spared or (found["environ"] or {}).get(MARK) != mark or found["uids"].real != os.getuid():
            continue
        # It may have ended; should its number be another process's by now, psutil sends nothing.
        with contextlib.suppress(psutil.Error):
            process.send_signal(number)
            reached[process.pid] = " ".join(found["cmdline"] or [])[:60]
    return reached


def end_all(mark: str, grace: float = 10.0) -> dict[int, str]:
    """SIGTERM to what `signal_all` finds, SIGKILL after ``grace`` seconds; returns what was found at first."""
    limit, found = time.monotonic() + grace, signal_all(mark, signal.SIGTERM)
    while found and signal_all(mark, 0 if time.monotonic() < limit else signal.SIGKILL):
        time.sleep(0.2)
    return found
