# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Files and folders that appear under their name only when they are whole: this project's only way to write them."""

import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole_file(path: str | os.PathLike) -> Iterator[Path]:
    """A temporary name next to ``path``, renamed to it at the end, removed after an exception.

    What is made under that name may be a file or a folder; a folder of the final name must then be empty or not there.
    Process and thread are part of the temporary name: two writers of one file never share it.

    Example:
        >>> import tempfile
        >>> notes = Path(tempfile.mkdtemp(), "notes.txt")
        >>> with whole_file(notes) as temporary, temporary.open("w") as stream:
        ...     print("whole", file=stream)
        ...     assert not notes.exists()
        >>> notes.read_text()
        'whole\\n'
    """
    path = Path(path)
    temporary = path.parent / f".{path.name}.{os.getpid()}.{threading.get_ident()}.tmp"
    try:
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        if str(error.filename) != str(temporary):
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error  # the name that the user knows
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary)
        temporary.unlink(missing_ok=True)


def write_whole(path: str | os.PathLike, content: str | bytes) -> None:
    """Write a text (UTF-8) or bytes; an interrupted call leaves the old file, or none."""
    with whole_file(path) as temporary:
        if isinstance(content, bytes):
            temporary.write_bytes(content)
        else:
            temporary.write_text(content, encoding="utf-8")
