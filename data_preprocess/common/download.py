# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Archives and downloads: the published files of a data set, brought into its folder once."""

import shutil
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from data_preprocess.common.atomic_file import whole_file
from data_preprocess.common.errors import InputError
from data_preprocess.common.file_kind import known_kind


def unpack(path: Path, folder: Path) -> None:
    """Unpack the archive ``path``, if there is one, into ``folder``; a file that is there is not written again."""
    if not path.exists():
        return
    try:
        with zipfile.ZipFile(path) as archive:
            members = [member for member in archive.infolist() if not member.is_dir()]
            for member in tqdm(members, desc=f"unpacking {path.name}", unit="file", disable=None):
                target = folder / member.filename
                if ".." in Path(member.filename).parts or not target.is_relative_to(folder):
                    raise InputError(f"{path} names the file {member.filename!r}, outside of its folder: do not use it")
                if target.exists() and target.stat().st_size == member.file_size:
                    continue
                target.parent.mkdir(parents=True, exist_ok=True)
                with whole_file(target) as temporary, archive.open(member) as source, temporary.open("wb") as sink:
                    shutil.copyfileobj(source, sink, 1 << 20)
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise InputError(f"{path} is no whole ZIP archive ({error}){known_kind(path, own=b'PK')}") from error
    except (RuntimeError, NotImplementedError) as error:  # a password, or a method that Python does not know
        raise InputError(f"{path} cannot be unpacked here ({error}). Unpack it by hand into {folder}") from error


def fetch(repository: str, folder: Path, patterns: Sequence[str]) -> None:
    """Download a data set's files into ``folder``; those that are there already are not fetched again."""
    try:
        from huggingface_hub import snapshot_download
    except ImportError:
        raise InputError("--hub needs the package huggingface_hub: pip install huggingface_hub") from None
    try:
        snapshot_download(repository, repo_type="dataset", local_dir=folder, allow_patterns=list(patterns))
    except Exception as error:  # many classes, of three libraries; each means that the files are not there
        raise InputError(
            f"data set {repository} could not be fetched ({type(error).__name__}: {error}). Check the network and your "
            f"access to it, or fetch the files by hand into {folder} and leave --hub out"
        ) from error
