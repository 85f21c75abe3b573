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
from reward_score.judge import Judge, JudgeConfig, make_judge
from reward_score.leaderboard import LeaderboardResult, score_files

#: The override of the judge's model, as in training.
MODEL = "medgrpo.reward.judge.model"
EXTRA = "medgrpo.reward.extra_tasks"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    words = "submission (list) or results file (dict by index)"
    parser.add_argument("--predictions", type=Path, required=True, help=words)
    parser.add_argument("--ground-truth", type=Path, required=True, help="MedVidBench JSON array, merged by position")
    parser.add_argument("--json", type=Path, help="file for the metrics, {name: value}")
    parser.add_argument(
        "overrides",
        nargs="*",
        metavar="OVERRIDE",
        help="as in training: judge=lexical or judge=openai judges captions too (VS_lexical or VS_llm, ...), "
        f"{MODEL}=... with another model than the leaderboard's; {EXTRA}=[...] adds tasks of your own",
    )


def run(args: argparse.Namespace) -> int:
    if args.json:
        check_outputs(args.json, _is_metrics, inputs=[args.predictions, args.ground_truth])
    own = [one for one in args.overrides if one.lstrip("+").partition("=")[0] == EXTRA]
    extra_tasks = tuple(name for one in own for name in re.findall(r"[\w.]+", one.partition("=")[2]))
    judge = _judge([one for one in args.overrides if one not in own])
    result = score_files(args.predictions, args.ground_truth, judge=judge, extra_tasks=extra_tasks)
    print_result(result, Console())
    if args.json:
        write_json(args.json, result.metrics)
    return 0


def _judge(overrides: Sequence[str]) -> Judge | None:
    """The judge of overrides as the training takes them; of these, the two that fit the leaderboard's judge."""
    match sorted(word.split("=", 1) for word in overrides):
        case []:
            return None
        case [["judge", "lexical"]]:
            return make_judge("lexical")
        case [["judge", "openai"], *more] if all(word[0] == MODEL and len(word) == 2 for word in more):
            model = more[-1][1] if more else "gpt-4.1"
            # The leaderboard's judge rates captions by themselves; the training judge compares.
            return make_judge(JudgeConfig(model=model, rubric="absolute"))
    raise BadOption(
        f"{' '.join(overrides)}: give judge=lexical, or judge=openai and, if you like, {MODEL}=...; {EXTRA}=[...]"
    )


def _is_metrics(path: Path) -> bool:
    try:
        content = read_json(path, "this command")
    except RunDirError:
        return False
    return isinstance(content, dict) and all(isinstance(value, float | int) for value in content.values())


def warn(console: Console, text: object) -> None:
    """``text`` may hold what looks like markup."""
    console.print("[yellow]warning:[/yellow] ", end="")
    console.print(text, soft_wrap=True, markup=False)


def print_result(result: LeaderboardResult, console: Console) -> None:
    """Metrics, and how many records stand behind them."""
    table = compact_table("MedVidBench", ("metric",), ("value", "scored", "records"))
    for name, value in result.metrics.items():
        counts = result.counts.get(name.split("_")[0].lower(), {})
        table.add_row(name, f"{value:.4f}", *(str(counts.get(key, "")) for key in ("scored", "records")))
    console.print(table)
    order = "are both files in the same order?"
    if result.mismatched:
        what = f"name another qa_type than their record (first: item {result.mismatched[0]})"
        warn(console, f"{len(result.mismatched)} predictions {what}; {order}")
    if result.misplaced:
        index, (said, known) = next(iter(result.misplaced.items()))
        what = f"name another id than their record (first: item {index} has {said}, its record {known})"
        warn(console, f"{len(result.misplaced)} predictions {what}; {order} Predictions count by position, not by id.")
    for task, count in result.unjudged.items():
        console.print(f"{task.upper()}: the judge gave no verdict on {count} captions, left out of its metric")
    if result.ignored:
        console.print(f"{len(result.ignored)} records have a qa_type that is none of the benchmark's: not scored")
