# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""What a file is that is not what its name says: downloads go wrong in few ways."""

from pathlib import Path

_KINDS = {
    b"version https://git-lfs": "a Git LFS pointer, not the file itself: run `git lfs pull` where it was cloned",
    b"/annex/objects/": "a git-annex pointer, not the file itself: run `git annex get` where it was cloned",
    b"\x1f\x8b": "compressed (gzip): unpack it first, with gunzip",
    b"BZh": "compressed (bzip2): unpack it first, with bunzip2",
    b"\xfd7zXZ": "compressed (xz): unpack it first, with unxz",
    b"\x28\xb5\x2f\xfd": "compressed (zstd): unpack it first, with unzstd",
    b"PK\x03\x04": "a ZIP archive: unpack it first",
    b"\0\x05\x16\x07": "macOS metadata (AppleDouble), not the file itself: delete the files whose names begin with ._",
    b"\xff\xfe": "UTF-16 text: save it as UTF-8",
    b"\xfe\xff": "UTF-16 text: save it as UTF-8",
    b"<": "a web page or XML, perhaps one that asks to log in: fetch the file again",
}


def known_kind(path: str | Path, *, own: bytes | None = None, otherwise: str = ". Fetch it again") -> str:
    """The end of a message: what is found in the place of the file, and the remedy.

    Args:
        own: how a file of the kind that was expected begins; of one that does nothing is said.
        otherwise: the end of the message where nothing is known.
    """
    try:
        with Path(path).open("rb") as file:
            head = file.read(64)
    except OSError:
        return otherwise
    if not head:
        return ": it is empty, fetch it again"
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    found = [kind for sign, kind in _KINDS.items() if head.startswith(sign) or text.startswith(sign)]
    return f": it is {found[0]}" if found and not (own and head.startswith(own)) else otherwise
