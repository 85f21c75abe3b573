# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""The arithmetic against the real resizing code, and against the sizes of MedVidBench's frames."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from data_preprocess.video_tokens import FACTOR, MAX_PIXELS, MIN_PIXELS, TOTAL_PIXELS, smart_resize, video_size


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
    ],
)
def test_impossible_clips(arguments, message):
    with pytest.raises(ValueError, match=message):
        video_size(*arguments)


def test_contradicting_limits():
    with pytest.raises(ValueError, match="min_pixels 800 is above max_pixels 700"):
        video_size(2, 100, 100, min_pixels=800, max_pixels=700)
