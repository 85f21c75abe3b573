# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Frames of a video file at given times, written as JPEG by a process of its own.

By presentation time: the frame that a player shows at that second, also where the file's frames come at no steady rate.
"""

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from data_preprocess.common.atomic_file import whole_file
from data_preprocess.media.frames import FrameError
from data_preprocess.media.mp4 import in_child

_BATCH = 16
_SECONDS_TO_START, _SECONDS_PER_FRAME = 60.0, 1.0
#: A video may be longer or shorter than its annotations say by so many seconds, and by this share.
_SLACK, _SLACK_SHARE = 2.0, 0.02
#: Seconds after the last frame at which that one is still taken: annotated lengths are rounded.
_LATE = 1.0


class Size(NamedTuple):
    """Of a video; height and width in pixels."""

    seconds: float
    height: int
    width: int


def probe(path: Path, note: Callable[[str], None]) -> Size:
    """Size of a video; nothing but zeros, and a note, where it cannot be decoded."""
    try:
        found = _child(path, {})
    except FrameError as error:
        note(f"left out: {error}")
        return Size(0.0, 0, 0)
    return Size(found["seconds"], found["height"], found["width"])


def extract(path: Path, wanted: Mapping[str, float], seconds: float | None = None) -> int:
    """Write the frames that are not there yet, and say how many.

    Args:
        wanted: target file -> second of the video.
        seconds: the length that the annotations give the video.

    Raises:
        FrameError: the video is broken, ends too early, or has another length.
    """
    missing = {target: second for target, second in wanted.items() if not Path(target).exists()}
    if missing:
        found = _child(path, missing, seconds)
        if found["late"] is not None:
            raise FrameError(f"{path} ends at {found['seconds']:.1f} s; a frame at {found['late']:.1f} s is wanted")
    return len(missing)


def _child(path: Path, wanted: Mapping[str, float], seconds: float | None = None) -> dict:
    task = {"video": str(path), "wanted": dict(wanted), "seconds": seconds}
    deadline = _SECONDS_TO_START + _SECONDS_PER_FRAME * len(wanted)
    return json.loads(
        in_child("data_preprocess.build.extract", path, task, deadline, "cannot be used").splitlines()[-1]
    )


def main() -> None:
    import decord
    import numpy as np
    from PIL import Image

    task = json.load(sys.stdin)
    reader = decord.VideoReader(task["video"], num_threads=1)
    shown = np.asarray(reader.get_frame_timestamp(range(len(reader))))
    shown = shown - shown[0, 0]
    seconds = float(shown[-1, 1])
    expected = task["seconds"]
    if expected and abs(seconds - expected) > _SLACK + _SLACK_SHARE * expected:
        raise SystemExit(f"it lasts {seconds:.1f} s, its annotations say {expected:.1f} s: it was cut or re-timed")
    targets = sorted(task["wanted"], key=task["wanted"].get)
    late = next((task["wanted"][target] for target in targets if task["wanted"][target] > seconds + _LATE), None)
    height, width = reader[0].shape[:2]
    for begin in range(0, 0 if late is not None else len(targets), _BATCH):
        some = targets[begin : begin + _BATCH]
        # A hair later: a time that falls on a frame's start must not round down to the frame before.
        places = np.searchsorted(shown[:, 0], [task["wanted"][target] + 1e-4 for target in some], side="right") - 1
        for target, picture in zip(some, reader.get_batch(places.tolist()).asnumpy(), strict=True):
            Path(target).parent.mkdir(parents=True, exist_ok=True)
            with whole_file(target) as temporary:
                Image.fromarray(picture).save(temporary, "JPEG", quality=95)
    print(json.dumps({"seconds": seconds, "height": height, "width": width, "late": late}))


if __name__ == "__main__":
    main()
