# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""A small drawn world in MedVidBench's own format: frame folders and one JSON file.

    python -m data_preprocess.synthetic --out DIR

``data_preprocess.medvidbench --frames-root DIR/frames`` reads it like real data. The same seed gives the same bytes.
"""

import argparse
import json
import zlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from data_preprocess.common.atomic_file import write_whole
from data_preprocess.common.cli_types import at_least
from data_preprocess.common.run_summary import run_to_status
from data_preprocess.media.frames import OFFICIAL_PREFIX
from data_preprocess.synthetic.records import AUTHORS, QA_TYPES, build_record, twin_of
from data_preprocess.synthetic.scene import render, sample_scene
from data_preprocess.synthetic.world import SOURCES, VOCABULARY, Source

JSON_NAME = "medvidbench_synthetic.json"
CLIPS_PER_VIDEO = 3
# Gap between the clips of one source video, in seconds.
_PAUSE = 20


def generate(
    out: Path,
    *,
    seed: int = 0,
    clips_per_source: int = 60,
    sources: Sequence[str] | None = None,
    twins: bool = False,
    progress: bool = True,
) -> Path:
    """Draw the world: ``out/frames/<source>/<video>/<number>.jpg`` (112 x 56 pixels) and ``out/<JSON_NAME>``.

    Args:
        clips_per_source: scales everything; 60 gives about 900 records, 1 the smallest world that holds every pair of
            source and task.
        sources: names of those to draw; None: all. A source's clips are the same either way.
        twins: add the twin of every TAG record, see :func:`data_preprocess.synthetic.records.twin_of`.
    """
    out = Path(out)
    records = []
    drawn = [source for source in SOURCES if sources is None or source.name in sources]
    with tqdm(total=clips_per_source * len(drawn), desc="drawing", unit="clip", disable=not progress) as bar:
        for source in drawn:
            records += _source_records(out, source, seed, clips_per_source, bar)
    if twins:
        records += [twin_of(record) for record in records if record["qa_type"] == QA_TYPES["tag"]]
    order = np.random.default_rng(seed).permutation(len(records))
    path = out / JSON_NAME
    lines = ",\n".join(json.dumps(records[k]) for k in order)
    write_whole(path, f"[\n{lines}\n]\n")
    return path


def _source_records(out: Path, source: Source, seed: int, clips: int, bar: tqdm) -> list[dict]:
    name = zlib.crc32(source.name.encode())
    records: list[dict] = []
    # The two caption authors take turns, and a task's sources begin with different ones.
    before = SOURCES[: SOURCES.index(source)]
    turn = Counter({task: sum(task in other.records for other in before) for task in source.records})
    # Which clips a task asks about: a share of them, spread over all videos.
    asked: dict[str, set[int]] = {}
    for place, (task, share) in enumerate(source.records.items()):
        order = np.random.default_rng((seed, name, place)).permutation(clips)
        asked[task] = set(order[: max(1, round(share * clips))].tolist())
    start = 0.0
    for clip in range(clips):
        # A generator of its own for each clip: changing how many there are leaves the others as they were.
        rng = np.random.default_rng((seed, name, clip, 1))
        scene = sample_scene(source, rng)
        video, start = f"{source.name.lower()}_{clip // CLIPS_PER_VIDEO:03d}", start if clip % CLIPS_PER_VIDEO else 0.0
        seconds = [start + frame / scene.fps for frame in range(scene.num_frames)]
        numbers = [round(second * VOCABULARY[source.name].frame_rate) for second in seconds]
        start += scene.num_frames / scene.fps + _PAUSE
        folder = out / "frames" / source.name / video
        folder.mkdir(parents=True, exist_ok=True)
        names = [f"{number:06d}.jpg" for number in numbers]
        for file_name, picture in zip(names, render(scene, rng), strict=True):
            picture.save(folder / file_name, quality=90)
        paths = [f"{OFFICIAL_PREFIX}{source.name}/{video}/{file_name}" for file_name in names]
        for place, task in enumerate(source.records):
            if clip in asked[task]:
                author = AUTHORS[turn[task] % len(AUTHORS)]
                turn[task] += 1
                own = np.random.default_rng((seed, name, clip, 2, place))
                records.append(build_record(scene, task, author, own, video, paths, numbers))
        bar.update()
    return records


def main(argv: Sequence[str] | None = None) -> int:
    cli = argparse.ArgumentParser(prog="python -m data_preprocess.synthetic", description=__doc__.split("\n")[0])
    cli.add_argument("--out", type=Path, required=True, help="folder for the frames and the JSON file")
    cli.add_argument("--seed", type=at_least(0), default=0, help="(%(default)s)")
    cli.add_argument(
        "--clips-per-source", type=at_least(1), default=60, help="scales the world (%(default)s: 900 records)"
    )
    names = [source.name for source in SOURCES]
    cli.add_argument("--sources", nargs="+", choices=names, help="draw these alone (default: all)")
    cli.add_argument("--twins", action="store_true", help="every TAG question once more, under another name of its "
                     "source, with times that count back from the last frame")  # fmt: skip
    arguments = cli.parse_args(argv)
    return run_to_status(lambda: print(generate(**vars(arguments))), arguments.out)
