# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Which clips of a video are asked about: windows of several lengths over stretches without a gap.

A clip's frames lie at one distance, so that the time of its frame i is i / fps, as everywhere in MedVidBench.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from data_preprocess.build.annotated import AnnotatedVideo, Frames, Source

#: MedVidBench's clips last 20 seconds or more and list at most 180 frames.
SHORTEST, MOST_FRAMES = 20.0, 180
#: Multiples of a source's own stride for long clips; they keep fps a short decimal.
_MULTIPLES = (1, 2, 4, 5, 10, 20, 40, 50, 100)


@dataclass(frozen=True)
class Clip:
    """Frames that are shown to the model."""

    frames: Frames
    numbers: range

    @property
    def fps(self) -> float:
        return self.frames.rate / self.numbers.step

    @property
    def start(self) -> float:
        return self.frames.second(self.numbers[0])

    @property
    def end(self) -> float:
        return self.frames.second(self.numbers[-1])

    def time(self, number: int) -> float:
        """Seconds from the clip's first frame."""
        return round((number - self.numbers[0]) / self.frames.rate, 1)


def stretches(video: AnnotatedVideo) -> list[range]:
    """Frame numbers without a gap, where the annotations are complete."""
    frames = video.frames
    if video.covered is None:
        return list(frames.stretches())
    found = []
    for stretch in frames.stretches():
        for start, end in video.covered:
            some = within(stretch, frames, start, end)
            if len(some) > 1:
                found.append(some)
    return found


def within(stretch: range, frames: Frames, start: float, end: float) -> range:
    """The part of a stretch between two seconds of the video."""
    low = math.ceil((start * frames.rate + frames.first - stretch.start) / stretch.step - 1e-6)
    high = math.floor((end * frames.rate + frames.first - stretch.start) / stretch.step + 1e-6)
    return stretch[max(0, low) : max(0, high + 1)]


def stride_for(seconds: float, frames: Frames, source: Source) -> int:
    """Distance of frame numbers at which a clip of this length has no more than ``MOST_FRAMES``."""
    stride = math.lcm(source.stride, frames.step)
    if seconds < SHORTEST and source.stride % 5 == 0:
        # Few seconds are shown at a higher rate.
        stride = math.lcm(source.stride * 2 // 5, frames.step)
    count = seconds * frames.rate / stride
    return stride * next((m for m in _MULTIPLES if count / m + 1 <= MOST_FRAMES), math.ceil(count / MOST_FRAMES))


def windows(
    stretch: range, frames: Frames, source: Source, overlap: float = 0.5, shortest: float = SHORTEST
) -> Iterator[Clip]:
    """Windows of each of the source's lengths; a shorter stretch is one clip."""
    if not stretch:
        return
    span = (stretch[-1] - stretch[0]) / frames.rate
    lengths = [seconds for seconds in source.seconds if seconds < span]
    if len(lengths) < max(1, len(source.seconds)) and span >= shortest:
        lengths.append(span)
    cut = set()  # a stretch hardly longer than a listed length is that window once more
    for seconds in lengths:
        stride = stride_for(seconds, frames, source)
        reach = int(seconds * frames.rate + 1e-6) // stride * stride
        hop = max(stride, int(reach * (1 - overlap)) // stride * stride)
        for begin in range(stretch[0], stretch[-1] - reach + 1, hop):
            numbers = range(begin, begin + reach + 1, stride)
            if reach and numbers not in cut:
                cut.add(numbers)
                yield Clip(frames, numbers)


def ending_at(stretch: range, frames: Frames, source: Source, end: float, seconds: float) -> Clip | None:
    """The clip of at most so many seconds that ends at this second of the video; None if it would be too short."""
    some = within(stretch, frames, end - seconds, end)
    if not some:
        return None
    stride = stride_for((some[-1] - some[0]) / frames.rate, frames, source)
    begin = some[-1] - (some[-1] - some[0]) // stride * stride
    clip = Clip(frames, range(begin, some[-1] + 1, stride))
    return clip if clip.end - clip.start >= SHORTEST else None


def beginning_at(numbers: Sequence[int], frames: Frames, source: Source) -> Iterator[Clip]:
    """Clips of the shortest length that begin at given frames: boxes on single frames are met by no window's grid."""
    for stretch in frames.stretches():
        for number in numbers:
            if number in stretch:
                stride = stride_for(source.seconds[0], frames, source)
                most = min(stretch[-1], number + int(source.seconds[0] * frames.rate))
                if (count := (most - number) // stride) * stride >= SHORTEST * frames.rate:
                    yield Clip(frames, range(number, number + count * stride + 1, stride))
