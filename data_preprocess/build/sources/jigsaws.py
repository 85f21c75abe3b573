# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""JIGSAWS: bench-top exercises with a surgical robot, six aspects of skill rated for each trial, two views of each."""

from collections.abc import Iterator
from pathlib import Path

from data_preprocess.build.annotated import AnnotatedVideo, Frames, Rating, Run, Settings, Source
from data_preprocess.build.extract import probe
from data_preprocess.build.published import found_files, read_lines, unexpected, whole
from data_preprocess.common.find_files import find

RATE = 30
ASPECTS = ("Respect for tissue", "Suture/needle handling", "Time and motion", "Flow of operation",
           "Overall performance", "Quality of final product")  # fmt: skip


def read(root: Path, settings: Settings) -> Iterator[AnnotatedVideo]:
    """One video for each view of a rated trial."""
    files = {path.stem: path for path in find(root, "*_capture[12].avi")}
    transcripts = {path.stem: path for path in find(root, "*.txt") if path.parent.name == "transcriptions"}
    for path in found_files(root, "meta_file_*.txt", "meta_file_Suturing.txt and so on"):
        for line in read_lines(path):
            # Tabs are doubled after the name and after the total.
            fields = line.split()
            if not fields:
                continue
            if len(fields) != 9 or "_" not in fields[0] or fields[1] not in ("N", "I", "E"):
                raise unexpected(path, "line", line, "trial (Suturing_B001), level N/I/E, total and six scores")
            trial, level = fields[:2]
            total, *scores = (whole(value, path, trial) for value in fields[2:])
            if sum(scores) != total or not all(1 <= score <= 5 for score in scores):
                raise unexpected(path, trial, scores, f"six scores of 1 to 5 that add up to {total}")
            rated = dict(zip(ASPECTS, scores, strict=True))
            answer = ", ".join(f"{aspect}: {score}/5" for aspect, score in rated.items())
            task, subject = trial.rsplit("_", 1)
            gestures = _gestures(transcripts.get(trial))
            for view in (f"{trial}_capture{number}" for number in (1, 2)):
                if view not in files:
                    settings.note("JIGSAWS views without a video")
                    continue
                unopened = settings.skip_frames and gestures
                seconds = gestures[-1].end if unopened else probe(files[view], settings.note).seconds
                if seconds:
                    truth = {"skill_level": level, "skill_scores": rated}
                    yield AnnotatedVideo(
                        view,
                        Frames(range(int(seconds * RATE)), RATE, video=files[view]),
                        task.replace("_", " ").lower(),
                        ratings=[Rating(0, seconds, "sa", answer, truth, ASPECTS)],
                        # Eight surgeons: one must not be seen on both sides.
                        split_group=f"JIGSAWS/{subject[0]}",
                    )


def _gestures(path: Path | None) -> list[Run]:
    """``61 140 G1 ``: frames from 1, the last one included."""
    runs = []
    for line in read_lines(path) if path else ():
        fields = line.split()
        if len(fields) != 3:
            raise unexpected(path, "line", line, "first frame, last frame, gesture")
        first, last = (whole(value, path, "frame") for value in fields[:2])
        runs.append(Run((first - 1) / RATE, last / RATE, fields[2]))
    return runs


SOURCE = Source("JIGSAWS", read, (), RATE, ("sa",))
