# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""EgoSurgery: open surgery from the surgeon's head; phases (CSV), tools and hands (COCO), at 0.5 frames a second.

Only labelled frames are listed in the CSV, so phases have gaps; a run passes over short ones, clips end at the others.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

from data_preprocess.build.annotated import AnnotatedVideo, Frames, Settings, Source, runs_of
from data_preprocess.build.published import (
    PICTURES,
    corners,
    found_files,
    objects,
    read_json,
    read_table,
    unexpected,
    whole,
)
from data_preprocess.common.find_files import find

RATE = 0.5
PHASES = ("disinfection", "design", "anesthesia", "incision", "dissection", "hemostasis", "irrigation", "closure",
          "dressing")  # fmt: skip
#: Missing frames (of two seconds each) that a run of one phase passes over.
CLOSED_GAP = 2
_NAME = re.compile(r"(\d+)_(\d+)_(\d+)$")
_HANDS = {f"{who} hands {side}": f"{whose}{side} hand" for who, whose in (("own", "surgeon's "), ("other", "other "
          "person's ")) for side in ("left", "right")}  # fmt: skip


def read(root: Path, settings: Settings) -> Iterator[AnnotatedVideo]:
    """One video for each session that has a CSV of phases and images."""
    pictures: dict[str, dict[int, str]] = defaultdict(dict)
    for path in (path for kind in PICTURES for path in find(root, f"*_*_*{kind}")):
        if found := _NAME.match(path.stem):
            pictures[f"{found[1]}_{found[2]}"][int(found[3])] = str(path.absolute())
    boxes = _boxes(root, settings)
    files = found_files(root, "[0-9]*_[0-9]*.csv", "phases as 01_1.csv with the columns Frame,Phase")
    phases = {path.stem: _phases(path) for path in files}
    # The published nine, and what the files call otherwise: an answer must be among the labels that are asked about.
    labels = tuple(dict.fromkeys([*PHASES, *sorted({label for own in phases.values() for _, label in own})]))
    for session, labelled in phases.items():
        if session not in pictures:
            settings.note("EgoSurgery sessions without images")
            continue
        unseen = sum(number not in pictures[session] for number, _ in labelled)
        settings.note("EgoSurgery annotated frames without a picture", unseen)
        frames = Frames(sorted(pictures[session]), RATE, 1, paths=pictures[session])
        yield AnnotatedVideo(
            session,
            frames,
            "open surgery",
            runs_of(labelled, frames, CLOSED_GAP),
            labels,
            covered=[run[:2] for run in runs_of(((number, "") for number, _ in labelled), frames, CLOSED_GAP)],
            boxes=boxes.get(session, {}),
            # Sessions of a video show one patient.
            split_group=f"EgoSurgery/{session.split('_')[0]}",
        )


def _phases(path: Path) -> list[tuple[int, str]]:
    found = {}
    for row in read_table(path, ("Frame", "Phase")):
        name = _NAME.match(row["Frame"])
        if not name or f"{name[1]}_{name[2]}" != path.stem:
            raise unexpected(path, "Frame", row["Frame"], f"{path.stem}_ and the frame's number")
        found[int(name[3])] = row["Phase"].strip().lower()
    return sorted(found.items())


def _boxes(root: Path, settings: Settings) -> dict[str, dict[str, dict[int, list[float]]]]:
    """Session -> object -> frame number -> corners, where a frame has one object of the name.

    Files of tools and of hands have ids of their own, and frame_id is no frame number: the join is by file name.
    """
    found: dict = defaultdict(lambda: defaultdict(dict))
    for path in find(root, "*.json"):
        content = read_json(path, dict, "COCO: images, annotations, categories")
        lists = {key: objects(content.get(key), path, key) for key in ("images", "annotations", "categories")}
        names = {_id(entry, "id", path): str(entry.get("name")).lower() for entry in lists["categories"]}
        images = {_id(entry, "id", path): Path(str(entry.get("file_name"))).stem for entry in lists["images"]}
        pairs = [(_id(entry, "image_id", path), _id(entry, "category_id", path)) for entry in lists["annotations"]]
        counts = Counter(pairs)
        for entry, (image, category) in zip(lists["annotations"], pairs, strict=True):
            if image not in images or category not in names:
                raise unexpected(path, f"annotation {entry.get('id')}", (image, category), "known image and category")
            if counts[image, category] > 1:
                continue
            if not (stem := _NAME.match(images[image])):
                raise unexpected(path, "images.file_name", images[image], "XX_Y_NNNN.jpg")
            x, y, w, h = corners(entry.get("bbox"), path, f"annotation {entry.get('id')}.bbox")
            name = _HANDS.get(names[category], names[category])
            settings.note("EgoSurgery boxes without area", w <= 0 or h <= 0)
            if w > 0 and h > 0:
                box = [whole(side, path, "bbox") if side == int(side) else side for side in (x, y, x + w, y + h)]
                found[f"{stem[1]}_{stem[2]}"][name][int(stem[3])] = box
    return found


def _id(entry: dict, key: str, path: Path) -> int:
    return whole(entry.get(key), path, f"{key} of {str(entry)[:60]}")


SOURCE = Source("EgoSurgery", read, (60, 180, 360), 1, ("tag", "nap", "stg", "rc", "vs"))
