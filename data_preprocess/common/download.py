# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Archives and downloads: the published files of a data set, brought into its folder once."""

from __future__ import annotations

import shutil
import zipfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

from tqdm import tqdm

from data_preprocess.common.atomic_file import whole_file
from data_preprocess.common.errors import InputError


def unpack(path: Path, folder: Path, wanted: Callable[[str], str | None] = lambda member: member) -> int:
    """Unpack the archive ``path``, if there is one, into ``folder``; a file that is there is not written again.

    Args:
        wanted: path below ``folder`` for a member's name, or None to leave it in the archive.

    Returns:
        Number of files written.

    Raises:
        InputError: no ZIP archive, broken, or with names that leave the folder.
    """
    if not path.exists():
        return 0
    written = 0
    try:
        with zipfile.ZipFile(path) as file:
            members = [member for member in file.infolist() if not member.is_dir()]
            for member in tqdm(members, desc=f"unpacking {path.name}", unit="file", disable=None):
                below = wanted(member.filename)
                if below is None:
                    continue
                if Path(below).is_absolute() or ".." in Path(below).parts:
                    raise InputError(f"{path} names the file {member.filename!r}, outside of its folder: do not use it")
                target = folder / below
                if target.exists() and target.stat().st_size == member.file_size:
                    continue
                target.parent.mkdir(parents=True, exist_ok=True)
                with whole_file(target) as temporary, file.open(member) as source, temporary.open("wb") as sink:
                    shutil.copyfileobj(source, sink, 1 << 20)
                written += 1
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise InputError(f"{path} is no whole ZIP archive ({error}). Fetch it again") from error
    except (RuntimeError, NotImplementedError) as error:  # a password, or a method that Python does not know
        raise InputError(f"{path} cannot be unpacked here ({error}). Unpack it by hand into {folder}") from error
    return written


def fetch(repository: str, folder: Path, patterns: Sequence[str]) -> None:
    """Download a data set's files into ``folder``; those that are there already are not fetched again.

    Raises:
        InputError: no network, no such data set, or no access to it.
    """
    try:
        from huggingface_hub import snapshot_download
    except ImportError:
        raise InputError("--hub needs the package huggingface_hub: pip install huggingface_hub") from None
    try:
        snapshot_download(repository, repo_type="dataset", local_dir=folder, allow_patterns=list(patterns))
    except Exception as error:  # many classes, of three libraries; each means that the files are not there
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InputError(
            f"data set {repository} could not be fetched ({type(error).__name__}: {first}). Check the network and your "
            f"access to it, or fetch the files by hand into {folder} and leave --hub out"
        ) from error
