# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Scores a submission or results file against a MedVidBench ground-truth file, as the leaderboard does."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from recipe.medgrpo.common.outputs import check_outputs
from recipe.medgrpo.common.run_folder import RunDirError, read_json, write_json
from recipe.medgrpo.common.tables import compact_table
from reward_score.errors import BadOption
from reward_score.judge import JudgeConfig, make_judge
from reward_score.leaderboard import LeaderboardResult, score_files


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--predictions", type=Path, required=True, help="submission (list) or results file (dict by index)"
    )
    parser.add_argument("--ground-truth", type=Path, required=True, help="MedVidBench JSON array, merged by position")
    parser.add_argument("--json", type=Path, help="file for the metrics, {name: value}")
    parser.add_argument(
        "--judge", choices=["lexical", "openai"], help="also judge captions (VS_lexical or VS_llm, ...); default: none"
    )
    parser.add_argument("--judge-model", default="gpt-4.1", help="of the judge openai; the leaderboard's is gpt-4.1")
    parser.add_argument(
        "overrides", nargs="*", help="of the training's configuration; only medgrpo.reward.extra_tasks counts here"
    )


def run(args: argparse.Namespace) -> int:
    extra_tasks = _extra_tasks(args.overrides)
    if args.json:
        check_outputs(args.json, _is_metrics, inputs=[args.predictions, args.ground_truth])
    judge = None
    if args.judge:
        # The leaderboard's judge rates captions by themselves; the training judge compares.
        llm = JudgeConfig(model=args.judge_model, rubric="absolute")
        judge = make_judge(llm if args.judge == "openai" else args.judge)
    result = score_files(args.predictions, args.ground_truth, judge=judge, extra_tasks=extra_tasks)
    print_result(result, Console())
    if args.json:
        write_json(args.json, result.metrics)
    return 0


def _extra_tasks(overrides: Sequence[str]) -> tuple[str, ...]:
    """Modules of the user's own tasks.

    Raises:
        BadOption: an override is about something else, which would be ignored.
    """
    if foreign := [one for one in overrides if one.lstrip("+").partition("=")[0] != "medgrpo.reward.extra_tasks"]:
        raise BadOption(f"{foreign[0]}: only medgrpo.reward.extra_tasks counts here; the judge is --judge")
    return tuple(name for one in overrides for name in re.findall(r"[\w.]+", one.partition("=")[2]))


def _is_metrics(path: Path) -> bool:
    try:
        content = read_json(path, "this command")
    except RunDirError:
        return False
    return isinstance(content, dict) and all(isinstance(value, float | int) for value in content.values())


def print_result(result: LeaderboardResult, console: Console) -> None:
    """Metrics, and how many records stand behind them."""
    table = compact_table("MedVidBench", ("metric",), ("value", "scored", "records"))
    for name, value in result.metrics.items():
        counts = result.counts.get(name.split("_")[0].lower(), {})
        table.add_row(name, f"{value:.4f}", *(str(counts.get(key, "")) for key in ("scored", "records")))
    console.print(table)
    if result.mismatched:
        console.print(
            f"[yellow]warning:[/yellow] {len(result.mismatched)} predictions name another qa_type than their record "
            f"(first: item {result.mismatched[0]}); are both files in the same order?",
            soft_wrap=True,
        )
    if result.misplaced:
        index, (said, known) = next(iter(result.misplaced.items()))
        console.print("[yellow]warning:[/yellow] ", end="")
        console.print(
            f"{len(result.misplaced)} predictions name another id than their record (first: item {index} has {said}, "
            f"its record {known}); are both files in the same order? Predictions count by position, not by id.",
            soft_wrap=True,
            markup=False,
        )
    for task, count in result.unjudged.items():
        console.print(f"{task.upper()}: the judge gave no verdict on {count} captions, left out of its metric")
    if result.ignored:
        console.print(f"{len(result.ignored)} records have a qa_type that is none of the benchmark's: not scored")
