# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""What a command may write onto: nothing that it reads, and nothing that it did not make."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path

#: Bytes of a file that are read to tell whose it is.
HEAD = 4096


class OutputError(ValueError):
    """A command was told to write onto what is not its own."""


def begins_with(pattern: bytes) -> Callable[[Path], bool]:
    """Whether a file's first bytes match a regular expression, as a test for `check_outputs`."""

    def test(path: Path) -> bool:
        with path.open("rb") as file:
            return re.match(pattern, file.read(HEAD), re.DOTALL) is not None

    return test


def check_outputs(
    main: Path, is_own: Callable[[Path], bool], others: Iterable[Path] = (), inputs: Iterable[Path | None] = ()
) -> None:
    """Raise if an output is an input or another output, or was not written by the command; called before any work.

    Args:
        main: the file that tells whether all of them are the command's: it is not there, or ``is_own`` says so.
        others: what is written with it.
    """
    outputs = [main, *others]
    for output in outputs:
        if outputs.count(output) > 1:
            raise OutputError(f"{output} would be two files of this command at once: give --out another ending")
    for given in inputs:
        for output in outputs:
            if given and given.exists() and output.exists() and os.path.samefile(given, output):
                raise OutputError(f"{output} is an input of this command: give another place for what it writes")
    made = main.is_file() and is_own(main)
    for output in outputs:
        if output.exists() and not (made and output.is_file()):
            raise OutputError(
                f"{output} exists, and is not known for this command's own: give another name, or move it away"
            )


def check_new_folder(path: Path) -> None:
    """Raise `OutputError` unless ``path`` is free for a folder that is written as a whole."""
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise OutputError(f"{path} exists and is not empty: name a new folder, or remove that one")
