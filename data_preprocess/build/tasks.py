# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""What is asked about a clip, and the answer that follows from the annotations; captions are left to be written."""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from data_preprocess.build.annotated import AnnotatedVideo, Box, Run, Source, merged
from data_preprocess.build.clips import Clip, beginning_at, ending_at, stretches, windows, within

#: Boxes of one STG answer at most, their distance in frames, and frames of the shortest region to be described.
MOST_BOXES, GRIDS, SHORTEST_REGION = 8, (1, 2, 3, 5, 10), 3
REGIONS_PER_CLIP = 3
_OVERLAP = 0.5
#: Seconds before an action begins at which no frame shows it yet.
_HAIR = 1e-4


@dataclass(frozen=True)
class Draft:
    """A question before it is worded.

    Args:
        kind: the pool of its request, where it is not the task.
        answer: "" where a caption has to be written.
        region: (frame number, box) of a region caption.
        evidence: what the author of a caption is given, line by line.
        events: (start, end, action) of a dense caption.
    """

    task: str
    clip: Clip
    words: Mapping[str, Any] = field(default_factory=dict)
    answer: str = ""
    struc_info: Sequence = ()
    kind: str = ""
    region: tuple[int, Box] | None = None
    evidence: Sequence[str] = ()
    events: Sequence[Run] = ()


def drafts(video: AnnotatedVideo, source: Source, seed: int, overlap: float) -> Iterator[Draft]:
    """All questions about a video."""
    for stretch in stretches(video):
        for clip in windows(stretch, video.frames, source, overlap):
            for task in source.tasks:
                if task in _OF_WINDOW:
                    yield from _OF_WINDOW[task](video, clip, seed)
        if "nap" in source.tasks:
            yield from _next_actions(video, stretch, source)
    if "stg" in source.tasks and source.stride > video.frames.step:
        boxed = sorted({number for boxes in video.boxes.values() for number in boxes})
        cut = (windows(stretch, video.frames, source, overlap) for stretch in stretches(video))
        asked = {clip.numbers for some in cut for clip in some}
        for clip in beginning_at(boxed, video.frames, source):
            if clip.numbers not in asked:
                yield from _grounding(video, clip, seed)
    yield from _ratings(video, source, overlap)


def _inside(runs: Sequence[Run], clip: Clip) -> list[Run]:
    """Runs cut to the clip, in its seconds; one that only touches its border, or rounds to no time there, is none."""
    found = []
    for start, end, label in runs:
        low, high = max(start, clip.start), min(end, clip.end)
        cut = Run(round(low - clip.start, 1), round(high - clip.start, 1), label)
        if low <= high and (cut.start < cut.end or start == end):
            found.append(cut)
    return found


def _actions(video: AnnotatedVideo, clip: Clip, seed: int) -> Iterator[Draft]:
    """TAG: when is each action that occurs? Not asked where the clip is one action from end to end."""
    inside = _inside(video.runs, clip)
    for label in dict.fromkeys(run.label for run in inside if run.label != video.background):
        found = merged(sorted(run for run in inside if run.label == label))
        spans = [{"start": run.start, "end": run.end} for run in found]
        if spans == [{"start": 0.0, "end": round(clip.end - clip.start, 1)}]:
            continue
        labels = list(video.labels)
        info = {"action": label, "procedure": video.procedure, "action_list": labels, "spans": spans}
        answer = ", ".join(f"{span['start']}-{span['end']}" for span in spans) + " seconds."
        words = {"label": label, "labels": ", ".join(labels), "procedure": video.procedure}
        yield Draft("tag", clip, words, answer, [info])


def _next_actions(video: AnnotatedVideo, stretch: range, source: Source) -> Iterator[Draft]:
    """NAP: clips that end with a run; what follows within what is annotated is the answer, if it is another action."""
    frames, seen = video.frames, set()
    first, last = frames.second(stretch[0]), frames.second(stretch[-1])
    runs = [
        run for run in sorted(video.runs) if run.label != video.background and first <= run.end and run.start <= last
    ]
    for run in runs:
        following = next((other for other in runs if other.start >= run.end and other is not run), None)
        if following is None or following.label == run.label or following.start > last:
            continue
        # Of two that are under way at a time, neither comes next.
        if any(other.start < run.end < other.end for other in runs if other is not run):
            continue
        for seconds in source.seconds:
            clip = ending_at(stretch, frames, source, min(run.end, following.start - _HAIR), seconds)
            if clip and clip.numbers not in seen:
                seen.add(clip.numbers)
                labels = list(video.labels)
                info = {"action_list": labels, "next_action": following.label}
                words = {"labels": labels, "procedure": video.procedure}
                yield Draft("nap", clip, words, following.label, [info])


