# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""AVOS: open surgery from the web; actions in segments of five seconds, boxes on single frames.

A dropped segment is a hole: there nothing is known, not even that it is background.
"""

from collections import defaultdict
from collections.abc import Iterator
from itertools import chain, pairwise
from pathlib import Path

from data_preprocess.build.annotated import AnnotatedVideo, Frames, Run, Settings, Source, merged
from data_preprocess.build.extract import probe
from data_preprocess.build.published import (
    need,
    number,
    numbered_pictures,
    objects,
    one_file,
    read_json,
    read_table,
    shares,
    unexpected,
    whole,
)
from data_preprocess.common.find_files import find
from data_preprocess.media.frames import FrameError, FrameStore
from data_preprocess.video.region_box import has_area

RATE = 15
LABELS = ("cutting", "tying", "suturing")
_COLUMNS = ("video_id", "start_seconds", "end_seconds", "labeler_1", "labeler_2", "labeler_3")
_SIDES = ("left", "top", "width", "height")


def read(root: Path, settings: Settings) -> Iterator[AnnotatedVideo]:
    """Videos of which there are segments, and frames or a file."""
    actions = one_file(root, "*anns-5sec*.csv", "the segments of the lab's release")
    segments: dict[str, list[Run]] = defaultdict(list)
    for row in read_table(actions, _COLUMNS):
        second, third = row["labeler_2"].strip(), row["labeler_3"].strip()
        if not second or third not in ("", second):
            settings.note("AVOS segments on which the labelers do not agree")
            continue
        if second not in (*LABELS, "background"):
            raise unexpected(actions, "labeler_2", second, f"one of {', '.join(LABELS)}, background")
        span = (int(number(row[key], actions, key)) for key in ("start_seconds", "end_seconds"))
        segments[row["video_id"]].append(Run(*span, second))
    labelled = _labelled_frames(root)
    folders = {path.name: path for name in ("images-fps_15", "frames_15fps") for top in find(root, name)
               for path in top.iterdir()}  # fmt: skip
    files = {path.stem: path for path in find(root, "*.mp4")}
    for video in sorted(segments):
        runs = merged(sorted(segments[video]))
        pictures = numbered_pictures(folders[video]) if video in folders else {}
        if pictures:
            numbers = sorted(pictures)
            step = min((after - before for before, after in pairwise(numbers)), default=1)
            frames = Frames(numbers, RATE, step=step, paths=pictures)
            settings.note("AVOS segments without a picture", _unseen(segments[video], pictures))
            try:
                height, width = FrameStore("/").size(next(iter(pictures.values())))
            except FrameError as error:
                settings.note(f"left out, with all of its video: {error}")
                continue
        elif video in files:
            frames = Frames(range(int(max(run.end for run in runs) * RATE) + 1), RATE, video=files[video])
            height, width = (0, 0) if settings.skip_frames else probe(files[video], settings.note)[1:]
            settings.note("AVOS videos without boxes: --skip-frames leaves their size unknown", settings.skip_frames)
        else:
            settings.note("AVOS videos without frames or file")
            continue
        boxes = _boxes(labelled.get(video, []), height, width, settings) if height else {}
        yield AnnotatedVideo(
            video,
            frames,
            "an open surgical procedure",
            runs,
            LABELS,
            "background",
            [(run.start, run.end) for run in merged([run._replace(label="") for run in runs])],
            boxes,
        )


def _unseen(segments: list[Run], pictures: dict[int, str]) -> int:
    """Segments of which no frame is there: the folder is not unpacked whole."""
    return sum(
        not any(place in pictures for place in range(int(run.start) * RATE, int(run.end) * RATE)) for run in segments
    )


def _labelled_frames(root: Path) -> dict[str, list[tuple[int, str, list[float]]]]:
    """Of each video (frame number, object, left/top/width/height as fractions)."""
    found = defaultdict(list)
    for path in find(root, "*annotator*export*.json"):
        content = read_json(path, dict, "an object of exports")
        parts = {"": content} if "data" in content else {key: part for key, part in content.items() if key != "index"}
        parts = {key: need(part, path, key, dict, "an object with data") for key, part in parts.items()}
        for item in (item for key, part in parts.items() for item in objects(part.get("data"), path, f"{key}.data")):
            if item.get("object_type") != "image":
                continue
            name = need(item.get("name"), path, "name", str, "the image's file name")
            video = need(item.get("video_id"), path, f"video_id of {name}", str, "a YouTube id")
            place = whole(Path(name).stem.rsplit("-", 1)[-1], path, f"name {name}")
            labels = (objects(item.get(key) or [], path, f"{key} of {name}") for key in ("tool_labels", "hand_labels"))
            for label in chain.from_iterable(labels):
                key = f"bounding_box_position of {name}"
                position = need(label.get("bounding_box_position"), path, key, dict, ", ".join(_SIDES))
                box = shares([position.get(side) for side in _SIDES], path, key)
                what = label.get("category") or f"{label.get('chirality') or ''} hand".strip()
                found[video].append((place, str(what).lower(), box))
    return found


def _boxes(
    labels: list[tuple[int, str, list[float]]], height: int, width: int, settings: Settings
) -> dict[str, dict[int, list[float]]]:
    """In pixels within the frame, where a frame has one object of the name."""
    boxes: dict[str, dict[int, list[float]]] = defaultdict(dict)
    counts: dict[tuple[int, str], int] = defaultdict(int)
    for place, name, (left, top, wide, high) in labels:
        counts[place, name] += 1
        sides = (left * width, top * height, (left + wide) * width, (top + high) * height)
        box = [int(min(max(side, 0), most) + 1e-6) for side, most in zip(sides, (width, height) * 2, strict=True)]
        settings.note("AVOS boxes without area in the frame", not has_area(box))
        if has_area(box):
            boxes[name][place] = box
    for (place, name), count in counts.items():
        if count > 1:
            boxes[name].pop(place, None)
    return boxes


SOURCE = Source("AVOS", read, (60, 180, 600), RATE, ("tag", "nap", "stg", "vs"))
