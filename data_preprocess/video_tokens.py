# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""How many tokens a frame list becomes in Qwen2.5-VL, by arithmetic, without decoding a pixel.

Three resizes happen between a frame file and the vision tower, each rounding both sides to a multiple of a factor while
keeping the area within limits:

1. per frame, in ``qwen_vl_utils.fetch_video`` for frame lists, at factor 56 (it hands 28 where a patch size is meant);
2. per clip, in the same function, at factor 28;
3. per clip, in the model's own video processor, at factor 28 and with the limits saved with the model.

Two frames share a temporal patch, and 2 x 2 spatial patches of 14 pixels are merged into one token.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

PATCH = 14
MERGE = 2
FACTOR = PATCH * MERGE
TEMPORAL_PATCH = 2
MAX_ASPECT_RATIO = 200

# MedVidBench's published inference: 8 to 48 merged patches of 28 x 28 pixels for each frame.
MIN_PIXELS = 8 * FACTOR * FACTOR
MAX_PIXELS = 48 * FACTOR * FACTOR
# The whole-clip limit of the same code; below 4,800 frames it never binds.
TOTAL_PIXELS = int(0.9 * 128_000 * FACTOR * FACTOR)
# qwen_vl_utils allows a frame of a video no more than 768 merged patches, whatever the row asks for.
FRAME_CEILING = 768 * FACTOR * FACTOR
# Limits saved with the released Qwen2.5-VL checkpoints (pixels per frame).
PROCESSOR_MIN_PIXELS = 56 * 56
PROCESSOR_MAX_PIXELS = 12_845_056


@dataclass(frozen=True)
class VideoSize:
    """What the vision tower sees: pixels of a resized frame, patch grid, and merged tokens of the whole clip."""

    resized_height: int
    resized_width: int
    grid_t: int
    grid_h: int
    grid_w: int

    @property
    def num_tokens(self) -> int:
        return self.grid_t * self.grid_h * self.grid_w // MERGE**2


def smart_resize(height: int, width: int, factor: int, min_pixels: int, max_pixels: int) -> tuple[int, int]:
    """Nearest size with sides divisible by ``factor`` and an area within the limits.

    Args:
        height, width: size in pixels.
        factor: both results are multiples of it (pixels).
        min_pixels, max_pixels: limits of ``height * width`` of the result.

    Returns:
        (height, width) in pixels.

    Raises:
        ValueError: for an empty picture, one more elongated than 200:1, or one so elongated that a side would vanish.
    """
    if height < 1 or width < 1:
        raise ValueError(f"a frame of {width}x{height} pixels has no area")
    if max(height, width) > MAX_ASPECT_RATIO * min(height, width):
        raise ValueError(f"a frame of {width}x{height} pixels is more elongated than {MAX_ASPECT_RATIO}:1")
    # Python's round() goes to the even neighbour at .5, as in the reference; floor(x + 0.5) would differ.
    new_height = max(factor, round(height / factor) * factor)
    new_width = max(factor, round(width / factor) * factor)
    if new_height * new_width > max_pixels:
        shrink = math.sqrt(height * width / max_pixels)
        new_height = math.floor(height / shrink / factor) * factor
        new_width = math.floor(width / shrink / factor) * factor
    elif new_height * new_width < min_pixels:
        grow = math.sqrt(min_pixels / (height * width))
        new_height = math.ceil(height * grow / factor) * factor
        new_width = math.ceil(width * grow / factor) * factor
    if not (new_height and new_width):
        raise ValueError(f"a frame of {width}x{height} pixels loses a side within {max_pixels} pixels")
    return new_height, new_width


def video_size(
    num_frames: int,
    height: int,
    width: int,
    *,
    min_pixels: int = MIN_PIXELS,
    max_pixels: int = MAX_PIXELS,
    total_pixels: int = TOTAL_PIXELS,
    processor_min_pixels: int = PROCESSOR_MIN_PIXELS,
    processor_max_pixels: int = PROCESSOR_MAX_PIXELS,
) -> VideoSize:
    """Size of a clip given as ``num_frames`` pictures of ``height`` x ``width`` pixels, as Qwen2.5-VL sees it.

    ``min_pixels`` and ``max_pixels`` hold for each frame, ``total_pixels`` for the clip; the ``processor_*`` limits are
    those saved with the model. An odd last frame is repeated once. The defaults are those of MedVidBench's published
    inference code and of the released checkpoints.

    Raises:
        ValueError: no frames, a picture that :func:`smart_resize` refuses, or limits that contradict each other.
    """
    if num_frames < 1:
        raise ValueError("a clip needs at least one frame")
    if min_pixels > max_pixels:
        raise ValueError(f"min_pixels {min_pixels} is above max_pixels {max_pixels}")
    frames = num_frames + num_frames % TEMPORAL_PATCH
    height, width = smart_resize(height, width, 2 * FACTOR, min_pixels, max_pixels)
    ceiling = max(min(FRAME_CEILING, total_pixels / frames * TEMPORAL_PATCH), int(min_pixels * 1.05))
    height, width = smart_resize(height, width, FACTOR, min_pixels, min(max_pixels, ceiling))
    height, width = smart_resize(height, width, FACTOR, processor_min_pixels, processor_max_pixels)
    return VideoSize(height, width, frames // TEMPORAL_PATCH, height // PATCH, width // PATCH)
