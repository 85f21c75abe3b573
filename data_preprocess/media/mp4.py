# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Frames of a video file at a steady rate, by decord in a process of its own.

A broken file can make a decoder spin or crash; a process can be ended, a thread cannot. The child writes one array to a
temporary file and the parent waits for it no longer than the deadline.
"""

from __future__ import annotations

import math
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from data_preprocess.media.frames import FrameError


def frame_indices(
    num_frames: int, raw_fps: float, fps: float, start: float = 0.0, end: float | None = None
) -> list[int]:
    """Indices of the frames shown at ``start``, ``start + 1 / fps``, ... seconds, before ``end``.

    Args:
        num_frames, raw_fps: of the file.
        fps: frames per second to take; above ``raw_fps`` frames repeat.
        start, end: seconds from the file's beginning; ``end`` None is the file's.
    """
    duration = num_frames / raw_fps
    end = duration if end is None else min(end, duration)
    count = max(0, math.ceil((end - start) * fps - 1e-6))
    # The tiny addend keeps a time that falls on a frame from rounding down to the one before.
    return [min(int((start + i / fps) * raw_fps + 1e-6), num_frames - 1) for i in range(count)]


def decode(
    path: str, fps: float, *, start: float = 0.0, end: float | None = None, deadline_s: float = 60.0
) -> np.ndarray:
    """Frames of ``path`` as uint8 of shape (frames, height, width, 3); frame i lies at ``start + i / fps`` seconds.

    Raises:
        FrameError: missing, not decodable, nothing within ``start`` to ``end``, or not done within ``deadline_s``.
    """
    if not Path(path).is_file():
        raise FrameError(f"{path} does not exist")
    with tempfile.TemporaryDirectory(prefix="medgrpo_mp4_") as folder:
        out = Path(folder) / "frames.npy"
        command = [sys.executable, "-m", "data_preprocess.media.mp4", path, str(out), repr(fps), repr(start)]
        command += [] if end is None else [repr(end)]
        try:
            child = subprocess.run(command, capture_output=True, text=True, timeout=deadline_s)
        except subprocess.TimeoutExpired:
            raise FrameError(
                f"{path} was not decoded within {deadline_s:g} s: re-encode it, or raise data.media.deadline_s"
            ) from None
        if child.returncode:
            reason = (child.stderr.strip().splitlines() or [f"decoder ended with {child.returncode}"])[-1]
            raise FrameError(f"{path} cannot be decoded ({reason})")
        return np.load(out)


def main(path: str, out: str, fps: str, start: str, end: str | None = None) -> None:
    import decord

    reader = decord.VideoReader(path, num_threads=1)
    raw_fps = reader.get_avg_fps()
    if not raw_fps > 0:
        raise SystemExit("it states no frame rate")
    indices = frame_indices(len(reader), raw_fps, float(fps), float(start), None if end is None else float(end))
    if not indices:
        raise SystemExit(f"no frame lies between {start} and {end or 'its end'} s")
    np.save(out, reader.get_batch(indices).asnumpy())


if __name__ == "__main__":
    main(*sys.argv[1:])
