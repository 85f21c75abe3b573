# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Frame paths, sizes, verification, and the box of a region caption."""

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from data_preprocess.media.frames import FrameError, FrameStore, read_frame
from data_preprocess.media.token_count import video_size
from data_preprocess.video.region_box import draw_region, place_region, region_line

LIMITS = {"min_pixels": 6272, "max_pixels": 37632}


@pytest.fixture
def frames(tmp_path):
    paths = []
    for number in range(3):
        paths.append(str(tmp_path / f"{number}.jpg"))
        rng = np.random.default_rng(number)
        Image.fromarray(rng.integers(0, 255, (60, 80, 3), dtype=np.uint8)).save(paths[-1])
    return paths


@pytest.fixture
def pool():
    with ThreadPoolExecutor(2) as pool:
        yield pool


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/root/data/AVOS/v/1.jpg", "/frames/AVOS/v/1.jpg"),
        ("/root/data//AVOS/v/1.jpg", "/frames/AVOS/v/1.jpg"),
        ("AVOS/v/1.jpg", "/frames/AVOS/v/1.jpg"),
        ("/elsewhere/1.jpg", "/elsewhere/1.jpg"),
    ],
)
def test_resolve(path, expected):
    assert FrameStore("/frames").resolve(path) == expected


def test_resolve_other_prefix():
    assert FrameStore("/frames", "/home/me/").resolve("/home/me/v/1.jpg") == "/frames/v/1.jpg"


def test_size_opens_one_file_of_a_folder(frames, monkeypatch):
    store = FrameStore("/")
    assert store.size(frames[0]) == (60, 80)
    monkeypatch.setattr(Image, "open", None)
    assert store.size(frames[1]) == (60, 80)


def test_size_of_a_missing_file(tmp_path):
    with pytest.raises(FrameError, match=r"none/0\.jpg does not exist"):
        FrameStore("/").size(str(tmp_path / "none" / "0.jpg"))


def test_verify_reads_each_file_once(frames, pool, monkeypatch):
    store = FrameStore("/")
    store.verify(frames + frames, pool)
    monkeypatch.setattr(Image, "open", None)
    store.verify(frames, pool)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.unlink(), "1.jpg does not exist"),
        (lambda path: path.write_bytes(b""), "1.jpg cannot be opened as a picture"),
        (lambda path: path.write_bytes(b"no picture"), "1.jpg cannot be opened as a picture"),
        (lambda path: path.write_bytes(path.read_bytes()[:-600]), "1.jpg is broken"),
        (lambda path: Image.new("RGB", (60, 80)).save(path), "1.jpg is 60x80 pixels, the clip's first frame 80x60"),
    ],
)
def test_verify_names_the_bad_file(frames, tmp_path, pool, damage, message):
    damage(tmp_path / "1.jpg")
    with pytest.raises(FrameError, match=message):
        FrameStore("/").verify(frames, pool)


def short_header(path):
    """The header says that it is one byte long."""
    Image.new("RGB", (80, 60)).save(path, "PNG")
    data = path.read_bytes()
    path.write_bytes(data[:11] + b"\x01" + data[12:])


def broken_exif(path):
    Image.new("RGB", (80, 60)).save(path, "WEBP", exif=b"Exif\0\0no TIFF header")


def unknown_format(path):
    Image.new("RGB", (80, 60)).save(path, "DDS")
    data = path.read_bytes()
    path.write_bytes(data[:80] + bytes(4) + data[84:])


@pytest.mark.parametrize("damage", [short_header, broken_exif, unknown_format])
def test_whatever_pillow_raises_is_told_with_the_file(frames, tmp_path, pool, damage):
    """ValueError, SyntaxError and NotImplementedError."""
    damage(tmp_path / "1.jpg")
    reading = [read_frame, FrameStore("/").size, lambda path: FrameStore("/").verify([path], pool)]
    for read in reading:
        with pytest.raises(FrameError, match=r"1\.jpg (cannot be opened as a picture|is broken) \(.+\)"):
            read(frames[1])


