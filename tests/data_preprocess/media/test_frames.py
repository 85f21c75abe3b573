# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Frame paths, sizes and verification."""

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from data_preprocess.media.frames import FrameError, FrameStore, read_frame


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
    assert FrameStore("/frames", "/home/me/").resolve(path.replace("/root/data/", "/home/me/")) == expected


def test_size_opens_one_file_of_a_folder(frames, monkeypatch):
    store = FrameStore("/")
    assert store.size(frames[0]) == (60, 80)
    monkeypatch.setattr(Image, "open", None)
    assert store.size(frames[1]) == (60, 80)


def test_verify_reads_each_file_once(frames, pool, monkeypatch):
    store = FrameStore("/")
    store.verify(frames + frames, pool)
    monkeypatch.setattr(Image, "open", None)
    store.verify(frames, pool)


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


def folder(path):
    path.unlink()
    path.mkdir()


def pipe(path):
    path.unlink()
    os.mkfifo(path)


OPENING = r"1\.jpg cannot be opened as a picture \(.+\)"


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.unlink(), r"1\.jpg does not exist"),
        (lambda path: path.write_bytes(b"no picture"), OPENING),
        (lambda path: path.write_bytes(b""), OPENING),
        (folder, OPENING),
        (short_header, r"1\.jpg (cannot be opened as a picture|is broken) \(.+\)"),
        (broken_exif, r"1\.jpg is broken \(.+\)"),
        (unknown_format, OPENING),
        (pipe, r"1\.jpg cannot be opened as a picture .it is no regular file"),
    ],
)
def test_whatever_pillow_raises_is_told_with_the_file(frames, tmp_path, pool, damage, message):
    """OSError, ValueError, SyntaxError and NotImplementedError."""
    damage(tmp_path / "1.jpg")
    for read in (read_frame, FrameStore("/").size, lambda path: FrameStore("/").verify([path], pool)):
        with pytest.raises(FrameError, match=message):
            read(frames[1])


def test_a_frame_that_is_cut_short(frames, tmp_path, pool):
    """Its header is whole: its size can be read."""
    (tmp_path / "1.jpg").write_bytes((tmp_path / "1.jpg").read_bytes()[:-600])
    for read in (read_frame, lambda path: FrameStore("/").verify([path], pool)):
        with pytest.raises(FrameError, match=r"1\.jpg is broken"):
            read(frames[1])


def test_frames_of_two_sizes(frames, tmp_path, pool):
    Image.new("RGB", (60, 80)).save(tmp_path / "1.jpg")
    with pytest.raises(FrameError, match="1.jpg is 60x80 pixels, the clip's first frame 80x60"):
        FrameStore("/").verify(frames, pool)


def test_no_path(pool):
    with pytest.raises(FrameError, match="cannot be opened as a picture"):
        FrameStore("/").verify(["/a\0b.jpg"], pool)


def test_a_lack_of_memory_is_not_the_pictures_fault(frames, monkeypatch):
    def full(path):
        raise MemoryError

    monkeypatch.setattr(Image, "open", full)
    with pytest.raises(MemoryError):
        read_frame(frames[0])


def test_a_picture_that_takes_too_long(tmp_path):
    """A large one, and next to no time; the process is not kept alive by it."""
    Image.new("RGB", (8000, 8000)).save(tmp_path / "a.png", compress_level=1)
    with pytest.raises(FrameError, match="a.png was not read within 0.001 s"):
        read_frame(str(tmp_path / "a.png"), deadline_s=0.001)


def test_addresses_of_files(frames):
    assert read_frame(f"file://{frames[0]}").size == (80, 60)


RAMP = np.tile(np.linspace(0, 1, 40), (30, 1))


@pytest.mark.parametrize(
    ("name", "values", "plain"),
    [
        ("16 bits.png", (RAMP * 65535).astype(np.uint16), True),
        ("16 bits.tif", (RAMP * 65535).astype(np.uint16), True),
        ("8 bits in 16.png", (RAMP * 255).astype(np.uint16), True),
        ("8 bits in 32.tif", (RAMP * 255).astype(np.int32), True),
        ("0 to 1.tif", RAMP.astype(np.float32), True),
        ("0 to 255.tif", (RAMP * 255).astype(np.float32), True),
        ("12 bits in 16.png", (RAMP * 4095).astype(np.uint16), False),
        ("12 bits in 32.tif", (RAMP * 4095).astype(np.int32), False),
        ("Hounsfield.tif", (RAMP * 4095 - 1024).astype(np.int32), False),
        ("-1 to 1.tif", (RAMP * 2 - 1).astype(np.float32), False),
        ("0 to 65535.tif", (RAMP * 65535).astype(np.float32), False),
        ("no number.tif", np.full((30, 40), np.nan, np.float32), False),
    ],
)
def test_more_than_8_bits(tmp_path, pool, name, values, plain):
    """What would come out black or white is refused, also where only the size or the whole file is read."""
    path = str(tmp_path / name)
    Image.fromarray(values).save(path)
    if plain:
        assert np.abs(np.asarray(read_frame(path))[..., 0] - RAMP * 255).max() <= 1
    for read in (read_frame, FrameStore("/").size, lambda path: FrameStore("/").verify([path], pool)):
        if plain:
            read(path)
        else:
            with pytest.raises(FrameError, match="its values go from .* convert it to 8 bits"):
                read(path)


@pytest.mark.parametrize("kind", ["png", "tif"])
def test_colours_of_more_than_8_bits(tmp_path, pool, kind):
    cv2 = pytest.importorskip("cv2")
    path = str(tmp_path / f"a.{kind}")
    cv2.imwrite(path, np.dstack([RAMP * 65535] * 3).astype(np.uint16))
    assert np.abs(np.asarray(read_frame(path))[..., 0] - RAMP * 255).max() <= 1
    cv2.imwrite(path, np.dstack([RAMP * 4095] * 3 + [RAMP * 0 + 65535]).astype(np.uint16))
    for read in (read_frame, FrameStore("/").size, lambda path: FrameStore("/").verify([path], pool)):
        with pytest.raises(FrameError, match="it would be dark: convert it to 8 bits"):
            read(path)


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
