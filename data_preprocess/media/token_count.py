# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""How many tokens a frame list or an image becomes in the Qwen-VL models, by arithmetic, without decoding a pixel.

Three resizes happen between a frame file and the vision tower, each rounding both sides to a multiple of a factor while
keeping the area within limits:

1. per frame, in ``qwen_vl_utils.fetch_video`` for frame lists, at factor 56 (it hands 28 where a patch size is meant);
2. per clip, in the same function, at factor 28;
3. per clip, in the model's own video processor, at factor 28 and with the limits saved with the model.

Two frames share a temporal patch, and 2 x 2 spatial patches of 14 pixels are merged into one token. The numbers are
those of Qwen2-VL and Qwen2.5-VL; Qwen3-VL and Qwen3.5 have patches of 16, so every 28 becomes 32 (``patch=16``).
"""

import math
from dataclasses import dataclass

PATCH = 14
MERGE = 2
FACTOR = PATCH * MERGE
TEMPORAL_PATCH = 2
MAX_ASPECT_RATIO = 200

# qwen_vl_utils allows a frame of a video no more than 768 merged patches, whatever the row asks for.
FRAME_CEILING = 768
# Limits saved with the released Qwen2.5-VL checkpoints (pixels per frame).
PROCESSOR_MIN_PIXELS, PROCESSOR_MAX_PIXELS = 56 * 56, 12_845_056
# qwen_vl_utils' limits for a single image, in merged patches.
IMAGE_MIN_TOKENS, IMAGE_MAX_TOKENS = 4, 16384
# A frame of fewer merged patches shows nothing; the authors' own minimum is 8.
FEWEST_TOKENS_PER_FRAME = 4

OVERLONG = ("drop", "fewer_frames", "lower_pixels")


def pixel_budget(patch: int = PATCH) -> dict[str, int]:
    """Limits of MedVidBench's published inference, for a model with patches of ``patch`` pixels.

    Each frame has 8 to 48 merged patches. The limit of the whole clip never binds below 4,800 frames.
    """
    area = (patch * MERGE) ** 2
    return {"min_pixels": 8 * area, "max_pixels": 48 * area, "total_pixels": int(0.9 * 128_000 * area)}


MIN_PIXELS, MAX_PIXELS, TOTAL_PIXELS = pixel_budget().values()


def patch_of(total_pixels: int) -> int:
    """Patch size of the model that a row was written for; rows do not name it, but its clip limit gives it away."""
    return next((patch for patch in (PATCH, 16) if pixel_budget(patch)["total_pixels"] == total_pixels), PATCH)


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
    """Nearest size (height, width) with sides divisible by ``factor`` and an area within the limits.

    Raises:
        ValueError: an empty picture, one more elongated than 200:1, or one so elongated that a side would vanish.
    """
    if height < 1 or width < 1:
        raise ValueError(f"a frame of {width}x{height} pixels has no area")
    if max_pixels < 1:
        raise ValueError(f"a largest area of {max_pixels} pixels leaves no pixel")
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
    patch: int = PATCH,
) -> VideoSize:
    """Size of a clip given as ``num_frames`` pictures of ``height`` x ``width`` pixels, as the model sees it.

    An odd last frame is repeated once. The limits are pixels of each frame, of the clip, and those saved with the
    model; by default those of MedVidBench's published inference code and of the released checkpoints.

    Raises:
        ValueError: no frames, a picture that :func:`smart_resize` refuses, or limits that contradict each other.

    Example:
        >>> video_size(num_frames=2, height=480, width=640).num_tokens
        48
    """
    if num_frames < 1:
        raise ValueError("a clip needs at least one frame")
    if min_pixels > max_pixels:
        raise ValueError(f"min_pixels {min_pixels} is above max_pixels {max_pixels}")
    factor = patch * MERGE
    frames = num_frames + num_frames % TEMPORAL_PATCH
    height, width = smart_resize(height, width, 2 * factor, min_pixels, max_pixels)
    ceiling = max(min(FRAME_CEILING * factor**2, total_pixels / frames * TEMPORAL_PATCH), int(min_pixels * 1.05))
    height, width = smart_resize(height, width, factor, min_pixels, min(max_pixels, ceiling))
    height, width = smart_resize(height, width, factor, processor_min_pixels, processor_max_pixels)
    return VideoSize(height, width, frames // TEMPORAL_PATCH, height // patch, width // patch)


def image_size(
    height: int, width: int, *, min_pixels: int | None = None, max_pixels: int | None = None, patch: int = PATCH
) -> VideoSize:
    """Size of a single image; ``None`` limits are qwen_vl_utils' own, 4 to 16,384 merged patches."""
    factor = patch * MERGE
    min_pixels = IMAGE_MIN_TOKENS * factor**2 if min_pixels is None else min_pixels
    max_pixels = IMAGE_MAX_TOKENS * factor**2 if max_pixels is None else max_pixels
    height, width = smart_resize(height, width, factor, min_pixels, max_pixels)
    return VideoSize(height, width, 1, height // patch, width // patch)


def timestamps(num_frames: int, fps: float) -> list[float]:
    """Seconds that Qwen3-VL and Qwen3.5 write as text before each temporal step: the middle of its two frames."""
    # In this order of operations: the text rounds to tenths, and halves must fall to the same side.
    return [(i / fps + (i + 1) / fps) / 2 for i in range(0, num_frames, TEMPORAL_PATCH)]


@dataclass(frozen=True)
class Fit:
    """How a clip is changed so that it fits: every ``stride``-th frame, at most ``max_pixels`` a frame."""

    stride: int
    min_pixels: int
    max_pixels: int
    size: VideoSize


def fit_clip(
    num_frames: int, height: int, width: int, max_tokens: int, overlong: str, *, min_pixels: int = MIN_PIXELS,
    max_pixels: int = MAX_PIXELS, patch: int = PATCH,
) -> Fit | None:  # fmt: skip
    """The clip within ``max_tokens`` tokens, or None where it has to be left out.

    Args:
        overlong: what to do with a clip that is too long. "drop": leave it out. "fewer_frames": keep every k-th frame
            with the smallest k that fits; divide its fps by ``Fit.stride``, then every time stays true.
            "lower_pixels": lower the pixels of each frame to the largest size that fits, down to four merged patches.
    """

    def size(stride: int, low: int, high: int) -> VideoSize:
        frames = -(-num_frames // stride)
        return video_size(frames, height, width, min_pixels=low, max_pixels=high, patch=patch)

    whole = size(1, min_pixels, max_pixels)
    if whole.num_tokens <= max_tokens:
        return Fit(1, min_pixels, max_pixels, whole)
    if overlong == "fewer_frames":
        for stride in range(2, num_frames + 1):
            found = size(stride, min_pixels, max_pixels)
            if found.num_tokens <= max_tokens:
                return Fit(stride, min_pixels, max_pixels, found)
    if overlong == "lower_pixels":
        area = (patch * MERGE) ** 2
        for tokens in range(max_tokens // whole.grid_t, FEWEST_TOKENS_PER_FRAME - 1, -1):
            low, high = min(min_pixels, tokens * area), tokens * area
            try:
                found = size(1, low, high)
            except ValueError:  # so elongated that a side would vanish
                return None
            if found.num_tokens <= max_tokens:
                return Fit(1, low, high, found)
    return None
