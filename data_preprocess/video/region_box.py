# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""The region box drawn on a clip's frame: where it lies, how thick its line is, and the copy that shows it."""

import hashlib
import math
from collections.abc import Sequence
from pathlib import Path

from PIL import ImageDraw

from data_preprocess.common.atomic_file import whole_file
from data_preprocess.media.frames import read_frame
from data_preprocess.media.token_count import PATCH, video_size

REGION_COLOUR = (0, 255, 0)
REGION_LINE = 8
# Below this many pixels after the model's resize a line is lost.
REGION_LINE_SEEN = 2
NORMALIZED_REMEDY = "Multiply it by the frame's width and height"


def place_region(
    box: Sequence[float], height: int, width: int, *, turned: bool = False
) -> tuple[float, float, float, float]:
    """A box in the coordinates of the frame file, clipped to it.

    Args:
        turned: a region caption's box, which may lie in a turned frame. MedVidBench's published code turns a portrait
            frame by 270 degrees before it draws. Here the frame keeps its orientation, since one turned frame would not
            stack with the rest of its clip: where a box fits the turned frame alone, the box is turned back instead.
            A box to be found is never drawn, so it lies in the frame as it is.

    Raises:
        ValueError: corners in the wrong order, or a box that leaves the frame by more than 2% of its side (rounding in
            the annotations).
    """
    x1, y1, x2, y2 = box
    if not (x1 <= x2 and y1 <= y2):
        raise ValueError(f"{list(box)} is no box x1 <= x2, y1 <= y2")
    if turned and height > width and not _inside(box, height, width) and _inside(box, width, height):
        x1, y1, x2, y2 = y1, height - x2, y2, height - x1
    elif not _inside(box, height, width):
        raise ValueError(f"{list(box)} leaves the frame of {width}x{height} pixels")
    return max(x1, 0), max(y1, 0), min(x2, width), min(y2, height)


def has_area(box: Sequence[float]) -> bool:
    """Whether x1 < x2 and y1 < y2: neither a line or a point, nor corners in the wrong order."""
    x1, y1, x2, y2 = box
    return x1 < x2 and y1 < y2


def is_normalized(box: Sequence[float]) -> bool:
    """Whether the corners look like shares of the frame, 0 to 1: in pixels, nobody could see such a box."""
    return max(map(abs, box)) <= 1.5


def _inside(box: Sequence[float], height: int, width: int, slack: float = 0.02) -> bool:
    x1, y1, x2, y2 = box
    return x1 >= -slack * width and y1 >= -slack * height and x2 <= (1 + slack) * width and y2 <= (1 + slack) * height


def region_line(height: int, width: int, *, min_pixels: int, max_pixels: int, patch: int = PATCH) -> int:
    """Line width in pixels of the frame file: 8, or more where the model's resize would leave less than 2."""
    seen = video_size(1, height, width, min_pixels=min_pixels, max_pixels=max_pixels, patch=patch)
    scale = min(seen.resized_height / height, seen.resized_width / width)
    return max(REGION_LINE, math.ceil(REGION_LINE_SEEN / scale))


def draw_region(
    path: str, box: Sequence[float], folder: Path, *, min_pixels: int, max_pixels: int, patch: int = PATCH
) -> str:
    """Copy one frame at full resolution with a green frame around ``box``, and return the copy's absolute path.

    The box is drawn here, before any resize, because its coordinates are pixels of the original frame. The line lies
    around the box, not on it: on a small box it would hide what is to be described. At the border of the picture it
    moves inwards. The copy is a JPEG (quality 95, full colour resolution) under a name made from path, box and limits.
    """
    if not has_area(box):
        raise ValueError(f"{list(box)} has no area: nothing could be seen in it")
    frame = read_frame(path)
    x1, y1, x2, y2 = place_region(box, frame.height, frame.width, turned=True)
    line = region_line(frame.height, frame.width, min_pixels=min_pixels, max_pixels=max_pixels, patch=patch)
    outline = (
        max(math.floor(x1) - line, 0),
        max(math.floor(y1) - line, 0),
        min(math.ceil(x2) + line, frame.width) - 1,
        min(math.ceil(y2) + line, frame.height) - 1,
    )
    ImageDraw.Draw(frame).rectangle(outline, outline=REGION_COLOUR, width=line)

    copy = region_copy(path, box, folder, min_pixels=min_pixels, max_pixels=max_pixels)
    folder.mkdir(parents=True, exist_ok=True)
    with whole_file(copy) as temporary:
        frame.save(temporary, format="JPEG", quality=95, subsampling=0)
    return copy


def region_copy(path: str, box: Sequence[float], folder: Path, *, min_pixels: int, max_pixels: int) -> str:
    """Where :func:`draw_region` puts its copy; the frame is not opened."""
    key = hashlib.sha256(repr((path, tuple(map(float, box)), min_pixels, max_pixels)).encode()).hexdigest()[:12]
    return str(folder.absolute() / f"{Path(path).parent.name}_{Path(path).stem}_{key}.jpg")
