# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Small drawn data sets in the formats in which the eight sources of MedVidBench are published, defects included.

All names, times and boxes are made up. ``WRITERS[source](root)`` writes one of them.
"""

import io
import json
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image


def pictures(folder: Path, names, size=(64, 48)) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for kind in {Path(name).suffix for name in names}:
        buffer = io.BytesIO()
        Image.new("RGB", size, (150, 80, 70)).save(buffer, "PNG" if kind == ".png" else "JPEG")
        for name in names:
            if name.endswith(kind):
                (folder / name).write_bytes(buffer.getvalue())


def video(path: Path, seconds: float, fps: float, size=(64, 48), code="mp4v") -> None:
    """Frame i has the grey value 4 * (whole seconds)."""
    import cv2

    path.parent.mkdir(parents=True, exist_ok=True)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*code), fps, size)
    for i in range(round(seconds * fps)):
        writer.write(np.full((size[1], size[0], 3), 4 * int(i / fps) % 256, np.uint8))
    writer.release()


def text(path: Path, content) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")


def workbook(path: Path, rows) -> None:
    """A workbook of one sheet; numbers as numbers, texts in the shared table, as Excel writes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shared: list[str] = []
    lines = []
    for number, row in enumerate(rows, 1):
        cells = ""
        for column, value in enumerate(row):
            if value == "":
                continue
            name = f"{chr(65 + column)}{number}"
            if isinstance(value, str):
                shared.append(value)
                cells += f'<c r="{name}" t="s"><v>{len(shared) - 1}</v></c>'
            else:
                cells += f'<c r="{name}"><v>{value}</v></c>'
        lines.append(f'<row r="{number}">{cells}</row>')
    space = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(
            "xl/worksheets/sheet1.xml", f"<worksheet {space}><sheetData>{''.join(lines)}</sheetData></worksheet>"
        )
        entries = "".join(f"<si><t>{entry.replace('&', '&amp;')}</t></si>" for entry in shared)
        archive.writestr("xl/sharedStrings.xml", f"<sst {space}>{entries}</sst>")


def avos(root: Path) -> None:
    rows = ["video_id,start_seconds,end_seconds,labeler_1,labeler_2,labeler_3"]
    for name in ("AbCdEfGhIjK", "-bCdEfGhIj_"):
        # Unsorted; the labelers of 60-65 disagree: a hole.
        for start in [*range(65, 100, 5), *range(0, 65, 5)]:
            label = "cutting" if start < 20 else "background" if start < 30 else "tying" if start < 60 else "suturing"
            third = "tying" if start == 60 else label if start % 2 else ""
            rows.append(f"{name},{start},{start + 5},{label},{label},{third}")
        rows.append(f"{name},100,105,cutting,,")
        pictures(root / "images-fps_15" / name, [f"{name}-{n:09d}.jpg" for n in range(0, 1500, 5)], (128, 72))
    text(root / "data/v0.5.0-anns-5sec.csv", "\n".join(rows) + "\n")
    box = {"left": "0.25", "top": "0.5", "width": "0.1", "height": "0.2"}
    image = {"object_type": "image", "id": 7, "name": "AbCdEfGhIjK-000000310.jpg", "video_id": "AbCdEfGhIjK"}
    image["tool_labels"] = [{"category": "forceps", "bounding_box_position": box}]
    image["hand_labels"] = [
        {"chirality": "left", "bounding_box_position": {"left": x, "top": 0.4, "width": 0.3, "height": 0.3}}
        for x in (0.1, 0.5)
    ]
    items = {"0": {"data": [{"object_type": "video", "id": 1, "quality": "good"}, image]}, "index": {}}
    text(root / "validated/marvl-surgery-annotator-validate-export.json", items)


