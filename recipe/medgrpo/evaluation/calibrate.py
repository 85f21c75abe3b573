# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Measures the SFT model's raw scores per source, task and component, and writes the normalization artifact.

MedGRPO maps the SFT model's median to 0.5 for every (source, task), so that a source on which everybody scores 0.5
does not drown one on which 0.12 is good. The percentiles are taken once, before RL, and never follow the policy.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from rich.console import Console

import reward_score
from recipe.medgrpo.common.tables import compact_table
from recipe.medgrpo.evaluation.answers import (
    Answer,
    check_inputs,
    describe_decoding,
    read_answers,
    read_rows,
    task_rank,
)
from recipe.medgrpo.scoring.caption_judge import PatientJudge, is_judged
from recipe.medgrpo.scoring.training_options import add_overrides, reward_options
from reward_score.normalization.artifact import ALL_SOURCES
from reward_score.normalization.normalizer import MIN_OBSERVATIONS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", type=Path, required=True, help="the SFT checkpoint: a folder, or a name on the hub")
    parser.add_argument("--data", type=Path, required=True, help="rows to answer: those that RL will train on")
    parser.add_argument("--out", type=Path, required=True, help="artifact to write (JSON); a picture goes beside it")
    parser.add_argument("--max-per-pair", type=int, default=500, help="rows per (source, task)")
    parser.add_argument("--samples", type=int, default=1, help="answers per row; more than one needs a temperature")
    parser.add_argument("--temperature", type=float, default=0.0, help="0 is greedy")
    parser.add_argument("--max-tokens", type=int, default=256, help="tokens per answer")
    parser.add_argument("--seed", type=int, default=0, help="of the sampler")
    add_overrides(parser)


def run(args: argparse.Namespace) -> int:
    from recipe.medgrpo.evaluation.generate import generate
    from recipe.medgrpo.scoring.artifact_check import weights_fingerprint

    options = reward_options(args.overrides)
    judge = PatientJudge(options.judge)
    used = {"reward_tasks": options.reward_tasks, "similarity": options.similarity, "caption_mix": options.caption_mix}
    scorer = reward_score.Scorer(reward_score.ScoreConfig(judge=judge, **used))
    tasks = sorted(scorer.reward_tasks, key=task_rank)
    folder = check_inputs(args.model, args.data, args.samples, args.temperature)
    answers_file = generate(
        folder,
        args.data,
        args.out.with_suffix(".answers.jsonl"),
        n=args.samples,
        temperature=args.temperature,
        max_tokens=args.max_tokens,
        seed=args.seed,
        tasks=tasks,
        per_pair=args.max_per_pair,
    )
    meta, answers = read_answers(answers_file, read_rows(args.data))
    values, unjudged = raw_scores(answers, scorer, args.max_tokens)
    judge.check()
    artifact = reward_score.Artifact.from_observations(
        values,
        reward_score.Provenance(
            model=str(args.model),
            split=f"{args.data}, tasks {' '.join(tasks)}, at most {args.max_per_pair} rows per pair",
            decoding=describe_decoding(meta["decoding"]),
            similarity=options.similarity,
            unjudged=unjudged,
            fingerprint=weights_fingerprint(folder),
            **judge.provenance,
        ),
    )
    artifact.save(args.out)
    # Only here: matplotlib takes a second to import, and a mistake in the arguments should not wait for it.
    from recipe.medgrpo.evaluation.calibration_plot import plot_calibration

    picture = plot_calibration(
        {key: np.asarray(scores) for key, scores in values.items()}, args.out.with_suffix(".png")
    )
    console = Console()
    print_artifact(artifact, console)
    if note := judge.note(unjudged):
        console.print(note, soft_wrap=True, markup=False)
    console.print(f"{args.out} (hash {artifact.hash[:12]}), {picture}", soft_wrap=True)
    return 0


def raw_scores(
    answers: Sequence[Answer], scorer: reward_score.Scorer, max_tokens: int
) -> tuple[dict[tuple[str, str, str], list[float]], int]:
    """Raw components of the answers by (source, task, component), each in [0, 1]; an answer that cannot be parsed, or
    that was cut at its limit of `max_tokens`, is 0, as in training.

    Returns:
        They, and how many answers were left out because the judge gave no verdict.
    """
    samples = reward_score.make_samples(
        [answer.row.data_source for answer in answers],
        [answer.response for answer in answers],
        [answer.row.ground_truth for answer in answers],
        [answer.extra_info(max_tokens) for answer in answers],
    )
    raws = scorer.raw(samples)
    judged = [raw for raw in raws if is_judged(raw)]
    return reward_score.observations(judged), len(raws) - len(judged)


def median_ratios(artifact: reward_score.Artifact) -> dict[tuple[str, str], str]:
    """How far the sources of a task lie apart: largest over smallest median, in words, by (task, component).

    Tasks with a single source are left out.
    """
    medians: dict[tuple[str, str], dict[str, float]] = {}
    for key, entry in artifact.entries.items():
        source, task, component = key.split("|")
        if source != ALL_SOURCES:
            medians.setdefault((task, component), {})[source] = entry.p50
    return {
        panel: _ratio(sources)
        for panel, sources in sorted(medians.items(), key=lambda item: task_rank(item[0][0]))
        if len(sources) > 1
    }


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
    last, any_few = None, False
    for source, task, component, entry in sorted(
        rows, key=lambda row: (task_rank(row[1]), row[2], row[0] == ALL_SOURCES, row[0])
    ):
        if last not in (None, (task, component)):
            table.add_section()
        last = task, component
        few = source != ALL_SOURCES and entry.n < MIN_OBSERVATIONS
        table.add_row(
            task,
            component,
            "all" if source == ALL_SOURCES else source,
            f"{entry.n}{'[yellow]*[/yellow]' if few else ' '}",
            *(f"{value:.3f}" for value in (entry.p25, entry.p50, entry.p75)),
            style="dim" if source == ALL_SOURCES else "",
        )
        any_few |= few
    console.print(table, "")
    if any_few:
        console.print(f"* fewer than {MIN_OBSERVATIONS} answers: the percentiles of all sources of the task are used")
    for (task, component), words in median_ratios(artifact).items():
        console.print(f"{task} {component}: largest over smallest source median: {words}", soft_wrap=True)
