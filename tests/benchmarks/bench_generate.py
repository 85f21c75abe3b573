# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Rows answered per second by two vLLM engines of one core each, and by one engine on one core.

    VERL_PLATFORM=cpu python tests/benchmarks/bench_generate.py [--rows 1024 --rounds 2]

Both are `medgrpo generate` with a tiny model and short answers: the work is reading, decoding and processing clips of
32 JPEG frames of 854x480. Runs alternate (one, two, two, one). A call with two rows before each tells the seconds of
the start, which are left out of the rate. Both must answer alike. Exit status 1 if two are less than 1.7 times as fast.
Nothing else may run on the machine meanwhile.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from data_preprocess.media.token_count import pixel_budget, video_size
from data_preprocess.parquet_writer import RowWriter
from data_preprocess.schema import Clip, build_row

FRAMES, HEIGHT, WIDTH, FILMED = 32, 480, 854, 16
GOAL = 1.7


def make_inputs(root: Path, rows: int) -> tuple[Path, Path]:
    """Rows, each with a clip whose files have names of their own, so that no cache knows them; and a tiny model."""
    import numpy as np
    from PIL import Image

    from recipe.medgrpo.cpu import tiny_model

    rng = np.random.default_rng(0)
    for clip in range(FILMED):
        coarse = Image.fromarray(rng.integers(0, 255, (60, 107, 3), dtype=np.uint8))
        texture = np.array(coarse.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC))
        for frame in range(FRAMES):
            Image.fromarray(np.roll(texture, 6 * frame, axis=1)).save(root / f"{clip}_{frame}.jpg", quality=90)
    budget, tokens = pixel_budget(), video_size(FRAMES, HEIGHT, WIDTH).num_tokens
    with RowWriter(root / "rows.parquet") as writer:
        for row in range(rows):
            (folder := root / f"clip{row}").mkdir()
            paths = [str(folder / f"{frame}.jpg") for frame in range(FRAMES)]
            for frame, path in enumerate(paths):
                os.link(root / f"{row % FILMED}_{frame}.jpg", path)
            clip = Clip(paths, 0.5, HEIGHT, WIDTH, **budget, num_tokens=tokens)
            made = build_row(
                benchmark="medvidbench", source="AVOS", task="tag", qa_type="tal", index=row, split="val",
                question=f"When does the grasper hold the gallbladder in clip {row}? Answer with seconds.",
                answer="1.0-9.0 seconds.", clip=clip, video_id=f"{row}", record_id=f"{row}", struc_info="[]",
            )  # fmt: skip
            writer.write(made)
    tiny_model.build(root / "model", root / "rows.parquet", layers=1)
    return root / "model", root / "rows.parquet"


def generate(engines: int, rows: int, model: Path, data: Path, out: Path) -> tuple[float, bytes]:
    """Seconds of a whole call, and the answers that it wrote."""
    core = ["taskset", "-c", str(min(os.sched_getaffinity(0)))] if engines == 1 else []
    files = ["--model", model, "--data", data, "--out", out]
    words = [*files, "--max-tokens", 2, "--per-pair", rows, "--engines", engines]
    command = [*core, sys.executable, "-m", "recipe.medgrpo.cli", "generate", *map(str, words)]
    began = time.perf_counter()
    environment = {**os.environ, "VERL_PLATFORM": "cpu", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        raise SystemExit(done.stdout[-3000:])
    return time.perf_counter() - began, out.read_bytes()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=2, help="runs of each kind")
    args = parser.parse_args()
    starts, works, answers = {1: [], 2: []}, {1: [], 2: []}, set()
    with tempfile.TemporaryDirectory() as folder:
        inputs = make_inputs(Path(folder), args.rows)
        for round_ in range(args.rounds):
            for engines in (1, 2)[:: -1 if round_ % 2 else 1]:
                out = Path(folder) / f"{engines}_{round_}.jsonl"
                start, _ = generate(engines, 2, *inputs, out.with_suffix(".start.jsonl"))
                seconds, written = generate(engines, args.rows, *inputs, out)
                starts[engines].append(start)
                works[engines].append(seconds - start)
                answers.add(written)
    start, work = ({n: statistics.median(seconds) for n, seconds in each.items()} for each in (starts, works))
    rate = {n: (args.rows - 2) / work[n] for n in work}
    table = Table("engines, one core each", "rows/s", "ratio", "start, s", "whole call, s", "ratio")
    for n in (1, 2):
        whole = [work[one] + start[one] for one in (1, n)]
        ratios = f"{rate[n] / rate[1]:.2f}", f"{whole[0] / whole[1]:.2f}"
        table.add_row(str(n), f"{rate[n]:.2f}", ratios[0], f"{start[n]:.0f}", f"{whole[1]:.0f}", ratios[1])
    Console().print(table)
    print("same answers" if len(answers) == 1 else "OTHER ANSWERS")
    return 0 if len(answers) == 1 and rate[2] >= GOAL * rate[1] else 1


if __name__ == "__main__":
    sys.exit(main())
