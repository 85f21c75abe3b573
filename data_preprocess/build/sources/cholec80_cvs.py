# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Cholec80-CVS: stretches of the Cholec80 videos, scored for the critical view of safety (a workbook, or its CSV).

A critical view is one before the clips are set. Where Cholec80's phases are there, stretches end at the first clip.
"""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from data_preprocess.build.annotated import AnnotatedVideo, Frames, Rating, Settings, Source
from data_preprocess.build.published import found_files, named_rows, only, read_sheet, read_table, unexpected, whole
from data_preprocess.build.sources.cholec80 import RATE, phase_files, phases
from data_preprocess.common.find_files import find

CRITERIA = ("two_structures", "cystic_plate", "hepatocystic_triangle")
_TIMES = ("initial_minute", "initial_second", "final_minute", "final_second")


def read(root: Path, settings: Settings) -> Iterator[AnnotatedVideo]:
    """Videos that have scored rows and a file."""
    books = {*find(root, "*annotations*.xlsx"), *find(root, "*CVS*.xlsx"), *find(root, "*CVS*.csv")}
    path = only(sorted(books) or found_files(root, "*CVS*.xlsx", "the workbook of scores"))
    columns = ("video", *_TIMES, *CRITERIA)
    rows = read_table(path, columns) if path.suffix == ".csv" else named_rows(read_sheet(path), path, columns)
    ratings: dict[int, list[Rating]] = defaultdict(list)
    for line, row in enumerate(rows, 2):
        video, *times = (whole(row[key], path, f"row {line}, {key}") for key in ("video", *_TIMES))
        scores = {name: whole(row[name], path, f"row {line}, {name}") for name in CRITERIA}
        if bad := next((name for name, score in scores.items() if score not in (0, 1, 2)), None):
            raise unexpected(path, f"row {line}, {bad}", scores[bad], "0, 1 or 2")
        start, end = 60 * times[0] + times[1], 60 * times[2] + times[3]
        if end <= start:
            settings.note("Cholec80-CVS rows that do not end after they start")
            continue
        answer = ", ".join(f"{name.replace('_', ' ').capitalize()}: {score}" for name, score in scores.items())
        ratings[video].append(Rating(start, end, "cvs", answer, {"cvs_scores": scores}))
    files = {file.stem: file for file in find(root, "video*.mp4")}
    phases_of = phase_files(root)
    for video, own in sorted(ratings.items()):
        name = f"video{video:02d}"
        if name not in files:
            settings.note("Cholec80-CVS videos without a file")
            continue
        if video in phases_of:
            own = _before_clipping(own, phases(phases_of[video]), settings)
        frames = Frames(range(max((rating.end for rating in own), default=0) * RATE + 1), RATE, video=files[name])
        yield AnnotatedVideo(name, frames, "laparoscopic cholecystectomy", ratings=own, split_group=f"cholec/{video}")


def _before_clipping(ratings: list[Rating], phase_at: dict[int, str], settings: Settings) -> list[Rating]:
    last = min((second for second, phase in phase_at.items() if phase == "clipping-and-cutting"), default=10**6) - 1
    settings.note("Cholec80-CVS rows cut or left out at the first clip", sum(rating.end > last for rating in ratings))
    return [rating._replace(end=min(rating.end, last)) for rating in ratings if rating.start < last]


SOURCE = Source("Cholec80-CVS", read, (20, 40), RATE, ("cvs",), "{}_frame")
