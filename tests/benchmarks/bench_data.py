# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""MedVidBench JSON to Parquet at the size of the large-scale set, against Hugging Face datasets doing the same.

    python tests/benchmarks/bench_data.py [--records 531850 --share 0.04] [--folder DIR]

The generated file has the published numbers: records by source, frame rates, clip lengths (20 to 1,800 s, mostly below
400), 626 source videos. datasets reads a JSON array whole, so the comparison takes the first ``--share`` of the records
for both, in this run, with the same code for a row and two processes; ours then does all of them. Memory is the sum
over all processes of a command, looked at five times a second. Exit status 1 when a goal is missed.
"""

from __future__ import annotations

import argparse
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import orjson
import psutil
import pyarrow.parquet as pq

SECONDS, GIB = 60, 2.0
# Figure (b) of the project page; EgoSurgery and the others in thousands would do, the sum is scaled to --records.
SOURCES = {"JIGSAWS": 852, "Cholec80_CVS": 3765, "CholecT50": 6004, "AVOS": 57776, "CoPESD": 62454,
           "CholecTrack20": 81855, "NurViD": 95955, "EgoSurgery": 152752}  # fmt: skip
FPS = {"0.5": 633, "1.0": 220, "2.0": 75, "0.25": 58, "0.1": 8, "0.2": 4, "3.0": 5}
TASKS = {"JIGSAWS": ["skill_assessment"], "Cholec80_CVS": ["cvs_assessment"]}
OTHER_TASKS = ["tal"] * 26 + ["stg"] * 12 + ["dense_captioning_gpt", "dense_captioning_gemini"] * 12
OTHER_TASKS += ["next_action"] * 11 + ["video_summary_gpt", "video_summary_gemini"] * 5 + ["region_caption_gpt"] * 5
BOXES = {f"{2.0 * i}": [235.08, 261.2, 561.58, 1005.62] for i in range(5)}
TRUTH = {
    "tal": [{"action": "cutting", "spans": [{"start": 1.0, "end": 3.0}, {"start": 5.5, "end": 8.0}]}],
    "stg": [{"bbox_dict": BOXES, "start": 0.0, "end": 8.0}],
}
VIDEOS, RATE = 626, 2
SAME_WITH_DATASETS = """
import json, sys
import datasets
from data_preprocess.media.frames import FrameStore
from data_preprocess.schema import Clip, build_row
from data_preprocess.video.record import parse_record
from data_preprocess.video.region_box import region_copy
from pathlib import Path

def row(raw, index):
    record = parse_record({**raw, "video": list(raw["video"])})
    store = FrameStore("/frames")
    frames = [store.resolve(path) for path in record.frames]
    if record.region:
        position = record.frames.index(record.region[0])
        limits = dict(min_pixels=6272, max_pixels=37632)
        frames[position] = region_copy(frames[position], record.region[1], Path("/frames_rc"), **limits)
    clip = Clip(frames, record.fps, None, None, 6272, 37632, 90316800, None)
    names = ("source", "task", "qa_type", "question", "answer", "video_id", "struc_info", "metadata")
    values = {name: getattr(record, name) for name in names}
    return build_row(benchmark="medvidbench", index=index, split="train", clip=clip, record_id=record.id, **values)

if __name__ == "__main__":
    source, out, cache = sys.argv[1:]
    data = datasets.load_dataset("json", data_files=source, split="train", cache_dir=cache)
    data = data.map(row, with_indices=True, remove_columns=data.column_names, num_proc=2)
    data.to_parquet(out)