def cholect50(root: Path) -> None:
    names = {"triplet": {"0": "grasper,retract,gallbladder", "94": "grasper,null_verb,null_target"}}
    phases = ("preparation", "carlot-triangle-dissection", "clipping-and-cutting", "gallbladder-dissection")
    names["phase"] = {str(k): name for k, name in enumerate(phases)}
    for number in (7, 12, 92):
        annotations = {}
        # Written in the order of texts: 0, 1, 10, 11, ... 2, 20.
        for k in sorted(range(150), key=str):
            phase = 0 if k < 40 else 1 if k < 90 else 2 if k < 110 else 1 if k < 130 else 3
            vectors = [[-1] * 14 + [phase]] if k % 7 == 0 else [[0, 0, 1, *[-1] * 4, 1, 0, 1, *[-1] * 4, phase]] * 2
            annotations[str(k)] = vectors
        annotations["3"] = []
        annotations["5"] = [[-1] * 15]
        annotations["60"].append([94, 0, 1, *[-1] * 4, 9, 14, 1, *[-1] * 4, 1])
        label = {"video": number, "fps": 1, "num_frames": 150, "annotations": annotations}
        label["categories"] = [names] if number == 7 else names
        text(root / f"labels/VID{number:02d}.json", label)
        pictures(root / f"videos/VID{number:02d}", [f"{k:06d}.png" for k in range(150)], (85, 48))


def cholec80_phases(root: Path, number: int, seconds: int, clipping: int) -> None:
    """Cholec80's file of a video, 25 frames a second: dissection, and clips from a second on."""
    names = ("CalotTriangleDissection", "ClippingCutting")
    rows = [f"{frame}\t{names[frame >= 25 * clipping]}" for frame in range(25 * seconds)]
    text(root / f"phase_annotations/video{number:02d}-phase.txt", "\n".join(["Frame\tPhase", *rows, ""]))


def cholect45(root: Path) -> None:
    """Videos 8 and 13 in the older layout; only of 8 there are Cholec80's phases."""
    names = ("grasper,retract,gallbladder", "hook,dissect,cystic_plate", "grasper,null_verb,null_target")
    text(root / "dict/triplet.txt", "".join(f"{k}:{name}\n" for k, name in enumerate(names)))
    for number in (8, 13):
        rows = [f"{k},1,{int(k >= 60)},{int(k % 2)}" for k in range(150)]
        text(root / f"triplet/VID{number:02d}.txt", "\n".join(rows) + "\n")
        text(root / f"instrument/VID{number:02d}.txt", "0,1,0,0,0,0,0\n")
        pictures(root / f"data/VID{number:02d}", [f"{k:06d}.png" for k in range(150)], (85, 48))
    cholec80_phases(root / "cholec80", 8, 150, 100)


def cholec80_cvs(root: Path) -> None:
    head = ["video", "critical_view", "Initial Minute", "initial_second", "final_minute", "final_second"]
    head += ["two_structures", "cystic_plate", "hepatocystic_triangle", "Total"]
    rows = [[12, 0, 0, 5, 0, 50, 2, 0, 1, 3], [7, 1, 0, 2, 0, 12, 2, 2, 2, 6], [12, 0, 0, 40, 0, 20, 1, 0, 0, 1]]
    rows += [[7, 0, 0, 15, 0, 45, 0, 0, 0, 0], [80, 0, 0, 1, 0, 9, 0, 0, 0, 0], [7, 0, 0, 40, 0, 50, 1, 1, 0, 2]]
    workbook(root / "cholec80-CVS.xlsx", [head, *rows])
    for number in (7, 12):
        video(root / f"videos/video{number:02d}.mp4", 52, 5)
    cholec80_phases(root, 7, 52, 38)


