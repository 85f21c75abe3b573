# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Finding files in a folder; Path.glob passes over what may not be read, which then looks empty."""

from __future__ import annotations

import fnmatch
import os
from pathlib import Path

from data_preprocess.common.errors import InputError


def _refuse(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError | NotADirectoryError):
        raise InputError(f"{error.filename} cannot be read ({error.strerror}). Change its permissions") from error


def find(root: Path, pattern: str) -> list[Path]:
    """Files and folders of that name (``*.json``) in ``root`` and below it, sorted; none where it does not exist.

    Raises:
        InputError: a folder that may not be read.
    """
    found = []
    for folder, folders, files in os.walk(root, onerror=_refuse):
        found += [Path(folder, name) for name in fnmatch.filter(folders + files, pattern)]
    return sorted(found)
