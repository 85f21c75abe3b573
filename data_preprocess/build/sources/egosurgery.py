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
    need,
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
    boxes = _boxes(root)
    for path in found_files(root, "[0-9]*_[0-9]*.csv", "phases as 01_1.csv with the columns Frame,Phase"):
        session = path.stem
        phases = {}
        for row in read_table(path, ("Frame", "Phase")):
            found = _NAME.match(row["Frame"])
            if not found or f"{found[1]}_{found[2]}" != session:
                raise unexpected(path, "Frame", row["Frame"], f"{session}_ and the frame's number")
            phases[int(found[3])] = row["Phase"].strip().lower()
        if session not in pictures:
            settings.note("EgoSurgery sessions without images")
            continue
        frames = Frames(sorted(pictures[session]), RATE, 1, paths=pictures[session])
        labelled = sorted(phases.items())
        yield AnnotatedVideo(
            session,
            frames,
            "open surgery",
            runs_of(labelled, frames, CLOSED_GAP),
            PHASES,
            covered=[run[:2] for run in runs_of(((number, "") for number, _ in labelled), frames, CLOSED_GAP)],
            boxes=boxes.get(session, {}),
            # Sessions of a video show one patient.
            split_group=f"EgoSurgery/{session.split('_')[0]}",
        )


def _boxes(root: Path) -> dict[str, dict[str, dict[int, list[float]]]]:
    """Session -> object -> frame number -> corners, where a frame has one object of the name.

    Files of tools and of hands have ids of their own, and frame_id is no frame number: the join is by file name.
    """
    found: dict = defaultdict(lambda: defaultdict(dict))
    for path in find(root, "*.json"):
        content = read_json(path, dict, "COCO: images, annotations, categories")
        lists = {}
        for key in ("images", "annotations", "categories"):
            lists[key] = need(content.get(key), path, key, list, "a list, as COCO has")
        names = {entry.get("id"): str(entry.get("name")).lower() for entry in lists["categories"]}
        images = {entry.get("id"): Path(str(entry.get("file_name"))).stem for entry in lists["images"]}
        counts = Counter((entry.get("image_id"), entry.get("category_id")) for entry in lists["annotations"])
        for entry in lists["annotations"]:
            image, category = entry.get("image_id"), entry.get("category_id")
            if image not in images or category not in names:
                raise unexpected(path, f"annotation {entry.get('id')}", (image, category), "known image and category")
            if counts[image, category] > 1:
                continue
            if not (stem := _NAME.match(images[image])):
                raise unexpected(path, "images.file_name", images[image], "XX_Y_NNNN.jpg")
            x, y, w, h = corners(entry.get("bbox"), path, f"annotation {entry.get('id')}.bbox")
            name = _HANDS.get(names[category], names[category])
            if w > 0 and h > 0:
                box = [whole(side, path, "bbox") if side == int(side) else side for side in (x, y, x + w, y + h)]
                found[f"{stem[1]}_{stem[2]}"][name][int(stem[3])] = box
    return found


SOURCE = Source("EgoSurgery", read, (60, 180, 360), 1, ("tag", "nap", "stg", "rc", "vs"))
