# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""The arithmetic against the real resizing code, and against the sizes of MedVidBench's frames."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from data_preprocess.media.token_count import (
    FACTOR,
    MAX_PIXELS,
    MIN_PIXELS,
    TOTAL_PIXELS,
    fit_clip,
    image_size,
    pixel_budget,
    smart_resize,
    timestamps,
    video_size,
)


@pytest.fixture(scope="module")
def processor():
    transformers = pytest.importorskip("transformers")
    pytest.importorskip("torchvision")
    # The limits saved with the released Qwen2.5-VL checkpoints.
    return transformers.Qwen2VLVideoProcessor(size={"shortest_edge": 56 * 56, "longest_edge": 12_845_056})


@pytest.mark.parametrize(
    ("width", "height", "frames"),
    [
        (112, 112, 8),
        (112, 112, 5),
        (1920, 1080, 2),
        (1306, 1009, 1),
        (640, 480, 3),
        (854, 480, 2),
        (480, 854, 2),
        (97, 353, 2),
        (30, 30, 4),
        (700, 90, 2),
    ],
)
def test_equals_qwen_vl_utils_and_transformers(processor, width, height, frames):
    fetch_video = pytest.importorskip("qwen_vl_utils").fetch_video
    element = {
        "video": [Image.new("RGB", (width, height))] * frames,
        "sample_fps": 1.0,
        "min_pixels": MIN_PIXELS,
        "max_pixels": MAX_PIXELS,
        "total_pixels": TOTAL_PIXELS,
    }
    video = fetch_video(element)
    (grid,) = processor(videos=[video], return_tensors="pt")["video_grid_thw"].tolist()
    size = video_size(frames, height, width)
    assert [size.grid_t, size.grid_h, size.grid_w] == grid
    assert (size.resized_height, size.resized_width) == (grid[1] * 14, grid[2] * 14)
    assert size.num_tokens == grid[0] * grid[1] * grid[2] // processor.merge_size**2


def test_a_processor_with_higher_limits_enlarges(processor):
    """Transformers' own default, 128 * 28 * 28 pixels at least, triples the tokens: both must be told."""
    size = video_size(2, 112, 112, processor_min_pixels=128 * 28 * 28)
    assert size.num_tokens > 100 > video_size(2, 112, 112).num_tokens


@settings(max_examples=200, deadline=None)
@given(
    height=st.integers(8, 3000),
    width=st.integers(8, 3000),
    factor=st.sampled_from([28, 32, 56]),
    patches=st.tuples(st.integers(4, 64), st.integers(64, 800)),
)
def test_smart_resize_is_the_reference(height, width, factor, patches):
    reference = pytest.importorskip("qwen_vl_utils.vision_process").smart_resize
    limits = [count * factor * factor for count in patches]
    if max(height, width) > 200 * min(height, width):
        return
    expected = reference(height, width, factor, *limits)
    if 0 in expected:
        with pytest.raises(ValueError, match="loses a side"):
            smart_resize(height, width, factor, *limits)
    else:
        assert smart_resize(height, width, factor, *limits) == expected


@pytest.mark.parametrize(
    ("width", "height", "expected", "tokens"),
    [
        (1920, 1080, (112, 224), 32),
        (1280, 720, (112, 224), 32),
        (854, 480, (112, 224), 32),
        (1306, 1009, (168, 168), 36),
        (640, 480, (168, 224), 48),
    ],
)
def test_sizes_of_the_benchmark(width, height, expected, tokens):
    size = video_size(2, height, width)
    assert (size.resized_height, size.resized_width) == expected
    assert size.num_tokens == tokens


@given(frames=st.integers(1, 400), height=st.integers(200, 2200), width=st.integers(200, 2200))
def test_tokens_grow_with_pairs_of_frames(frames, height, width):
    size, pair = video_size(frames, height, width), video_size(2, height, width)
    assert size.num_tokens == (frames + 1) // 2 * pair.num_tokens
    assert size.resized_height % FACTOR == size.resized_width % FACTOR == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 100, 100), "at least one frame"),
        ((2, 0, 100), "has no area"),
        ((2, 10, 3000), "more elongated"),
        ((2, 20, 3000), "loses a side"),
        ((2, 100, 100, 800, 700), "min_pixels 800 is above max_pixels 700"),
    ],
)
def test_impossible_clips(arguments, message):
    with pytest.raises(ValueError, match=message):
        video_size(*arguments[:3], **dict(zip(("min_pixels", "max_pixels"), arguments[3:], strict=False)))


