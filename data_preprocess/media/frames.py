# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Frame files: where they lie, how large they are, and whether they open."""

import contextlib
import os
import stat
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as Late

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from data_preprocess.common.file_kind import known_kind

# Frame paths in the released JSON files begin with the authors' own folder (MedVidBench card).
OFFICIAL_PREFIX = "/root/data/"
# EXIF tag, and its values that turn a picture by a quarter.
_ORIENTATION, _TURNED = 0x0112, (5, 6, 7, 8)
#: Seconds that reading one picture may take: a share of the network that hangs must not hang a run.
DEADLINE_S = 60.0


class FrameError(ValueError):
    """A frame file is missing or cannot be used; the message names the file."""


class FrameStore:
    """Frame files under one folder ``root``, which takes the place of ``prefix`` in the JSON file's paths."""

    def __init__(self, root: str | os.PathLike, prefix: str = OFFICIAL_PREFIX):
        self.root = os.path.abspath(root)
        self.prefix = prefix
        self._size_of_folder: dict[str, tuple[int, int]] = {}
        self._verified: dict[str, tuple[int, int]] = {}

    def resolve(self, path: str) -> str:
        """Absolute path of a frame: prefix replaced; a relative path lies under the root; any other one is kept."""
        path = path.removeprefix("file://")
        if self.prefix and path.startswith(self.prefix):
            path = path.removeprefix(self.prefix).lstrip("/")
        return os.path.normpath(os.path.join(self.root, path))

    def resolve_all(self, paths: Sequence[str]) -> list[str]:
        """:meth:`resolve` of each, fast where all begin with the prefix and hold no ``//``, ``/./`` or ``/../``."""
        text = "\n".join(paths)
        prefix = self.prefix
        plain = prefix.endswith("/") and text.startswith(prefix)
        plain = plain and text.count("\n" + prefix) == text.count("\n") == len(paths) - 1
        if plain and "//" not in text and "/." not in text and not text.endswith("/") and "/\n" not in text:
            return text.replace("\n" + prefix, f"\n{self.root}/").replace(prefix, f"{self.root}/", 1).split("\n")
        return [self.resolve(path) for path in paths]

    def size(self, path: str) -> tuple[int, int]:
        """(height, width) in pixels of the frames next to ``path``; one file is opened for each folder."""
        folder = os.path.dirname(path)
        if folder not in self._size_of_folder:
            self._size_of_folder[folder] = _within(DEADLINE_S, _size, path)
        return self._size_of_folder[folder]

    def verify(self, paths: Sequence[str], pool: ThreadPoolExecutor) -> tuple[int, int]:
        """Read every file to its end, once; (height, width) in pixels, of which all of a clip's frames must be."""
        todo = [path for path in dict.fromkeys(paths) if path not in self._verified]
        self._verified.update(
            zip(todo, pool.map(lambda path: _within(DEADLINE_S, _read_through, path), todo), strict=True)
        )
        height, width = self._verified[paths[0]]
        for path in paths:
            if self._verified[path] != (height, width):
                other = "{1}x{0}".format(*self._verified[path])
                raise FrameError(f"{path} is {other} pixels, the clip's first frame {width}x{height}")
        return height, width


def _within(deadline_s: float, read: Callable, path: str):
    """``read(path)``; a thread that is not done in time is left behind, and does not keep the process alive."""
    done: Future = Future()

    def work() -> None:
        try:
            done.set_result(read(path))
        except BaseException as error:
            done.set_exception(error)

    threading.Thread(target=work, daemon=True).start()
    try:
        return done.result(deadline_s)
    except Late:
        raise FrameError(f"{path} was not read within {deadline_s:g} s. Is its disk or share at hand?") from None


@contextlib.contextmanager
def _opened(path: str) -> Iterator[Image.Image]:
    """A picture; what goes wrong while it is open is the file's fault."""
    path = path.removeprefix("file://")
    with _blamed(path, "cannot be opened as a picture"):
        # Opening a pipe would wait for someone to write into it.
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise ValueError("it is no regular file")
        picture = Image.open(path)
    with picture, _blamed(path, "is broken"):
        yield picture