"""


def write_file(path: Path, records: int, seed: int = 0) -> int:
    """The generated JSON array; returns the number of frame paths in it."""
    draw = random.Random(seed)
    names = draw.choices(list(SOURCES), weights=SOURCES.values(), k=VIDEOS)
    names[: len(SOURCES)] = SOURCES
    videos = {source: [] for source in SOURCES}
    for number, source in enumerate(names):
        folder = f"/root/data/{source}/frames_{RATE}fps/video{number:03}"
        videos[source].append((f"video{number:03}", [f"{folder}/frame_{i:06}.jpg" for i in range(RATE * 3600)]))
    text = "the grasper holds the tissue while the hook dissects along its edge and a small vessel is clipped"
    frames = 0
    with path.open("wb") as file:
        for number in range(records):
            source = draw.choices(list(SOURCES), weights=SOURCES.values())[0]
            video, paths = draw.choice(videos[source])
            fps = draw.choices(list(FPS), weights=FPS.values())[0]
            seconds = min(1800, max(20, draw.lognormvariate(4.7, 0.8)))
            count = max(2, int(seconds * float(fps)))
            stride = max(1, int(RATE / float(fps)))
            first = draw.randrange(0, max(1, len(paths) - count * stride))
            clip = paths[first : first + count * stride : stride]
            qa_type = draw.choice(TASKS.get(source, OTHER_TASKS))
            region = qa_type.startswith("region")
            question = f"<video>\nYou are an expert in surgery. {text}. Question {number}: what?"
            record = {
                "id": f"{video}&&{first}&&{first + len(clip) * stride}&&{fps}",
                "conversations": [
                    {"from": "human", "value": question},
                    {"from": "gpt", "value": " ".join([text] * draw.randint(1, 4))},
                ],
                "video": clip,
                "sampled_video_frames": list(range(first, first + len(clip) * stride, stride)),
                "metadata": {"fps": fps, "video_id": video, "input_video_start_frame": str(first)},
                "qa_type": qa_type,
                "data_source": source,
                "struc_info": TRUTH.get(qa_type, []),
                "is_RC": region,
                "RC_info": {"start_frame": clip[0], "start_frame_bbox": [10, 10, 90, 90]} if region else None,
            }
            frames += len(clip)
            file.write((b"," if number else b"[") + b"\n" + orjson.dumps(record))
        file.write(b"\n]\n")
    return frames


def first_records(source: Path, target: Path, records: int) -> None:
    with source.open("rb") as lines, target.open("wb") as out:
        for number, line in zip(range(records + 1), lines, strict=False):
            out.write(line.rstrip(b",\n") + b"]" if number == records else line)


def measure(command: list[str]) -> tuple[float, float, float]:
    """(seconds, GiB at the most, processor seconds) of a command with all its processes."""
    begun, spent, peak = time.perf_counter(), cpu_seconds(), 0
    with tempfile.TemporaryFile("w+") as said:
        child = psutil.Popen(command, stdout=said, stderr=subprocess.STDOUT)
        while child.poll() is None:
            rss = 0
            try:
                for process in [child, *child.children(recursive=True)]:
                    rss += process.memory_info().rss
            except psutil.NoSuchProcess:
                pass
            peak = max(peak, rss)
            time.sleep(0.2)
        if child.returncode:
            said.seek(0)
            raise SystemExit(f"{command} ended with {child.returncode}:\n{said.read()[-3000:]}")
    return time.perf_counter() - begun, peak / 2**30, cpu_seconds() - spent


def cpu_seconds() -> float:
    """Of all ended children and theirs."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def ours(source: Path, root: Path, out: Path) -> tuple[float, float, float]:
    paths = ["--json", source, "--frames-root", root, "--out", out]
    options = ["--skip-frames", "--workers", "2"]
    return measure([sys.executable, "-m", "data_preprocess.medvidbench", *map(str, paths), *options])


def main() -> int:
    cli = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    cli.add_argument("--records", type=int, default=531_850)
    cli.add_argument("--share", type=float, default=0.04, help="of the records that datasets gets (%(default)s)")
    cli.add_argument("--folder", type=Path, help="for the files; a temporary one by default")
    args = cli.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench_data_", dir=args.folder) as name:
        folder = Path(name)
        (folder / "frames").mkdir()
        frames = write_file(folder / "all.json", args.records)
        part = max(1, int(args.records * args.share))
        first_records(folder / "all.json", folder / "part.json", part)
        size = (folder / "all.json").stat().st_size
        print(f"{args.records} records, {frames} frame paths, {size / 2**30:.2f} GiB of JSON")
        own_part = ours(folder / "part.json", folder / "frames", folder / "own_part")
        (folder / "same.py").write_text(SAME_WITH_DATASETS)
        same = [sys.executable, folder / "same.py", folder / "part.json", folder / "same.parquet", folder / "cache"]
        theirs = measure([*map(str, same)])
        assert pq.read_metadata(folder / "same.parquet").num_rows == part
        own = ours(folder / "all.json", folder / "frames", folder / "own")
        written = sum(pq.read_metadata(path).num_rows for path in (folder / "own").glob("*.parquet"))
        bytes_out = sum(path.stat().st_size for path in (folder / "own").glob("*.parquet"))
    print(f"{'':28}{'records':>9}{'seconds':>9}{'records/s':>11}{'peak GiB':>10}{'CPU s':>8}")
    for what, records, (seconds, gib, cpu) in (
        ("datasets load_dataset + map", part, theirs),
        ("data_preprocess", part, own_part),
        ("data_preprocess, all", args.records, own),
    ):
        print(f"{what:28}{records:>9}{seconds:>9.1f}{records / seconds:>11.0f}{gib:>10.2f}{cpu:>8.1f}")
    print(f"{written} rows in {bytes_out / 2**30:.2f} GiB of Parquet")
    promises = {
        f"below {SECONDS} s": own[0] < SECONDS,
        f"below {GIB} GiB": own[1] < GIB,
        "faster than datasets": own_part[0] < theirs[0],
        "no row lost": written == args.records,
    }
    for promise, kept in promises.items():
        print(f"{'kept  ' if kept else 'BROKEN'} {promise}")
    return 0 if all(promises.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
