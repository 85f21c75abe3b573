# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Bytes through TransferQueue per training step, ours against stock verl's, counted in real trainings.

    VERL_PLATFORM=cpu python tests/benchmarks/bench_queue.py [--steps 2]

The trainings are those of bench_overhead.py. Bytes are counted where verl's processes send and receive the queue's
messages (tests/helpers/queue_bytes.py), so load on the machine does not matter. Exit status 1 below eight times fewer.
"""

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "helpers"))

import bench_overhead
from queue_bytes import counted, counting

GOAL = 8


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=2)
    args = parser.parse_args()
    bench_overhead.WARM_UP = 0
    figures = {"prompts": bench_overhead.BATCH, "samples": bench_overhead.GROUP, "steps": args.steps}
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        inputs = bench_overhead.make_inputs(folder)
        for side in ("stock", "ours"):
            os.environ.update(counting(folder / f"{side}.txt"))
            bench_overhead.train(side, args.steps, folder / side, *inputs)
            for way, size in counted(folder / f"{side}.txt").items():
                figures[f"{side}_{way}_mib_per_step"] = size / args.steps / 2**20
    sums = {side: sum(figures[f"{side}_{way}_mib_per_step"] for way in ("put", "got")) for side in ("stock", "ours")}
    figures["times_fewer"] = sums["stock"] / sums["ours"]
    print(json.dumps(figures, indent=2))
    return 0 if figures["times_fewer"] >= GOAL else 1


if __name__ == "__main__":
    sys.exit(main())
