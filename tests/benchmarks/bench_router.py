# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""How many vLLM replicas process one prompt, and how evenly they are loaded: verl's own balancer, and the router here.

    VERL_PLATFORM=cpu python tests/benchmarks/bench_router.py [--prompts 48 --samples 8 --replicas 8 --steps 20]

Both are verl's classes, asked in the same order for the same steps; nothing is generated. Prompts have 300 to 7,600
tokens, their clips are ready within 30 s, and answers have 10 to 500 tokens, alike within a group, and take a second
each. Exit status 1 if a group has several replicas here, or if the most in flight on one is above 1.25 times the mean.
Nobody knows in advance how long answers get; the last line says how uneven that makes the replicas' work.
"""

import argparse
import statistics
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parents[1] / "helpers"))
from rollout_traffic import Traffic, prompts, router, send, stock

LIMIT = 1.25
FIGURES = {
    "replicas per group": lambda seen: seen.replicas_per_group,
    "prompts processed by a replica": lambda seen: sum(map(len, seen.homes.values())) / len(seen.servers),
    "prompt tokens, all replicas, thousands": lambda seen: seen.prompt_tokens.total() / 1000,
    "prompt tokens, max/mean": lambda seen: seen.max_over_mean(seen.prompt_tokens),
    "most in flight, max/mean": lambda seen: seen.max_over_mean(seen.peaks),
    "answer tokens, max/mean": lambda seen: seen.max_over_mean(seen.answer_tokens),
}


def measured(balancer, steps: list) -> dict[str, float]:
    """Means of the figures over steps that one balancer serves one after the other."""
    seen: list[Traffic] = [send(balancer, step) for step in steps]
    return {name: statistics.fmean(map(figure, seen)) for name, figure in FIGURES.items()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--prompts", type=int, default=48, help="a step's")
    parser.add_argument("--samples", type=int, default=8, help="answers per prompt")
    parser.add_argument("--replicas", type=int, default=8)
    parser.add_argument("--steps", type=int, default=20)
    args = parser.parse_args()
    steps = [prompts(args.prompts, args.samples, seed) for seed in range(args.steps)]
    ours = measured(router(args.replicas, args.samples), steps)
    theirs = measured(stock(args.replicas), steps)
    table = Table("", "here", "stock verl", "ratio")
    for name in FIGURES:
        table.add_row(name, f"{ours[name]:.2f}", f"{theirs[name]:.2f}", f"{theirs[name] / ours[name]:.2f}")
    Console().print(table)
    return 0 if ours["replicas per group"] == 1 and ours["most in flight, max/mean"] <= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