def cholectrack20(root: Path) -> None:
    tools = ("grasper", "bipolar", "hook", "scissors", "clipper", "irrigator", "specimen-bag")
    categories = {"tools": [{"id": k, "name": name} for k, name in enumerate(tools)]}
    for split, number in (("Training", 2), ("Training", 12), ("Validation", 30), ("Testing", 92)):
        name = f"VID{number:02d}" if number != 12 else "vid12"
        annotations = {}
        for second in (*range(0, 30), *range(33, 70)):  # seconds without a tool are absent
            key = second * 25 + 1
            one = {"instrument": 0, "tool_bbox": [0.10, -0.02, 0.30, 0.20], "operator": 1, "phase": int(second > 40),
                   "visibility_track": 1 + second // 50, "verb": -1, "triplet": -2}  # fmt: skip
            other = {**one, "tool_bbox": [0.5 + second / 400, 0.25, 0.2, 0.3], "operator": 2, "visibility_track": 7}
            hook = {**one, "instrument": 2, "tool_bbox": [0.4, 0.5, 0.25, 0.25], "operator": 3, "visibility_track": 9}
            annotations[str(key)] = [one, other] if second < 20 else [one, hook]
        info = {"name": name, "split": split, "height": 480, "width": 854, "num_frames": len(annotations)}
        text(root / split / f"VID{number:02d}" / f"{name}.json",
             {"info": {}, "video": info, "categories": categories, "annotations": annotations})  # fmt: skip
        if split == "Testing":
            video(root / split / f"VID{number:02d}" / f"VID{number:02d}.mp4", 72, 2, (854, 480))
        else:
            frames = [f"{int(key):06d}.png" for key in annotations]
            pictures(root / split / f"VID{number:02d}" / "Frames", frames, (854, 480))


def copesd(root: Path) -> None:
    entries = []
    for case, sized in (("123456", False), ("233029", True), ("234567", False)):
        for number in range(1, 61):
            first = [0.10, 0.20, 0.40, 0.77]
            knife = [0.60, -0.00, 0.35, 0.40] if sized else [0.60, 0.30, 0.95 - 0.001 * (number % 3), 0.77]
            if sized:
                first = [0.10, 0.20, 0.30, 0.57]
            boxes = ["[{:.2f}, {:.2f}, {:.2f}, {:.2f}]".format(*box) for box in (first, knife)]
            if number <= 25:
                ask, tell = "Dissect the tissue with Knife.", "Use Forceps{} and move Knife{} to the left."
            elif number <= 45:
                ask = "Use Forceps and Knife to handle the flap."
                tell = (
                    "Lift the flap with Forceps{} and Knife{}."
                    if number % 3
                    else "Grasp the edge with Forceps{}, Knife{}."
                )
            else:
                ask, tell = "Clean the camera lens.", "Adjust the view."
            turns = [{"from": "human", "value": ask}, {"from": "gpt", "value": tell.format(*boxes)}]
            image = f"D:/data/high_light_images/{case}/{number:04d}.jpg"
            entries.append({"conversations": turns, "image": image if number % 2 else image.replace("/", "\\")})
        pictures(root / f"high_light_images/{case}", [f"{n:04d}.jpg" for n in range(1, 61)], (1306, 1009))
    text(root / "smllm_train.json", entries[60:])
    text(root / "smllm_test.json", entries[:60])


def egosurgery(root: Path) -> None:
    tools = [{"id": 0, "name": "Bipolar Forceps"}, {"id": 9, "name": "Scalpel"}, {"id": 2, "name": "Forceps"}]
    hands = [{"id": k, "name": name} for k, name in enumerate(
        ("Own hands left", "Own hands right", "Other hands left", "Other hands right"), 1)]  # fmt: skip
    images, annotations, held = [], [], []
    for session in ("31_1", "31_2", "32_1"):
        lines = ["Frame,Phase"]
        for n in range(1, 61):
            # Frames 5 (a short gap) and 41-44 (a long one) carry no label.
            if n != 5 and not 41 <= n <= 44:
                phase = "design" if n < 20 else "incision" if n < 30 else "Dissection" if n < 41 else "closure"
                lines.append(f"{session}_{n:04d},{phase}")
            place = len(images)
            images.append({"id": place, "width": 1920, "height": 1080, "video_id": 1, "frame_id": 7 * place,
                           "file_name": f"val/{session[:2]}/{session}_{n:04d}.jpg"})  # fmt: skip
            if n > 8:
                annotations.append({"image_id": place, "category_id": 9, "bbox": [100 + n, 200, 50, 40]})
                held.append({"image_id": place, "category_id": 1, "bbox": [300, 400 + n, 200, 150]})
            annotations += [{"image_id": place, "category_id": 2, "bbox": [x, 10, 30, 30]} for x in (5, 500)]
        text(root / f"annotations/phase/{session}.csv", "\n".join(lines) + "\n")
        pictures(root / "images" / session[:2], [f"{session}_{n:04d}.jpg" for n in range(1, 61)], (640, 600))
    for name, entries, categories in (("tool/val", annotations, tools), ("hand/val", held, hands)):
        numbered = [{"id": k, **entry} for k, entry in enumerate(entries)]
        bare = [{**image, "file_name": Path(image["file_name"]).name} for image in images]
        content = {"images": bare if "hand" in name else images, "annotations": numbered, "categories": categories}
        text(root / f"annotations/coco_format/bbox/by_split/{name}.json", content)


def jigsaws(root: Path) -> None:
    folder = root / "Suturing/Suturing"
    lines = ["Suturing_B001\t\tN\t13\t\t2\t2\t2\t2\t2\t3", "Suturing_C001\t\tI\t19\t\t3\t4\t3\t3\t3\t3"]
    lines += ["Suturing_D002\t\tE\t30\t\t5\t5\t5\t5\t5\t5", ""]
    text(folder / "meta_file_Suturing.txt", "\n".join(lines))
    # H002 has no rating.
    for trial, size in (("B001", (64, 48)), ("C001", (32, 24)), ("H002", (64, 48))):
        text(folder / f"transcriptions/Suturing_{trial}.txt", "61 140 G1 \n141 700 G5 \n")
        for view in (1, 2):
            video(folder / f"video/Suturing_{trial}_capture{view}.avi", 25, 5, size, "MJPG")


def nurvid(root: Path) -> None:
    entry = {"resolution": "64x48", "fps": 10, "subset": None, "url": ""}
    segments = [(3, [40.25, 55.5]), (1, [2.5, 20]), (2, [24, 36.75]), (1, [58, 70]), (2, [30, 30])]
    videos = {}
    for name, operation, duration in (
        ("AbCdEfGhIj0", 1, 62),
        ("-bCdEfGhIj1", 1, 62),
        ("_bCdEfGhIj2", 2, 40),
        ("gone", 2, 9),
    ):
        annotations = [{"actionID": action, "segment": times} for action, times in segments]
        videos[name] = {**entry, "operationID": operation, "duration": duration, "annotations": annotations}
    text(root / "annotations/NurViD_annotations.json", videos)
    head = [["procedures"], ["ID", "Chinese", "English"]]
    actions = ("Handwashing", "Prepare medications", "Document")
    rows = [[k, "x", ("Perineal Care", "Subcutaneous Injection")[k] if k < 2 else "", "", "", "", k, "y", actions[k]]
            for k in range(3)]  # fmt: skip
    workbook(
        root / "annotations/Procedure&Action_ID.xlsx",
        [*head, *(["", "", "", *row[3:]] if row[0] > 1 else row for row in rows)],
    )
    for name in ("AbCdEfGhIj0", "-bCdEfGhIj1"):
        video(root / f"videos/{name}.mp4", 62, 4)
    video(root / "videos/_bCdEfGhIj2.mp4", 48, 4)  # re-timed: a fifth slower than its annotations


WRITERS = {
    "AVOS": avos, "CholecT50": cholect50, "Cholec80-CVS": cholec80_cvs, "CholecTrack20": cholectrack20,
    "CoPESD": copesd, "EgoSurgery": egosurgery, "JIGSAWS": jigsaws, "NurViD": nurvid,
}  # fmt: skip