def _grounding(video: AnnotatedVideo, clip: Clip, seed: int) -> Iterator[Draft]:
    """STG: where is each object, on a grid of seconds at all of which it has a box?"""
    for name, boxes in video.boxes.items():
        present = [place for place, number in enumerate(clip.numbers) if number in boxes]
        if not present:
            continue
        rng = random.Random(f"{seed} {video.id} {clip.numbers} {name}")
        grids = rng.sample(GRIDS, len(GRIDS))
        chain = next((found for grid in grids if len(found := _longest_chain(present, grid)) > 1), [])
        if not chain:
            chain = present[:1]
        count = min(len(chain), rng.randint(2, MOST_BOXES))
        begin = rng.randrange(len(chain) - count + 1)
        numbers = [clip.numbers[place] for place in chain[begin : begin + count]]
        found = {str(clip.time(number)): boxes[number] for number in numbers}
        every = clip.time(numbers[1]) - clip.time(numbers[0]) if count > 1 else 0.0
        start, end = clip.time(numbers[0]), clip.time(numbers[-1])
        words = {"name": name, "every": round(every, 1), "start": start, "end": end}
        answer = " ".join(f"{time} seconds: {box}" for time, box in found.items())
        info = {"bbox_dict": found, "start": start, "end": end}
        yield Draft("stg", clip, words, answer, [info], kind="stg" if count > 1 else "stg_one")


def _longest_chain(places: Sequence[int], grid: int) -> list[int]:
    known, best = set(places), []
    for place in places:
        if place - grid not in known:
            chain = [place]
            while chain[-1] + grid in known:
                chain.append(chain[-1] + grid)
            best = max(best, chain, key=len)
    return best


def _ratings(video: AnnotatedVideo, source: Source, overlap: float) -> Iterator[Draft]:
    """SA and CVS: scored stretches."""
    for start, end, task, answer, truth, labels in video.ratings:
        words = {"labels": ", ".join(labels), "procedure": video.procedure}
        for stretch in video.frames.stretches():
            for clip in windows(within(stretch, video.frames, start, end), video.frames, source, overlap, 0):
                yield Draft(task, clip, words, answer, [truth])


def _evidence(video: AnnotatedVideo, clip: Clip, start: float = 0.0, end: float = 1e9) -> list[str]:
    known = _inside([*video.runs, *video.facts], clip)
    return [f"{run.start}-{run.end} s: {run.label}" for run in sorted(known) if run.start <= end and run.end >= start]


def _summary(video: AnnotatedVideo, clip: Clip, seed: int) -> Iterator[Draft]:
    evidence = _evidence(video, clip)
    if evidence:
        yield Draft("vs", clip, {"procedure": video.procedure}, evidence=evidence)


def _regions(video: AnnotatedVideo, clip: Clip, seed: int) -> Iterator[Draft]:
    """RC: what does an object do while it stays in view?"""
    names = list(video.boxes)
    random.Random(f"{seed} {video.id} {clip.numbers}").shuffle(names)
    drawn = 0
    for name in names:
        boxes, tracks = video.boxes[name], video.tracks.get(name, {})
        present = [place for place, number in enumerate(clip.numbers) if number in boxes]
        chain = _longest_chain(present, 1)
        chain = [place for place in chain if tracks.get(clip.numbers[place]) == tracks.get(clip.numbers[chain[0]])]
        if len(chain) < SHORTEST_REGION or drawn == REGIONS_PER_CLIP:
            continue
        drawn += 1
        number = clip.numbers[chain[0]]
        start, end = clip.time(number), clip.time(clip.numbers[chain[-1]])
        evidence = [f"The box holds: {name}", *_evidence(video, clip, start, end)]
        yield Draft("rc", clip, {"start": start, "end": end}, region=(number, boxes[number]), evidence=evidence)


def _events(video: AnnotatedVideo, clip: Clip, seed: int) -> Iterator[Draft]:
    """DVC: events that do not overlap; of two that do, the first."""
    events: list[Run] = []
    for run in sorted(_inside(video.runs, clip)):
        if run.label != video.background and (not events or run.start >= events[-1].end - _OVERLAP):
            events.append(run)
    if len(events) > 1:
        words = {"labels": ", ".join(video.labels), "procedure": video.procedure}
        yield Draft("dvc", clip, words, events=events, evidence=_evidence(video, clip))


_OF_WINDOW = {"tag": _actions, "stg": _grounding, "vs": _summary, "rc": _regions, "dvc": _events}
