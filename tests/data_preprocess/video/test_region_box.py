# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""The box of a region caption: where it lies, how it is drawn."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from data_preprocess.media.frames import FrameError
from data_preprocess.media.token_count import pixel_budget, video_size
from data_preprocess.video.region_box import draw_region, place_region, region_line

LIMITS = {"min_pixels": 6272, "max_pixels": 37632}


def test_region_keeps_the_inside(frames, tmp_path):
    box = [20, 20, 50, 44]
    copy = draw_region(frames[0], box, tmp_path / "rc", **LIMITS)
    with Image.open(copy) as drawn, Image.open(frames[0]) as original:
        drawn, original = np.asarray(drawn, dtype=int), np.asarray(original.convert("RGB"), dtype=int)
    assert drawn.shape == original.shape
    inside = (slice(22, 42), slice(22, 48))
    assert abs(drawn[inside] - original[inside]).mean() < 8
    for line in (drawn[13:19, 20:50], drawn[45:51, 20:50], drawn[20:44, 13:19], drawn[20:44, 51:57]):
        assert (line[..., 1] > 200).mean() > 0.95
        assert (line[..., [0, 2]] < 60).mean() > 0.95


def test_region_at_the_border_stays_visible(frames, tmp_path):
    copy = draw_region(frames[0], [0, 0, 80, 60], tmp_path / "rc", **LIMITS)
    with Image.open(copy) as drawn:
        pixels = np.asarray(drawn)
    for line in (pixels[1:7], pixels[-7:-1], pixels[:, 1:7], pixels[:, -7:-1]):
        assert (line[..., 1] > 200).mean() > 0.95


def test_region_copy_is_reproducible(frames, tmp_path):
    first = draw_region(frames[0], [20, 20, 50, 44], tmp_path / "rc", **LIMITS)
    content = open(first, "rb").read()
    assert draw_region(frames[0], [20, 20, 50, 44], tmp_path / "rc", **LIMITS) == first
    assert open(first, "rb").read() == content
    assert draw_region(frames[0], [20, 20, 50, 45], tmp_path / "rc", **LIMITS) != first
    assert len(list((tmp_path / "rc").iterdir())) == 2


def test_region_of_a_missing_or_broken_frame(frames, tmp_path):
    with pytest.raises(FrameError, match="none.jpg does not exist"):
        draw_region(str(tmp_path / "none.jpg"), [0, 0, 9, 9], tmp_path / "rc", **LIMITS)
    (tmp_path / "0.jpg").write_bytes((tmp_path / "0.jpg").read_bytes()[:-600])
    with pytest.raises(FrameError, match="0.jpg is broken"):
        draw_region(frames[0], [0, 0, 9, 9], tmp_path / "rc", **LIMITS)
    assert not (tmp_path / "rc").exists()


@given(height=st.integers(200, 2200), width=st.integers(200, 2200), patch=st.sampled_from([14, 16]))
def test_line_survives_the_resize(height, width, patch):
    limits = {name: pixel_budget(patch)[name] for name in LIMITS}
    line = region_line(height, width, **limits, patch=patch)
    size = video_size(1, height, width, **limits, patch=patch)
    assert line >= 8
    assert line * size.resized_height / height >= 2 - 1e-9
    assert line * size.resized_width / width >= 2 - 1e-9


def test_line_width_at_benchmark_sizes():
    assert region_line(112, 112, **LIMITS) == 8
    assert region_line(1080, 1920, **LIMITS) == 20


@pytest.mark.parametrize(
    ("box", "size", "placed"),
    [((10, 20, 40, 45), (90, 50), (10, 20, 40, 45)), ((-0.5, 0, 80.9, 60.4), (60, 80), (0, 0, 80, 60))],
    ids=["an upright portrait frame", "rounding at the border"],
)
def test_where_a_box_lies(box, size, placed):
    assert place_region(box, *size) == placed


def test_box_of_a_turned_portrait_frame_is_turned_back():
    """The benchmark's code turns portrait frames by 270 degrees; its boxes then are in the turned picture."""
    turned = (60, 5, 85, 45)
    frame = Image.new("L", (50, 90))
    frame.paste(255, place_region(turned, height=90, width=50, turned=True))
    assert frame.rotate(270, expand=True).getbbox() == turned
    with pytest.raises(ValueError, match=r"leaves the frame of 50x90 pixels"):
        place_region(turned, height=90, width=50)


@pytest.mark.parametrize(
    ("box", "message"),
    [
        ([30, 10, 10, 20], "is no box"),
        ([10, 10, 200, 20], r"leaves the frame of 80x60 pixels"),
        ([-9, 10, 20, 20], r"leaves the frame of 80x60 pixels"),
        ([10, 10, 60, 75], r"leaves the frame of 80x60 pixels"),
    ],
)
def test_impossible_boxes(box, message):
    with pytest.raises(ValueError, match=message):
        place_region(box, 60, 80)


def test_a_box_without_area_has_a_place_but_nothing_in_it(frames, tmp_path):
    assert place_region([10, 10, 10, 20], 60, 80) == (10, 10, 10, 20)
    with pytest.raises(ValueError, match=r"\[10, 10, 10, 20\] has no area"):
        draw_region(frames[0], [10, 10, 10, 20], tmp_path / "rc", **LIMITS)
