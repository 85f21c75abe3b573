# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Measures the SFT model's raw scores per source, task and component, and writes the normalization artifact."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path

import numpy as np
from rich.console import Console

import reward_score
from data_preprocess.common.cli_types import at_least
from recipe.medgrpo.common.outputs import begins_with, check_outputs
from recipe.medgrpo.common.tables import compact_table
from recipe.medgrpo.evaluation import generate as generation
from recipe.medgrpo.evaluation.answers import (
    Answer,
    AnswersError,
    check_inputs,
    describe_decoding,
    make_samples,
    read_answers,
    read_rows,
    task_rank,
)
from recipe.medgrpo.scoring.artifact_check import weights_fingerprint
from recipe.medgrpo.scoring.caption_judge import PatientJudge, is_judged
from recipe.medgrpo.scoring.training_options import add_overrides, raw_options, reward_options
from reward_score.normalization.artifact import ALL_SOURCES
from reward_score.normalization.normalizer import MIN_OBSERVATIONS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", type=Path, required=True, help="the SFT checkpoint: a folder, or a name on the hub")
    parser.add_argument("--data", type=Path, required=True, help="rows to answer: those that RL will train on")
    parser.add_argument("--out", type=Path, required=True, help="artifact to write (JSON), with its picture")
    parser.add_argument("--max-per-pair", type=at_least(1), default=500, help="rows per (source, task)")
    generation.add_decoding(parser, count="--samples")
    add_overrides(parser)


def run(args: argparse.Namespace) -> int:
    folder = check_inputs(args.model, args.data, args.n, args.temperature)
    picture = args.out.with_suffix(".png")
    check_outputs(args.out, begins_with(rb'\s*{\s*"hash": '), [picture], inputs=[args.data])
    options = reward_options(args.overrides)
    judge = PatientJudge(options.judge)
    scorer = reward_score.Scorer(raw_options(options, judge, options.reward_tasks))
    rows = read_rows(args.data)
    tasks = sorted(scorer.reward_tasks & {row.task for row in rows}, key=task_rank)
    if not tasks:
        raise AnswersError(f"{args.data}: no row of the rewarded tasks {' '.join(sorted(scorer.reward_tasks))}")
    chosen = {"tasks": tasks, "per_pair": args.max_per_pair}
    answers_file = args.out.with_suffix(".answers.jsonl")
    generation.generate(folder, args.data, answers_file, **generation.decoding(args), **chosen)
    meta, answers = read_answers(answers_file, rows)
    values, unjudged = raw_scores(answers, scorer, args.max_tokens)
    judge.check()
    artifact = reward_score.Artifact.from_observations(
        values,
        reward_score.Provenance(
            model=str(args.model),
            split=f"{args.data}, tasks {' '.join(tasks)}, at most {args.max_per_pair} rows per pair",
            decoding=describe_decoding(meta["decoding"]),
            similarity=options.similarity,
            tag_raw=options.tag_raw,
            unjudged=unjudged,
            fingerprint=weights_fingerprint(folder),
            rows=generation.file_fingerprint(args.data),
            **judge.provenance,
        ),
    )
    artifact.save(args.out)
    # Only here: matplotlib takes a second to import, and a mistake in the arguments should not wait for it.
    from recipe.medgrpo.evaluation.calibration_plot import plot_calibration

    plot_calibration({key: np.asarray(own) for key, own in values.items()}, picture)
    console = Console()
    print_artifact(artifact, console)
    if note := judge.note(unjudged):
        console.print(note, soft_wrap=True, markup=False)
    console.print(f"{args.out} (hash {artifact.hash[:12]}), {picture}", soft_wrap=True)
    return 0


def raw_scores(
    answers: Sequence[Answer], scorer: reward_score.Scorer, max_tokens: int
) -> tuple[dict[tuple[str, str, str], list[float]], int]:
    """Raw components in [0, 1] by (source, task, component), and how many answers have no verdict of the judge.

    An answer that cannot be parsed, or that was cut at its limit of ``max_tokens``, is 0, as in training.
    """
    raws = scorer.raw(make_samples(answers, max_tokens))
    judged = [raw for raw in raws if is_judged(raw)]
    return reward_score.observations(judged), len(raws) - len(judged)


def median_ratios(artifact: reward_score.Artifact) -> dict[tuple[str, str], str]:
    """Largest over smallest median of a task's sources, in words, by (task, component); single sources left out."""
    medians: dict[tuple[str, str], dict[str, float]] = {}
    for key, entry in artifact.entries.items():
        source, task, component = key.split("|")
        if source != ALL_SOURCES:
            medians.setdefault((task, component), {})[source] = entry.p50
    panels = sorted(medians, key=lambda panel: task_rank(panel[0]))
    return {panel: _ratio(medians[panel]) for panel in panels if len(medians[panel]) > 1}


def _ratio(medians: Mapping[str, float]) -> str:
    low, high = min(medians, key=medians.__getitem__), max(medians, key=medians.__getitem__)
    if medians[high] == 0:
        return "none, all are 0"
    ratio = f"{medians[high] / medians[low]:.1f}" if medians[low] > 0 else "no ratio, the smallest is 0"
    return f"{ratio} ({high} {medians[high]:.3f}, {low} {medians[low]:.3f})"


def print_artifact(artifact: reward_score.Artifact, console: Console) -> None:
    """The artifact as a table, and per task how far its sources lie apart."""
    title = f"raw scores of {artifact.provenance.model}"
    table = compact_table(title, ("task", "component", "source"), ("n", "p25", "p50", "p75"))
    rows = [(*key.split("|"), entry) for key, entry in artifact.entries.items()]
    rows.sort(key=lambda row: (task_rank(row[1]), row[2], row[0] == ALL_SOURCES, row[0]))
    for (task, component), own in groupby(rows, key=lambda row: row[1:3]):
        for source, _, _, entry in own:
            star = "[yellow]*[/yellow]" if _is_small(source, entry) else " "
            name, style = ("all", "dim") if source == ALL_SOURCES else (source, "")
            quartiles = (f"{value:.3f}" for value in (entry.p25, entry.p50, entry.p75))
            table.add_row(task, component, name, f"{entry.n}{star}", *quartiles, style=style)
        table.add_section()
    console.print(table, "")
    if any(_is_small(source, entry) for source, _, _, entry in rows):
        console.print(f"* fewer than {MIN_OBSERVATIONS} answers: the percentiles of all sources of the task are used")
    for (task, component), words in median_ratios(artifact).items():
        console.print(f"{task} {component}: largest over smallest source median: {words}", soft_wrap=True)


def _is_small(source: str, entry: reward_score.Entry) -> bool:
    return source != ALL_SOURCES and entry.n < MIN_OBSERVATIONS
