# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Finding files in a folder; Path.glob passes over what may not be read, which then looks empty."""

import fnmatch
import os
from pathlib import Path

from data_preprocess.common.errors import InputError


def _refuse(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError | NotADirectoryError):
        raise InputError(f"{error.filename} cannot be read ({error.strerror}). Change its permissions") from error


def find(root: Path, pattern: str) -> list[Path]:
    """Files and folders of that name (``*.json``) in ``root`` and below it, sorted; none where it does not exist.

    Links to folders are followed, each folder once. Hidden names are passed over, and with them what macOS and the
    hub's client leave (``._*``, ``__MACOSX``, ``.cache``). A folder that may not be read is an InputError.
    """
    found, seen = [], set()
    for folder, folders, files in os.walk(root, onerror=_refuse, followlinks=True):
        real = os.path.realpath(folder)
        folders[:] = [] if real in seen else sorted(name for name in folders if not name.startswith((".", "__MACOSX")))
        if real not in seen:
            visible = [name for name in files if not name.startswith(".")]
            found += [Path(folder, name) for name in fnmatch.filter(folders + visible, pattern)]
        seen.add(real)
    return sorted(found)