@contextlib.contextmanager
def _blamed(path: str, reason: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise FrameError(f"{path} does not exist") from None
    except MemoryError:
        raise
    # Of a broken file Pillow's readers raise ValueError, SyntaxError, RuntimeError, struct.error, IndexError and more.
    except Exception as error:
        found = known_kind(path, otherwise="") if isinstance(error, UnidentifiedImageError) else ""
        raise FrameError(f"{path} {reason} ({str(error) or type(error).__name__}){found}") from error


def _size(path: str) -> tuple[int, int]:
    with _opened(path) as picture:
        # First: asking for the orientation may load the picture.
        if _is_deep(picture):
            _in_eight_bits(picture)
        return _upright_size(picture)


def _upright_size(picture: Image.Image) -> tuple[int, int]:
    """(height, width) once the picture stands upright; the header alone is read."""
    turned = picture.getexif().get(_ORIENTATION, 1) in _TURNED
    return (picture.width, picture.height) if turned else (picture.height, picture.width)


def _is_deep(picture: Image.Image) -> bool:
    """Whether the file has more than 8 bits for each value; of colours, Pillow reads the upper 8."""
    return picture.mode.startswith(("I", "F")) or ";16" in str(picture.tile)


def _in_eight_bits(picture: Image.Image) -> Image.Image:
    """A deep picture in 8 bits, where it is plain which of its values are black and white; a ValueError otherwise.

    Grey values up to 255 stay; 16-bit ones are divided by 256; broken numbers from 0 to 1 are multiplied by 255.
    Another range, such as 12 bits in a file of 16, would come out black, or white.
    """
    if not picture.mode.startswith(("I", "F")):
        if np.asarray(picture.convert("RGB")).max() < 64:
            raise ValueError("its 16 bits are used up to a quarter at most, and it would be dark: convert it to 8 bits")
        return picture
    values = np.asarray(picture)
    least, most = float(values.min()), float(values.max())
    if picture.mode == "F" and 0 <= least <= most <= 1:
        values = values * 255
    elif picture.mode != "F" and 0 <= least and 1 << 14 <= most < 1 << 16:
        values = values // 256
    elif not 0 <= least <= most <= 255:
        raise ValueError(
            f"its values go from {least:g} to {most:g}, and which of them are black and white is not known: convert it "
            "to 8 bits"
        )
    return Image.fromarray(values.astype(np.uint8))


def read_frame(path: str, deadline_s: float = DEADLINE_S) -> Image.Image:
    """A frame as upright 8-bit RGB, read to its end.

    Repaired: the orientation that a camera noted (EXIF) is carried out; CMYK, grey and palette pictures are converted;
    16-bit grey is divided by 256; transparency is laid on white, as qwen_vl_utils does.

    Raises:
        FrameError: the file is missing, broken, no picture, too deep, or not read within ``deadline_s`` seconds.
    """
    return _within(deadline_s, _read_frame, path)


def _read_frame(path: str) -> Image.Image:
    with _opened(path) as picture:
        deep = _is_deep(picture)
        picture.load()
        picture = ImageOps.exif_transpose(picture)
        if deep:
            picture = _in_eight_bits(picture)
        if picture.mode == "PA" or "transparency" in picture.info:
            picture = picture.convert("RGBA")
        if picture.mode in ("RGBA", "LA"):
            picture = picture.convert("RGBA")
            white = Image.new("RGBA", picture.size, (255, 255, 255, 255))
            picture = Image.alpha_composite(white, picture)
        return picture.convert("RGB")


def _read_through(path: str) -> tuple[int, int]:
    with _opened(path) as picture:
        if _is_deep(picture):
            _in_eight_bits(picture)
        size = _upright_size(picture)
        # JPEG at one eighth: all of the file is still read, most of the arithmetic is not done.
        picture.draft("L", (1, 1))
        picture.load()
    return size
