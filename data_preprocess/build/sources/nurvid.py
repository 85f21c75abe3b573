# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""NurViD: nursing procedures from the web, actions in segments of seconds.

Videos that the publishers' preprocess_videos.py re-timed do not fit the annotations and are refused by their length.
"""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from data_preprocess.build.annotated import AnnotatedVideo, Frames, Run, Settings, Source
from data_preprocess.build.published import need, number, objects, one_file, read_json, read_sheet, unexpected, whole
from data_preprocess.common.find_files import find

RATE = 2


def read(root: Path, settings: Settings) -> Iterator[AnnotatedVideo]:
    """Videos of which the file is there; many have left the web."""
    path = one_file(root, "NurViD_annotations.json", "the annotations of the repository")
    book = one_file(root, "*Action_ID.xlsx", "the names of procedures and actions")
    procedures, actions = _names(book)
    files = {file.stem: file for file in find(root, "*.mp4")}
    videos: dict[str, tuple[str, float, list[Run]]] = {}
    allowed: dict[str, set[str]] = defaultdict(set)
    for video, entry in read_json(path, dict, "YouTube id -> video").items():
        entry = need(entry, path, video, dict, "an object")
        procedure = _name(procedures, entry.get("operationID"), path, f"{video}.operationID")
        duration = number(entry.get("duration"), path, f"{video}.duration", "seconds")
        runs = []
        for place, segment in enumerate(objects(entry.get("annotations"), path, f"{video}.annotations")):
            key = f"{video}.annotations[{place}]"
            times = need(segment.get("segment"), path, f"{key}.segment", list, "[start, end] in seconds")
            if len(times) != 2:
                raise unexpected(path, f"{key}.segment", times, "[start, end] in seconds")
            start, end = (number(time, path, f"{key}.segment", "[start, end] in seconds") for time in times)
            label = _name(actions, segment.get("actionID"), path, f"{key}.actionID")
            allowed[procedure].add(label)
            settings.note("NurViD segments that end after their video", end > duration)
            settings.note("NurViD segments that last no time within their video", start >= min(end, duration))
            if start < min(end, duration):
                runs.append(Run(start, min(end, duration), label))
        videos[video] = procedure, duration, sorted(runs)
    for video, (procedure, duration, runs) in sorted(videos.items()):
        if video not in files:
            settings.note("NurViD videos without a file")
            continue
        frames = Frames(range(int(duration * RATE)), RATE, video=files[video], seconds=duration)
        yield AnnotatedVideo(video, frames, procedure, runs, tuple(sorted(allowed[procedure])))


def _names(book: Path) -> tuple[dict[int, str], dict[int, str]]:
    """Names by the number that the JSON file uses, which is the workbook's plus one."""
    tables: tuple[dict[int, str], dict[int, str]] = {}, {}
    for line, row in enumerate(read_sheet(book), 1):
        cells = row + [""] * 10
        # A-E hold procedures, G-J actions: number, Chinese name, English name.
        for table, column in zip(tables, (0, 6), strict=True):
            if line > 2 and cells[column]:
                name = cells[column + 2].strip()
                table[whole(cells[column], book, f"row {line}") + 1] = need(name or None, book, f"row {line}", str,
                                                                            "an English name")  # fmt: skip
    if not all(tables):
        raise unexpected(book, "rows", None, "numbers in column A (procedures) and G (actions) from row 3 on")
    return tables


def _name(names: dict[int, str], value: object, path: Path, key: str) -> str:
    place = whole(value, path, key)
    if place not in names:
        raise unexpected(path, key, place, f"a number from {min(names)} to {max(names)}")
    return names[place]


SOURCE = Source("NurViD", read, (30, 90, 300), 1, ("tag", "nap", "dvc", "vs"), "input_video_{}_time")