SIDES = st.integers(28, 700)


@settings(max_examples=30, deadline=None)
@given(frames=st.integers(1, 5), height=SIDES, width=SIDES, patch=st.sampled_from([14, 16]))
def test_equals_the_real_processors_for_any_clip(frames, height, width, patch):
    """qwen_vl_utils and the model's own video processor, at factor 28 and at Qwen3-VL's 32."""
    transformers = pytest.importorskip("transformers")
    cls = {14: transformers.Qwen2VLVideoProcessor, 16: transformers.Qwen3VLVideoProcessor}[patch]
    limits = pixel_budget(patch)
    element = {"video": [Image.new("RGB", (width, height))] * frames, "sample_fps": 1.0, **limits}
    video = pytest.importorskip("qwen_vl_utils").fetch_video(element, image_patch_size=patch)
    (grid,) = cls()(videos=[video], do_resize=False, do_sample_frames=False, return_tensors="pt")["video_grid_thw"]
    size = video_size(frames, height, width, **limits, patch=patch)
    assert [size.grid_t, size.grid_h, size.grid_w] == grid.tolist()
    assert size.num_tokens == int(grid.prod()) // 4


@settings(max_examples=30, deadline=None)
@given(height=SIDES, width=SIDES, patch=st.sampled_from([14, 16]), limited=st.booleans())
def test_equals_the_real_processor_for_any_image(height, width, patch, limited):
    transformers = pytest.importorskip("transformers")
    limits = {"min_pixels": 16 * 784, "max_pixels": 256 * 784} if limited else {}
    element = {"image": Image.new("RGB", (width, height)), **limits}
    image = pytest.importorskip("qwen_vl_utils").vision_process.fetch_image(element, image_patch_size=patch)
    processor = transformers.Qwen2VLImageProcessor(patch_size=patch)
    (grid,) = processor(images=[image], do_resize=False, return_tensors="pt")["image_grid_thw"]
    size = image_size(height, width, **limits, patch=patch)
    assert [size.grid_t, size.grid_h, size.grid_w] == grid.tolist()
    assert size.num_tokens == int(grid.prod()) // 4


@given(frames=st.integers(1, 400), fps=st.sampled_from([0.1, 0.5, 1.0, 3.0, 29.97]))
def test_timestamps_are_those_of_qwen3_vl(frames, fps):
    transformers = pytest.importorskip("transformers")
    padded = list(range(frames + frames % 2))
    assert timestamps(frames, fps) == transformers.Qwen3VLProcessor._calculate_timestamps(None, padded, fps, 2)


CLIPS = {"num_frames": st.integers(1, 400), "height": st.integers(200, 1100), "width": st.integers(200, 1100)}


@given(**CLIPS, budget=st.integers(10, 20000), overlong=st.sampled_from(["drop", "fewer_frames", "lower_pixels"]))
def test_a_fitted_clip_fits_and_a_short_one_is_left_alone(num_frames, height, width, budget, overlong):
    whole = video_size(num_frames, height, width)
    found = fit_clip(num_frames, height, width, budget, overlong)
    if whole.num_tokens <= budget:
        assert (found.stride, found.size, found.max_pixels) == (1, whole, MAX_PIXELS)
    elif overlong == "drop":
        assert found is None
    elif found is not None:
        kept = len(range(0, num_frames, found.stride))
        limits = {"min_pixels": found.min_pixels, "max_pixels": found.max_pixels}
        assert found.size == video_size(kept, height, width, **limits) and found.size.num_tokens <= budget
        assert (found.stride == 1) == (overlong == "lower_pixels")
        if found.stride > 1:  # one frame more would be too many
            assert video_size(len(range(0, num_frames, found.stride - 1)), height, width).num_tokens > budget


def test_what_becomes_of_a_clip_of_an_hour():
    arguments = (1800, 480, 854, 8192)
    assert fit_clip(*arguments, "drop") is None
    assert fit_clip(*arguments, "fewer_frames").stride == 4
    lowered = fit_clip(*arguments, "lower_pixels")
    assert lowered.stride == 1 and lowered.max_pixels == 9 * FACTOR**2 and lowered.size.num_tokens <= 8192
    assert fit_clip(1800, 480, 854, 100, "lower_pixels") is None
