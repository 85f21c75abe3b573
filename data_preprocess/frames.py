# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Frame files: where they lie, how large they are, whether they open, and the region box drawn on one of them."""

from __future__ import annotations

import contextlib
import hashlib
import math
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageOps

from data_preprocess.video_tokens import video_size
from data_preprocess.whole_file import whole_file

# Frame paths in the released JSON files begin with the authors' own folder (MedVidBench card).
OFFICIAL_PREFIX = "/root/data/"

REGION_COLOUR = (0, 255, 0)
REGION_LINE = 8
# Below this many pixels after the model's resize a line is lost.
REGION_LINE_SEEN = 2

# EXIF tag, and its values that turn a picture by a quarter.
_ORIENTATION, _TURNED = 0x0112, (5, 6, 7, 8)


class FrameError(ValueError):
    """A frame file is missing or cannot be used; the message names the file."""


class FrameStore:
    """Frame files under one folder, with what was learnt about them.

    Args:
        root: folder that takes the place of ``prefix``.
        prefix: start of the paths in the JSON file, replaced by ``root``.
    """

    def __init__(self, root: str | os.PathLike, prefix: str = OFFICIAL_PREFIX):
        self.root = os.path.abspath(root)
        self.prefix = prefix
        self._size_of_folder: dict[str, tuple[int, int]] = {}
        self._verified: dict[str, tuple[int, int]] = {}

    def resolve(self, path: str) -> str:
        """Absolute path of a frame: prefix replaced; a relative path lies under the root; any other one is kept."""
        return os.path.normpath(os.path.join(self.root, self.below(path)))

    def below(self, path: str) -> str:
        """The path without the prefix."""
        return path[len(self.prefix) :].lstrip("/") if self.prefix and path.startswith(self.prefix) else path

    def resolve_all(self, paths: Sequence[str]) -> list[str]:
        """:meth:`resolve` of each, fast where all begin with the prefix and hold no ``//``, ``/./`` or ``/../``."""
        text = "\n".join(paths)
        prefix = self.prefix
        plain = prefix.endswith("/") and text.startswith(prefix) and text.count("\n" + prefix) == len(paths) - 1
        if plain and "//" not in text and "/." not in text and not text.endswith("/") and "/\n" not in text:
            return text.replace("\n" + prefix, f"\n{self.root}/").replace(prefix, f"{self.root}/", 1).split("\n")
        return [self.resolve(path) for path in paths]

    def size(self, path: str) -> tuple[int, int]:
        """(height, width) in pixels of the frames beside ``path``; one file is opened for each folder.

        Raises:
            FrameError: the file is missing or no picture.
        """
        folder = os.path.dirname(path)
        if folder not in self._size_of_folder:
            with _opened(path) as picture:
                self._size_of_folder[folder] = _upright_size(picture)
        return self._size_of_folder[folder]

    def size_of(self, path: str) -> tuple[int, int]:
        """(height, width) in pixels of a file that :meth:`verify` has read."""
        return self._verified[path]

    def verify(self, paths: Sequence[str], pool: ThreadPoolExecutor) -> None:
        """Read every file to its end, once, and check that all of a clip are of one size.

        Raises:
            FrameError: naming the first file that is missing, broken, or of another size than the clip's first.
        """
        todo = [path for path in dict.fromkeys(paths) if path not in self._verified]
        self._verified.update(zip(todo, pool.map(_read_through, todo), strict=True))
        height, width = self._verified[paths[0]]
        for path in paths:
            if self._verified[path] != (height, width):
                other = "{1}x{0}".format(*self._verified[path])
                raise FrameError(f"{path} is {other} pixels, the clip's first frame {width}x{height}")


@contextlib.contextmanager
def _opened(path: str) -> Iterator[Image.Image]:
    """A picture; what goes wrong while it is open is the file's fault."""
    with _blamed(path, "cannot be opened as a picture"):
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
        raise FrameError(f"{path} {reason} ({str(error) or type(error).__name__})") from error


def _upright_size(picture: Image.Image) -> tuple[int, int]:
    """(height, width) once the picture stands upright; the header alone is read."""
    turned = picture.getexif().get(_ORIENTATION, 1) in _TURNED
    return (picture.width, picture.height) if turned else (picture.height, picture.width)


