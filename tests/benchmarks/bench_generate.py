# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Rows answered per second by two vLLM engines of one core each, and by one engine on one core.

    VERL_PLATFORM=cpu python tests/benchmarks/bench_generate.py [--rows 1024 --rounds 2]

Both are `medgrpo generate` with a tiny model and short answers: the work is reading, decoding and processing clips of
32 JPEG frames of 854x480. Runs alternate (one, two, two, one). The rate leaves the start and each engine's first chunk
aside; the seconds of whole runs are printed next to it. Both must answer alike. Exit status 1 if two are less than 1.7
times as fast. Nothing else may run on the machine meanwhile.
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
from recipe.medgrpo.evaluation.engines import CHUNK

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


def generate(engines: int, model: Path, data: Path, out: Path) -> tuple[float, float, bytes]:
    """Rows per second after the first chunks, seconds of the whole run, and the answers."""
    core = ["taskset", "-c", str(min(os.sched_getaffinity(0)))] if engines == 1 else []
    words = ["--model", model, "--data", data, "--out", out, "--max-tokens", "2", "--engines", engines]
    command = [*core, sys.executable, "-m", "recipe.medgrpo.cli", "generate", *map(str, words)]
    part, first = out.with_name(out.name + ".part"), None
    environment = {**os.environ, "VERL_PLATFORM": "cpu", "OMP_NUM_THREADS": "1"}
    began = time.perf_counter()
    with out.with_suffix(".log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)
        while process.poll() is None:
            time.sleep(0.05)
            written = part.read_bytes().count(b"\n") - 1 if first is None and part.exists() else 0
            if written >= CHUNK * engines:
                first = written, time.perf_counter()
    if process.returncode:
        raise SystemExit(out.with_suffix(".log").read_text()[-3000:])
    ended, answers = time.perf_counter(), out.read_bytes()
    return (answers.count(b"\n") - 1 - first[0]) / (ended - first[1]), ended - began, answers


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=2, help="runs of each kind")
    args = parser.parse_args()
    found = {1: [], 2: []}
    with tempfile.TemporaryDirectory() as folder:
        inputs = make_inputs(Path(folder), args.rows)
        for round_ in range(args.rounds):
            for engines in (1, 2)[:: -1 if round_ % 2 else 1]:
                found[engines].append(generate(engines, *inputs, Path(folder) / f"{engines}_{round_}.jsonl"))
    rates, seconds = ({n: statistics.median(run[at] for run in runs) for n, runs in found.items()} for at in (0, 1))
    table = Table("", "one engine, one core", "two engines, one core each", "ratio")
    table.add_row("rows per second", *(f"{rates[n]:.2f}" for n in (1, 2)), f"{rates[2] / rates[1]:.2f}")
    table.add_row("seconds, start included", *(f"{seconds[n]:.0f}" for n in (1, 2)), f"{seconds[1] / seconds[2]:.2f}")
    Console().print(table)
    alike = len({answers for runs in found.values() for *_, answers in runs}) == 1
    print("same answers" if alike else "OTHER ANSWERS")
    return 0 if alike and rates[2] >= GOAL * rates[1] else 1


if __name__ == "__main__":
    sys.exit(main())
