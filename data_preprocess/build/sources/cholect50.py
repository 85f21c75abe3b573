# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""CholecT50: phases and tool-action triplets of fifty cholecystectomies, one frame a second. Its boxes are empty.

Also in the layout of CholecT45: text files of 45 of these videos, whose phases are Cholec80's.
"""

from collections.abc import Iterator
from pathlib import Path

from data_preprocess.build.annotated import AnnotatedVideo, Frames, Settings, Source, runs_of
from data_preprocess.build.published import (
    found_files,
    need,
    number,
    numbered_pictures,
    one_file,
    read_json,
    read_lines,
    unexpected,
    whole,
)
from data_preprocess.build.sources import cholec80
from data_preprocess.common.find_files import find

_TRIPLET, _PHASE, _LENGTH = 0, 14, 15


def read(root: Path, settings: Settings) -> Iterator[AnnotatedVideo]:
    """One video for each label file that has a folder of frames; CholecT45's file where there is no other one."""
    texts = {path.stem: path for path in find(root, "VID*.txt") if path.parent.name == "triplet"}
    files = find(root, "VID*.json") if texts else found_files(root, "VID*.json", "labels/VID01.json and so on")
    for path in files:
        texts.pop(path.stem, None)
        if pictures := _pictures(path, "videos", settings):
            yield _from_json(path, pictures, settings)
    phase_files = cholec80.phase_files(root)
    for path in texts.values():
        if pictures := _pictures(path, "data", settings):
            yield _from_text(path, pictures, phase_files.get(_video(path)), settings)


def _pictures(path: Path, folder: str, settings: Settings) -> dict[int, str]:
    pictures = numbered_pictures(path.parents[1] / folder / path.stem)
    settings.note(f"CholecT50 videos without frames in {folder}/VIDnn", not pictures)
    return pictures


def _video(path: Path) -> int:
    return whole(path.stem.removeprefix("VID"), path, "file name")


def _from_json(path: Path, pictures: dict[int, str], settings: Settings) -> AnnotatedVideo:
    content = read_json(path, dict, "an object")
    phases, triplets = (_names(content, task, path) for task in ("phase", "triplet"))
    annotations = need(content.get("annotations"), path, "annotations", dict, "frame -> instances")
    rate = number(content.get("fps"), path, "fps", "frames per second")
    if rate <= 0:
        raise unexpected(path, "fps", rate, "frames per second")
    phase_of: list[tuple[int, str]] = []
    acts: list[tuple[int, str]] = []
    # Keys are texts: sorted as such, 10 would come before 2.
    for frame, key in sorted((whole(key, path, "annotations"), key) for key in annotations):
        instances = need(annotations[key], path, f"annotations.{key}", list, "a list of instances")
        vectors = [_vector(instance, path, f"annotations.{key}") for instance in instances]
        if seen := {phase for _, phase in vectors} - {-1}:
            phase_of.append((frame, _name(phases, min(seen), path, "phase")))
            done = sorted({triplet for triplet, _ in vectors} - {-1})
            acts += [(frame, _name(triplets, act, path, "triplet")) for act in done]
    labels = tuple(phases[key] for key in sorted(phases))
    return _annotated(path, Frames(sorted(pictures), rate, paths=pictures), phase_of, labels, acts, settings)


def _from_text(path: Path, pictures: dict[int, str], phase_file: Path | None, settings: Settings) -> AnnotatedVideo:
    """Of CholecT45: a row for each frame with its number and a 0 or 1 for each triplet."""
    names = {}
    book = one_file(path.parents[1], "triplet.txt", "dict/triplet.txt")
    for line in filter(str.strip, read_lines(book)):
        place, _, name = line.partition(":")
        names[whole(place, book, f"line {line!r}, before the colon")] = name.strip()
    acts: list[tuple[int, str]] = []
    frames = Frames(sorted(pictures), 1, paths=pictures)
    for line in filter(str.strip, read_lines(path)):
        row = [whole(cell, path, f"line {line[:20]!r}") for cell in line.split(",")]
        if len(row) != len(names) + 1 or not set(row[1:]) <= {0, 1}:
            raise unexpected(path, f"line {line[:20]!r}", f"{len(row)} numbers", f"frame, then {len(names)} of 0 or 1")
        acts += [(row[0], _name(names, act, path, "triplet")) for act, there in enumerate(row[1:]) if there]
    settings.note("CholecT45 videos without Cholec80's phases, which give captions alone", phase_file is None)
    if phase_file is None:
        return _annotated(path, frames, [], (), acts, settings)
    phase_of = list(cholec80.phases(phase_file).items())
    return _annotated(path, frames, phase_of, tuple(cholec80.PHASES.values()), acts, settings)


def _annotated(
    path: Path,
    frames: Frames,
    phase_of: list[tuple[int, str]],
    labels: tuple[str, ...],
    acts: list[tuple[int, str]],
    settings: Settings,
) -> AnnotatedVideo:
    """``acts`` are (frame, "instrument,verb,target"); without any phase, clips may lie anywhere."""
    annotated = {frame for frame, _ in (*phase_of, *acts)}
    settings.note("CholecT50 annotated frames without a picture", len(annotated - set(frames.numbers)))
    if labels:
        unknown = set(frames.numbers) - {frame for frame, _ in phase_of}
        settings.note("CholecT50 frames without a phase", len(unknown))
    facts = [(frame, " ".join(act.split(",")).replace("_", " ")) for frame, act in acts if "null" not in act]
    return AnnotatedVideo(
        path.stem,
        frames,
        "laparoscopic cholecystectomy",
        runs_of(phase_of, frames),
        labels,
        covered=[run[:2] for run in runs_of(((frame, "") for frame, _ in phase_of), frames)] if labels else None,
        facts=sorted(run for act in {fact for _, fact in facts} for run in
                     runs_of((pair for pair in facts if pair[1] == act), frames, close=2)),
        split_group=f"cholec/{_video(path)}",
    )  # fmt: skip


def _vector(vector: object, path: Path, key: str) -> tuple[int, int]:
    """(triplet, phase); -1 is none."""
    if not isinstance(vector, list) or len(vector) != _LENGTH:
        raise unexpected(path, key, vector, f"vectors of {_LENGTH} numbers")
    return whole(vector[_TRIPLET], path, key), whole(vector[_PHASE], path, key)


def _names(content: dict, task: str, path: Path) -> dict[int, str]:
    """Names of a task's classes by number; ``categories`` is an object, or a list of objects."""
    categories = content.get("categories")
    parts = categories if isinstance(categories, list) else [categories]
    table = next((part[task] for part in parts if isinstance(part, dict) and task in part), None)
    table = need(table, path, f"categories.{task}", dict, "class number -> name")
    return {whole(key, path, f"categories.{task}"): str(name) for key, name in table.items()}


def _name(names: dict[int, str], place: int, path: Path, task: str) -> str:
    if place not in names:
        raise unexpected(path, f"categories.{task}", sorted(names), f"a name for class {place}")
    return names[place]


SOURCE = Source("CholecT50", read, (120, 300, 900), 1, ("tag", "nap", "dvc", "vs"))