def read_frame(path: str) -> Image.Image:
    """A frame as upright 8-bit RGB, read to its end.

    Repaired: the orientation that a camera noted (EXIF) is carried out; CMYK, grey and palette pictures are converted;
    16-bit grey is divided by 256; transparency is laid on white, as qwen_vl_utils does.

    Raises:
        FrameError: the file is missing, empty, cut short, no picture, or too large to be one.
    """
    with _opened(path) as picture:
        picture.load()
        picture = ImageOps.exif_transpose(picture)
        if picture.mode.startswith("I"):
            picture = Image.fromarray((np.asarray(picture).clip(0, 65535) // 256).astype(np.uint8))
        if picture.mode == "PA" or "transparency" in picture.info:
            picture = picture.convert("RGBA")
        if picture.mode in ("RGBA", "LA"):
            picture = picture.convert("RGBA")
            white = Image.new("RGBA", picture.size, (255, 255, 255, 255))
            picture = Image.alpha_composite(white, picture)
        return picture.convert("RGB")


def _read_through(path: str) -> tuple[int, int]:
    with _opened(path) as picture:
        size = _upright_size(picture)
        # JPEG at one eighth: all of the file is still read, most of the arithmetic is not done.
        picture.draft("L", (1, 1))
        picture.load()
    return size


def place_region(box: Sequence[float], height: int, width: int) -> tuple[float, float, float, float]:
    """A region box in the coordinates of the frame file, clipped to it.

    MedVidBench's published code turns a portrait frame by 270 degrees before it draws. Here the frame keeps its
    orientation, since one turned frame would not stack with the rest of its clip: where a box fits the turned frame
    alone, the box is turned back instead.

    Args:
        box: x1, y1, x2, y2 in pixels of the frame; it need not have an area.
        height, width: of the frame, in pixels.

    Raises:
        ValueError: corners in the wrong order, or a box that leaves the frame by more than 2% of its side (rounding in
            the annotations).
    """
    x1, y1, x2, y2 = box
    if not (x1 <= x2 and y1 <= y2):
        raise ValueError(f"{list(box)} is no box x1 <= x2, y1 <= y2")
    if height > width and not _inside(box, height, width) and _inside(box, width, height):
        x1, y1, x2, y2 = y1, height - x2, y2, height - x1
    elif not _inside(box, height, width):
        raise ValueError(f"{list(box)} leaves the frame of {width}x{height} pixels")
    return max(x1, 0), max(y1, 0), min(x2, width), min(y2, height)


def has_area(box: Sequence[float]) -> bool:
    """Whether x1 < x2 and y1 < y2: neither a line or a point, nor corners in the wrong order."""
    x1, y1, x2, y2 = box
    return x1 < x2 and y1 < y2


def _inside(box: Sequence[float], height: int, width: int, slack: float = 0.02) -> bool:
    x1, y1, x2, y2 = box
    return x1 >= -slack * width and y1 >= -slack * height and x2 <= (1 + slack) * width and y2 <= (1 + slack) * height


def region_line(height: int, width: int, *, min_pixels: int, max_pixels: int) -> int:
    """Line width in pixels of the frame file: 8, or more where the model's resize would leave less than 2."""
    seen = video_size(1, height, width, min_pixels=min_pixels, max_pixels=max_pixels)
    scale = min(seen.resized_height / height, seen.resized_width / width)
    return max(REGION_LINE, math.ceil(REGION_LINE_SEEN / scale))


def draw_region(path: str, box: Sequence[float], folder: Path, *, min_pixels: int, max_pixels: int) -> str:
    """Copy one frame at full resolution with a green frame around ``box``, and return the copy's absolute path.

    The box is drawn here, before any resize, because its coordinates are pixels of the original frame. The line lies
    around the box, not on it: on a small box it would hide what is to be described. At the border of the picture it
    moves inwards. The copy is a JPEG (quality 95, full colour resolution) under a name made from path, box and limits.

    Raises:
        FrameError: the frame is missing or broken.
        ValueError: a box without area; see also :func:`place_region`.
    """
    if not has_area(box):
        raise ValueError(f"{list(box)} has no area: nothing could be seen in it")
    frame = read_frame(path)
    x1, y1, x2, y2 = place_region(box, frame.height, frame.width)
    line = region_line(frame.height, frame.width, min_pixels=min_pixels, max_pixels=max_pixels)
    outline = (
        max(math.floor(x1) - line, 0),
        max(math.floor(y1) - line, 0),
        min(math.ceil(x2) + line, frame.width) - 1,
        min(math.ceil(y2) + line, frame.height) - 1,
    )
    ImageDraw.Draw(frame).rectangle(outline, outline=REGION_COLOUR, width=line)

    copy = region_copy(path, box, folder, min_pixels=min_pixels, max_pixels=max_pixels)
    folder.mkdir(parents=True, exist_ok=True)
    with whole_file(Path(copy)) as temporary:
        frame.save(temporary, format="JPEG", quality=95, subsampling=0)
    return copy


def region_copy(path: str, box: Sequence[float], folder: Path, *, min_pixels: int, max_pixels: int) -> str:
    """Where :func:`draw_region` puts its copy; the frame is not opened."""
    key = hashlib.sha256(repr((path, tuple(map(float, box)), min_pixels, max_pixels)).encode()).hexdigest()[:12]
    return str(folder.absolute() / f"{Path(path).parent.name}_{Path(path).stem}_{key}.jpg")
