# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Video files: which frames, and that no broken file hangs or passes."""

import os
import time
from fractions import Fraction

import numpy as np
import pytest

from data_preprocess.media import mp4
from data_preprocess.media.frames import FrameError

pytest.importorskip("decord")


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    """Three seconds at 10 fps; frame i has the grey value 8 * i."""
    cv2 = pytest.importorskip("cv2")
    path = tmp_path_factory.mktemp("videos") / "a.mp4"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), 10, (64, 48))
    for i in range(30):
        writer.write(np.full((48, 64, 3), 8 * i, np.uint8))
    writer.release()
    return path


@pytest.mark.parametrize(
    ("fps", "start", "end", "expected"),
    [
        (2.0, 0.0, None, [0, 5, 10, 15, 20, 25]),
        (1.0, 1.0, None, [10, 20]),
        (5.0, 0.5, 1.1, [5, 7, 9]),
        (0.5, 0.0, None, [0, 20]),
        (3.0, 0.0, 1.0, [0, 3, 6]),
        (1.0, 0.0, 0.0, []),
    ],
)
def test_indices(fps, start, end, expected):
    assert mp4.frame_indices(np.arange(30) / 10, 3.0, fps, start, end) == expected


def test_frames_are_those_of_their_times(video):
    frames = mp4.decode(str(video), 2.0)
    assert frames.shape == (6, 48, 64, 3) and frames.dtype == np.uint8
    np.testing.assert_allclose(frames.mean(axis=(1, 2, 3)), [0, 40, 80, 120, 160, 200], atol=5)


def write_slides(path, times):
    """A video whose frame at ``t`` seconds has the grey value 20 * t."""
    av = pytest.importorskip("av")
    with av.open(str(path), "w") as file:
        stream = file.add_stream("mpeg4", rate=30)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        for time in times:
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), round(20 * time), np.uint8), format="rgb24")
            frame.pts, frame.time_base = round(1000 * time), Fraction(1, 1000)
            file.mux(stream.encode(frame))
        file.mux(stream.encode())


FAST_THEN_SLOW = [i / 30 for i in range(60)] + [2 + i for i in range(10)]
SLOW_THEN_FAST = [0, 4, *(8 + i / 15 for i in range(60))]


@pytest.mark.parametrize(
    ("times", "fps", "shown"),
    [
        (FAST_THEN_SLOW, 1.0, list(range(12))),
        (SLOW_THEN_FAST, 1.0, [0, 0, 0, 0, 4, 4, 4, 4, 8, 9, 10, 11]),
        (SLOW_THEN_FAST, 0.5, [0, 0, 4, 4, 8, 10]),
    ],
)
def test_frames_at_varying_distances_are_taken_by_their_times(tmp_path, times, fps, shown):
    write_slides(tmp_path / "a.mp4", times)
    frames = mp4.decode(str(tmp_path / "a.mp4"), fps)
    np.testing.assert_allclose(frames.mean(axis=(1, 2, 3)) / 20, shown, atol=0.2)


@pytest.mark.parametrize(("start", "end"), [(-1.0, None), (-2.0, -1.0), (2.0, 1.0), (1.0, 1.0), (float("nan"), None)])
def test_a_clip_that_is_none(video, start, end):
    with pytest.raises(FrameError, match=r"a\.mp4 has no clip from .* to .* s"):
        mp4.decode(str(video), 1.0, start=start, end=end)


def test_a_pipe_in_the_place_of_a_video(tmp_path):
    os.mkfifo(tmp_path / "a.mp4")
    with pytest.raises(FrameError, match="a.mp4 is no regular file"):
        mp4.decode(str(tmp_path / "a.mp4"), 1.0)


@pytest.mark.parametrize("damage", ["missing", "empty", "truncated", "text"])
def test_broken_videos_name_the_file(video, tmp_path, damage):
    path = tmp_path / "b.mp4"
    whole = video.read_bytes()
    if damage != "missing":
        path.write_bytes({"empty": b"", "truncated": whole[: len(whole) // 2], "text": b"no video" * 100}[damage])
    with pytest.raises(FrameError, match=r"b\.mp4 (does not exist|cannot be decoded)"):
        mp4.decode(str(path), 1.0)


def test_nothing_within_the_time_asked_for(video):
    with pytest.raises(FrameError, match=r"a\.mp4 cannot be decoded \(no frame lies between 5.0"):
        mp4.decode(str(video), 1.0, start=5.0)


def test_a_decoder_that_hangs_is_ended(video, tmp_path, monkeypatch):
    (tmp_path / "decord.py").write_text("import time\ntime.sleep(60)\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    start = time.monotonic()
    with pytest.raises(FrameError, match=r"a\.mp4 was not decoded within 1 s: .*deadline_s"):
        mp4.decode(str(video), 1.0, deadline_s=1.0)
    assert time.monotonic() - start < 10
