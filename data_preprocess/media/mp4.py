# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Frames of a video file at a steady rate, by decord in a process of its own.

A broken file can make a decoder spin or crash; a process can be ended, a thread cannot. The child writes one array to a
temporary file and the parent waits for it no longer than the deadline.
"""

import json
import math
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from data_preprocess.media.frames import FrameError


def frame_indices(
    shown: np.ndarray, duration: float, fps: float, start: float = 0.0, end: float | None = None
) -> list[int]:
    """Indices of the frames on show every 1 / fps seconds from ``start`` to ``end``; ``shown`` is when each begins."""
    end = duration if end is None else min(end, duration)
    # decord's times have 24 bits: a time that falls on a frame must not go to the one before, nor one at the end count.
    rounding = max(1e-3, duration * 1e-6)
    count = max(0, math.ceil((end - start - rounding) * fps))
    times = start + np.arange(count) / fps + rounding
    return np.maximum(np.searchsorted(shown, times, side="right") - 1, 0).tolist()


def decode(
    path: str, fps: float, *, start: float = 0.0, end: float | None = None, deadline_s: float = 60.0
) -> np.ndarray:
    """Frames of ``path`` as uint8 of shape (frames, height, width, 3); frame i lies at ``start + i / fps`` seconds.

    Raises:
        FrameError: missing, not decodable, nothing within ``start`` to ``end``, or not done within ``deadline_s``.
    """
    if not Path(path).is_file():
        raise FrameError(f"{path} is no regular file" if Path(path).exists() else f"{path} does not exist")
    if not (0 <= start < math.inf) or (end is not None and not end > start):
        raise FrameError(f"{path} has no clip from {start:g} to {end} s: times count from the beginning of the file")
    with tempfile.TemporaryDirectory(prefix="medgrpo_mp4_") as folder:
        out = Path(folder) / "frames.npy"
        task = {"path": path, "out": str(out), "fps": fps, "start": start, "end": end}
        remedy = "re-encode it, or raise data.media.deadline_s"
        in_child("data_preprocess.media.mp4", path, task, deadline_s, "cannot be decoded", remedy)
        return np.load(out)


def in_child(
    module: str, path: str | Path, task: dict, deadline_s: float, unusable: str, remedy: str = "re-encode it"
) -> str:
    """What ``module`` prints, run as a process of its own that reads ``task`` as JSON; a FrameError if it fails."""
    command = [sys.executable, "-m", module]
    try:
        child = subprocess.run(command, input=json.dumps(task), capture_output=True, text=True, timeout=deadline_s)
    except subprocess.TimeoutExpired:
        raise FrameError(f"{path} was not decoded within {deadline_s:g} s: {remedy}") from None
    if child.returncode:
        reason = (child.stderr.strip().splitlines() or [f"decoder ended with {child.returncode}"])[-1]
        raise FrameError(f"{path} {unusable} ({reason})")
    return child.stdout


def main(path: str, out: str, fps: float, start: float, end: float | None) -> None:
    import decord

    reader = decord.VideoReader(path, num_threads=1)
    count, raw_fps = len(reader), reader.get_avg_fps()
    if not raw_fps > 0:
        raise SystemExit("it states no frame rate")
    begins, ends = reader.get_frame_timestamp(range(count)).astype(float).T
    shown, last = begins - begins[0], ends[-1] - begins[-1]
    duration = shown[-1] + (last if last > 0 else 1 / raw_fps)
    if not (np.isfinite(shown).all() and (np.diff(shown) >= 0).all()):  # no times in the file
        shown, duration = np.arange(count) / raw_fps, count / raw_fps
    indices = frame_indices(shown, duration, fps, start, end)
    if not indices:
        raise SystemExit(f"no frame lies between {start} and {end or 'its end'} s")
    np.save(out, reader.get_batch(indices).asnumpy())


if __name__ == "__main__":
    main(**json.load(sys.stdin))