def test_no_path(pool):
    with pytest.raises(FrameError, match="cannot be opened as a picture"):
        FrameStore("/").verify(["/a\0b.jpg"], pool)


def test_a_lack_of_memory_is_not_the_pictures_fault(frames, monkeypatch):
    def full(path):
        raise MemoryError

    monkeypatch.setattr(Image, "open", full)
    with pytest.raises(MemoryError):
        read_frame(frames[0])


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


@given(height=st.integers(200, 2200), width=st.integers(200, 2200))
def test_line_survives_the_resize(height, width):
    line, size = region_line(height, width, **LIMITS), video_size(1, height, width)
    assert line >= 8
    assert line * size.resized_height / height >= 2 - 1e-9
    assert line * size.resized_width / width >= 2 - 1e-9


def test_line_width_at_benchmark_sizes():
    assert region_line(112, 112, **LIMITS) == 8
    assert region_line(1080, 1920, **LIMITS) == 20


def test_box_of_a_turned_portrait_frame_is_turned_back():
    """The benchmark's code turns portrait frames by 270 degrees; its boxes then are in the turned picture."""
    turned = (60, 5, 85, 45)
    frame = Image.new("L", (50, 90))
    frame.paste(255, place_region(turned, height=90, width=50))
    assert frame.rotate(270, expand=True).getbbox() == turned


def test_box_of_an_upright_portrait_frame_is_kept():
    assert place_region((10, 20, 40, 45), height=90, width=50) == (10, 20, 40, 45)


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


def test_rounding_at_the_border_is_forgiven():
    assert place_region([-0.5, 0, 80.9, 60.4], 60, 80) == (0, 0, 80, 60)


GRADIENT = np.tile(np.linspace(0, 255, 40).astype(np.uint8), (30, 1))


def _save(path, mode):
    """A left-to-right gradient in a format that is not plain RGB."""
    grey = Image.fromarray(GRADIENT)
    if mode == "I;16":
        Image.fromarray(GRADIENT.astype(np.uint16) * 257).save(path)
    elif mode == "RGBA":
        rgba = grey.convert("RGBA")
        rgba.putalpha(Image.new("L", rgba.size, 0))
        rgba.save(path)
    elif mode == "rotated":
        # Lies on its side; the camera noted that it is to be turned by 90 degrees clockwise.
        exif = Image.Exif()
        exif[0x0112] = 6
        grey.transpose(Image.Transpose.ROTATE_90).convert("RGB").save(path, exif=exif, quality=100)
    else:
        grey.convert(mode).save(path)


@pytest.mark.parametrize(
    ("name", "mode"),
    [("a.jpg", "CMYK"), ("b.png", "I;16"), ("c.png", "RGBA"), ("d.jpg", "rotated"), ("e.png", "P"), ("f.png", "L"),
     ("g.png", "1")],
)  # fmt: skip
def test_odd_pictures_become_upright_rgb(tmp_path, name, mode):
    path = str(tmp_path / name)
    _save(path, mode)
    frame = read_frame(path)
    assert frame.mode == "RGB" and (frame.height, frame.width) == (30, 40) == FrameStore("/").size(path)
    expected = np.full((30, 40), 255) if mode == "RGBA" else GRADIENT
    found = np.asarray(frame).astype(int)
    if mode == "1":
        assert set(np.unique(found)) == {0, 255}
    else:
        assert np.abs(found - expected[..., None]).max() <= 4


@pytest.mark.parametrize("damage", ["missing", "empty", "truncated", "text", "folder"])
def test_unreadable_frames_name_the_file(frames, damage, pool):
    path = frames[1]
    with open(path, "rb") as file:
        whole = file.read()
    if damage in ("missing", "folder"):
        os.unlink(path)
    if damage == "folder":
        os.mkdir(path)
    elif damage != "missing":
        with open(path, "wb") as file:
            file.write({"empty": b"", "truncated": whole[: len(whole) // 2], "text": b"no picture"}[damage])
    with pytest.raises(FrameError, match=r"1\.jpg"):
        read_frame(path)
    with pytest.raises(FrameError, match=r"1\.jpg"):
        FrameStore("/").verify(frames, pool)
