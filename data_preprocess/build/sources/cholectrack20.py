# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""CholecTrack20: boxes and tracks of the tools in twenty cholecystectomies, at one frame a second.

Seconds without tools are absent, so clips end at gaps. Numbers are 1-based at 25 per second.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

from data_preprocess.build.annotated import AnnotatedVideo, Frames, Run, Settings, Source, runs_of
from data_preprocess.build.published import (
    found_files,
    need,
    numbered_pictures,
    objects,
    read_json,
    shares,
    unexpected,
    whole,
)
from data_preprocess.common.find_files import find

RATE = STEP = 25
#: Publishers' order; a third party has another one. Settings.labels overrides it: {"0": "preparation", ...}.
PHASES = ("preparation", "calot triangle dissection", "clipping and cutting", "gallbladder dissection", "packaging",
          "cleaning and coagulation", "retraction")  # fmt: skip
OPERATORS = {1: "the main surgeon's left hand", 2: "the assistant's right hand", 3: "the main surgeon's right hand"}
#: The publishers ask to leave them out: VID31.json belongs to the frames of VID30.
MISLABELLED = (30, 31)


def read(root: Path, settings: Settings) -> Iterator[AnnotatedVideo]:
    """One video for each JSON file that has frames or a video."""
    phases = dict(enumerate(PHASES))
    if settings.labels:
        table = read_json(settings.labels, dict, "phase number -> name")
        phases = {whole(key, settings.labels, "phase number"): str(name) for key, name in table.items()}
    for path in found_files(root, "[vV][iI][dD]*.json", "VID01/VID01.json and so on"):
        number = whole(path.stem[3:], path, "file name")
        if number in MISLABELLED:
            settings.note("CholecTrack20 videos with labels of another one (VID30, VID31)")
            continue
        content = read_json(path, dict, "an object")
        annotations = need(content.get("annotations"), path, "annotations", dict, "frame -> instances")
        info, categories = (need(content.get(key), path, key, dict, "an object") for key in ("video", "categories"))
        size = [whole(info.get(key), path, f"video.{key}") for key in ("width", "height")]
        entries, key = objects(categories.get("tools"), path, "categories.tools"), "categories.tools"
        tools = {whole(tool.get("id"), path, f"{key}.id"): need(tool.get("name"), path, f"{key}.name", str, "a name")
                 for tool in entries}  # fmt: skip
        pictures = numbered_pictures(path.parent / "Frames") or numbered_pictures(path.parent / "frames")
        numbers = sorted(whole(key, path, "annotations") for key in annotations)
        videos = find(path.parent, "*.mp4")
        if not pictures and not videos:
            settings.note("CholecTrack20 videos without frames or file")
            continue
        if pictures:
            there = [each for each in numbers if each in pictures]
            settings.note("CholecTrack20 annotated frames without a picture", len(numbers) - len(there))
            numbers = there
        frames = Frames(numbers, RATE, 1, STEP, pictures or None, None if pictures else videos[0])
        boxes: dict[str, dict[int, list[float]]] = defaultdict(dict)
        tracks: dict[str, dict[int, int]] = defaultdict(dict)
        labels = []
        for each in numbers:
            instances = objects(annotations[str(each)], path, f"annotations.{each}")
            for name, instance in _named(instances, tools, path, each):
                if box := _pixels(instance, size, path, each):
                    boxes[name][each] = box
                    tracks[name][each] = instance.get("visibility_track", -1)
                else:
                    settings.note("CholecTrack20 boxes without area in the frame")
            if instances and instances[0].get("phase") is not None:
                if (phase := whole(instances[0]["phase"], path, f"annotations.{each}.phase")) not in phases:
                    raise unexpected(path, f"annotations.{each}.phase", phase, f"one of {sorted(phases)}")
                labels.append((each, phases[phase]))
        # Phases tell the author of a caption where the operation stands; questions are asked about boxes alone.
        facts: list[Run] = [run._replace(label=f"phase: {run.label}") for run in runs_of(labels, frames)]
        yield AnnotatedVideo(
            path.stem.upper(), frames, "laparoscopic cholecystectomy", boxes=boxes, tracks=tracks, facts=facts,
            split_group=f"cholec/{number}",
        )  # fmt: skip


def _named(instances: list[dict], tools: dict, path: Path, number: int) -> Iterator[tuple[str, dict]]:
    """(object, instance) where the name means one of them: the tool, or the tool and whose hand holds it."""
    keys = ("instrument", "operator")
    pairs = [tuple(whole(one.get(key), path, f"annotations.{number}.{key}") for key in keys) for one in instances]
    kinds, held = Counter(tool for tool, _ in pairs), Counter(pairs)
    for instance, (tool, hand) in zip(instances, pairs, strict=True):
        if tool not in tools:
            raise unexpected(path, f"annotations.{number}.instrument", tool, f"one of {sorted(tools)}")
        if kinds[tool] == 1:
            yield tools[tool], instance
        elif held[tool, hand] == 1 and hand in OPERATORS:
            yield f"{tools[tool]} in {OPERATORS[hand]}", instance


def _pixels(instance: dict, size: list[int], path: Path, number: int) -> list[float]:
    """[x1, y1, x2, y2] within the frame; on disk it is x, y, w, h as shares of the frame."""
    key = f"annotations.{number}.tool_bbox"
    x, y, w, h = shares(instance.get("tool_bbox"), path, key)
    width, height = size
    box = [max(0, x) * width, max(0, y) * height, min(1, x + w) * width, min(1, y + h) * height]
    return [round(side, 1) for side in box] if box[0] < box[2] and box[1] < box[3] else []


SOURCE = Source("CholecTrack20", read, (30, 90, 180), STEP, ("stg", "rc", "vs"))
