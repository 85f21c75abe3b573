# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""What a reader makes of a source: videos with their frames, and what experts said about them."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

Box = list[float]


class Run(NamedTuple):
    """From ``start`` to ``end`` (seconds of the video) ``label`` holds."""

    start: float
    end: float
    label: str


class Rating(NamedTuple):
    """An expert's score of a stretch of the video: the task, its answer and its ``struc_info``."""

    start: float
    end: float
    task: str
    answer: str
    struc_info: dict
    labels: Sequence[str] = ()


@dataclass(frozen=True)
class Frames:
    """Frames of one source video.

    Args:
        numbers: of the frames there are, rising, as the publishers count: ``rate`` a second, ``first`` at second 0.
        step: distance of neighbours; a larger one is a gap.
        paths: file of each number; None where the frames are still in ``video``.
        seconds: length that the annotations give the video; a file of another length is not the annotated one.
    """

    numbers: Sequence[int]
    rate: float
    first: int = 0
    step: int = 1
    paths: Mapping[int, str] | None = None
    video: Path | None = None
    seconds: float | None = None

    def second(self, number: int) -> float:
        return (number - self.first) / self.rate

    def stretches(self) -> Iterator[range]:
        """Stretches without a gap."""
        if isinstance(self.numbers, range):
            if self.numbers:
                yield self.numbers
            return
        begin = 0
        for place in range(1, len(self.numbers) + 1):
            if place == len(self.numbers) or self.numbers[place] - self.numbers[place - 1] != self.step:
                yield range(self.numbers[begin], self.numbers[place - 1] + 1, self.step)
                begin = place


@dataclass
class AnnotatedVideo:
    """One source video.

    Args:
        runs: phases or actions in time; ``labels`` are those that may occur, ``background`` is none of them.
        covered: where the runs are complete (seconds); None for everywhere. Elsewhere nothing is known.
        boxes: object -> frame number -> [x1, y1, x2, y2] in pixels, only where the name means one object.
        tracks: object -> frame number -> what changes when another object takes the name.
        facts: further annotations in time, which a caption's author is shown.
        split_group: ``family/member``; all clips of a member stay on one side of the split, in all sources.
    """

    id: str
    frames: Frames
    procedure: str
    runs: Sequence[Run] = ()
    labels: Sequence[str] = ()
    background: str = ""
    covered: Sequence[tuple[float, float]] | None = None
    boxes: Mapping[str, Mapping[int, Box]] = field(default_factory=dict)
    tracks: Mapping[str, Mapping[int, int]] = field(default_factory=dict)
    ratings: Sequence[Rating] = ()
    facts: Sequence[Run] = ()
    split_group: str = ""


@dataclass
class Settings:
    """What readers are given (see the command), and ``notes``: counts of what was left out or repaired."""

    labels: Path | None = None
    skip_frames: bool = False
    transcripts: Path | None = None
    notes: dict[str, int] = field(default_factory=dict)

    def note(self, what: str, count: int = 1) -> None:
        if count:
            self.notes[what] = self.notes.get(what, 0) + count


@dataclass(frozen=True)
class Source:
    """A source, and how clips of ``seconds`` are cut from it.

    Args:
        stride: distance in frame numbers of a clip's frames; longer clips take a multiple.
        extent: name of the clip's extent in ``metadata``, with {} for start and end.
        tasks: those that the source's annotations can give.
    """

    name: str
    read: Callable[[Path, Settings], Iterator[AnnotatedVideo]]
    seconds: Sequence[float]
    stride: int
    tasks: Sequence[str]
    extent: str = "input_video_{}_frame"


def runs_of(labelled: Iterable[tuple[int, str]], frames: Frames, close: int = 0) -> list[Run]:
    """Runs of equal labels, from the time of the first frame to that of the last one.

    Args:
        labelled: (frame number, label), rising.
        close: missing frames that a run may pass over.
    """
    runs: list[list] = []
    for number, label in labelled:
        last = runs[-1] if runs else None
        if last and last[2] == label and number - last[1] <= frames.step * (close + 1):
            last[1] = number
        else:
            runs.append([number, number, label])
    return [Run(frames.second(first), frames.second(last), label) for first, last, label in runs]


def merged(runs: Sequence[Run]) -> list[Run]:
    """Sorted runs, of which those of one label that touch or overlap became one."""
    found: list[Run] = []
    for run in runs:
        if found and found[-1].label == run.label and run.start <= found[-1].end:
            found[-1] = found[-1]._replace(end=max(run.end, found[-1].end))
        else:
            found.append(run)
    return found
