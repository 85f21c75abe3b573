# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""500,000 records from annotations alone: time and memory of ``python -m data_preprocess.build NurViD --skip-frames``,
then of the choice of 51,505 of them.

    python tests/benchmarks/bench_build.py [--videos 3000] [--folder DIR]

The generated source has NurViD's files: a JSON of segments, a workbook of names, and empty video files that are not
opened. Exit status 1 when a goal is missed.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "helpers"))
from published_sources import text, workbook  # noqa: E402

RECORDS, MINUTES, GIB = 500_000, 5, 1.0
PROCEDURES, ACTIONS, SECONDS = 50, 170, 600


def write_source(root: Path, videos: int, seed: int = 0) -> None:
    """NurViD's files, made up."""
    draw = random.Random(seed)
    content = {}
    for number in range(videos):
        start, annotations = 0.0, []
        while start < SECONDS - 30:
            length = round(draw.uniform(4, 40), 2)
            annotations.append({"actionID": draw.randint(1, 12), "segment": [start, start + length]})
            start += length + round(draw.uniform(0, 30), 2)
        name = f"video{number:06d}"
        content[name] = {"operationID": 1 + number % PROCEDURES, "duration": SECONDS, "annotations": annotations}
        (root / f"{name}.mp4").touch()
    text(root / "NurViD_annotations.json", content)
    procedures = [[k, "", f"Procedure {k}"] if k < PROCEDURES else [""] * 3 for k in range(ACTIONS)]
    rows = [[*procedure, "", "", "", k, "", f"Action {k}"] for k, procedure in enumerate(procedures)]
    workbook(root / "Procedure&Action_ID.xlsx", [["x"], ["ID"], *rows])


def main() -> int:
    cli = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    cli.add_argument("--videos", type=int, default=3000)
    cli.add_argument("--folder", type=Path, default=None, help="default: a temporary one")
    args = cli.parse_args()
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        root, out = Path(folder) / "raw", Path(folder) / "out"
        root.mkdir()
        write_source(root, args.videos)
        command = [sys.executable, "-m", "data_preprocess.build"]
        build = measured([*command, "NurViD", "--skip-frames", "--root", str(root), "--out", str(out)])
        records = sum(json.loads((out / "NurViD_summary.json").read_text())["records"].values())
        size = sum(path.stat().st_size for path in out.glob("NurViD*")) / 2**30
        command[-1] += ".balance"
        subset = ["--total", "51505", "--out", str(out / "subset.json")]
        balance = measured([*command, str(out / "NurViD.json"), *subset])
    print(f"{records:,} records ({size:.1f} GiB)")
    for name, (seconds, cpu, memory) in {"build": build, "balance": balance}.items():
        print(f"{name}: {seconds:.0f} s, {cpu:.0f} s of processor time, at most {memory:.2f} GiB so far")
    good = all(cpu <= 60 * MINUTES and memory <= GIB for _, cpu, memory in (build, balance))
    return int(not (records >= RECORDS and good))


def measured(command: list[str]) -> tuple[float, float, float]:
    """Seconds, seconds of processor time, and the most GiB that any command has used so far."""
    begin, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.monotonic() - begin, cpu, after.ru_maxrss / 2**20


if __name__ == "__main__":
    sys.exit(main())
