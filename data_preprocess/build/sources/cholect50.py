# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""CholecT50: phases and tool-action triplets of fifty cholecystectomies, one frame a second. Its boxes are empty."""

from collections.abc import Iterator
from pathlib import Path

from data_preprocess.build.annotated import AnnotatedVideo, Frames, Settings, Source, runs_of
from data_preprocess.build.published import found_files, need, numbered_pictures, read_json, unexpected, whole

_TRIPLET, _PHASE, _LENGTH = 0, 14, 15


def read(root: Path, settings: Settings) -> Iterator[AnnotatedVideo]:
    """One video for each label file that has a folder of frames."""
    for path in found_files(root, "VID*.json", "labels/VID01.json and so on"):
        content = read_json(path, dict, "an object")
        phases, triplets = (_names(content, task, path) for task in ("phase", "triplet"))
        annotations = need(content.get("annotations"), path, "annotations", dict, "frame -> instances")
        pictures = numbered_pictures(path.parents[1] / "videos" / path.stem)
        if not pictures:
            settings.note("CholecT50 videos without frames in videos/VIDnn")
            continue
        rate = float(need(content.get("fps"), path, "fps", (int, float), "frames per second"))
        frames = Frames(sorted(pictures), rate, paths=pictures)
        phase_of: list[tuple[int, str]] = []
        facts: list[tuple[int, str]] = []
        # Keys are texts: sorted as such, 10 would come before 2.
        for number in sorted(annotations, key=lambda key: whole(key, path, "annotations")):
            seen = {_phase(vector, path, number) for vector in annotations[number]} - {-1}
            if not seen:
                settings.note("CholecT50 frames without a phase")
                continue
            phase_of.append((int(number), _name(phases, min(seen), path, "phase")))
            acts = {int(vector[_TRIPLET]) for vector in annotations[number]} - {-1}
            done = [_name(triplets, act, path, "triplet") for act in sorted(acts)]
            facts += [(int(number), " ".join(act.split(",")).replace("_", " ")) for act in done if "null" not in act]
        number = whole(path.stem.removeprefix("VID"), path, "file name")
        yield AnnotatedVideo(
            path.stem,
            frames,
            "laparoscopic cholecystectomy",
            runs_of(phase_of, frames),
            tuple(phases[key] for key in sorted(phases)),
            covered=[run[:2] for run in runs_of(((each, "") for each, _ in phase_of), frames)],
            facts=sorted(run for act in {fact for _, fact in facts} for run in
                         runs_of((pair for pair in facts if pair[1] == act), frames, close=2)),
            split_group=f"cholec/{number}",
        )  # fmt: skip


def _phase(vector: object, path: Path, number: str) -> int:
    if not isinstance(vector, list) or len(vector) != _LENGTH:
        raise unexpected(path, f"annotations.{number}", vector, f"vectors of {_LENGTH} numbers")
    return int(vector[_PHASE])


def _names(content: dict, task: str, path: Path) -> dict[int, str]:
    """Names of a task's classes by number; ``categories`` is an object, or a list of objects."""
    categories = content.get("categories")
    parts = categories if isinstance(categories, list) else [categories]
    table = next((part[task] for part in parts if isinstance(part, dict) and task in part), None)
    table = need(table, path, f"categories.{task}", dict, "class number -> name")
    return {whole(key, path, f"categories.{task}"): str(name) for key, name in table.items()}


def _name(names: dict[int, str], number: int, path: Path, task: str) -> str:
    if number not in names:
        raise unexpected(path, f"categories.{task}", sorted(names), f"a name for class {number}")
    return names[number]


SOURCE = Source("CholecT50", read, (120, 300, 900), 1, ("tag", "nap", "dvc", "vs"))
