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
from recipe.medgrpo.answers import RL_TASKS, Answer, check_inputs, describe_decoding, read_answers, read_rows, task_rank
from recipe.medgrpo.tables import compact_table
from reward_score.artifact import ALL_SOURCES
from reward_score.judge import Judge, JudgeConfig, make_judge
from reward_score.normalization import MIN_OBSERVATIONS
from reward_score.similarity import DEFAULT_ENCODER


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", type=Path, required=True, help="the SFT checkpoint, in Hugging Face format")
    parser.add_argument("--data", type=Path, required=True, help="rows to answer: those that RL will train on")
    parser.add_argument("--out", type=Path, required=True, help="artifact to write (JSON); a picture goes beside it")
    parser.add_argument("--max-per-pair", type=int, default=500, help="rows per (source, task)")
    parser.add_argument("--samples", type=int, default=1, help="answers per row; more than one needs a temperature")
    parser.add_argument("--temperature", type=float, default=0.0, help="0 is greedy")
    parser.add_argument("--max-tokens", type=int, default=256, help="tokens per answer")
    parser.add_argument("--tasks", nargs="+", default=list(RL_TASKS), choices=sorted(reward_score.TASKS), help="tasks")
    parser.add_argument("--seed", type=int, default=0, help="of the sampler")
    add_caption_scorers(parser)


def add_caption_scorers(parser: argparse.ArgumentParser) -> None:
    """Who scores captions: must be the training's own, whose percentiles the artifact holds."""
    parser.add_argument("--judge", choices=["lexical", "openai"], default="lexical", help="the judge of the training")
    parser.add_argument("--judge-model", default="gpt-4.1", help="of the judge openai")
    parser.add_argument("--similarity", default=DEFAULT_ENCODER, help="the sentence encoder of the training")


def chosen_judge(args: argparse.Namespace) -> Judge:
    """The judge that the options of :func:`add_caption_scorers` name."""
    return make_judge(JudgeConfig(model=args.judge_model) if args.judge == "openai" else args.judge)


def run(args: argparse.Namespace) -> int:
    from recipe.medgrpo.generate import generate

    check_inputs(args.model, args.data, args.samples, args.temperature)
    answers_file = generate(
        args.model,
        args.data,
        args.out.with_suffix(".answers.jsonl"),
        n=args.samples,
        temperature=args.temperature,
        max_tokens=args.max_tokens,
        seed=args.seed,
        tasks=args.tasks,
        per_pair=args.max_per_pair,
    )
    meta, answers = read_answers(answers_file, read_rows(args.data))
    judge = chosen_judge(args)
    values = raw_scores(answers, judge, args.similarity)
    artifact = reward_score.Artifact.from_observations(
        values,
        reward_score.Provenance(
            model=str(args.model),
            split=f"{args.data}, tasks {' '.join(args.tasks)}, at most {args.max_per_pair} rows per pair",
            decoding=describe_decoding(meta["decoding"]),
            judge=judge.name,
            similarity=args.similarity,
        ),
    )
    artifact.save(args.out)
    # Only here: matplotlib takes a second to import, and a mistake in the arguments should not wait for it.
    from recipe.medgrpo.report_plots import plot_calibration

    picture = plot_calibration(
        {key: np.asarray(scores) for key, scores in values.items()}, args.out.with_suffix(".png")
    )
    console = Console()
    print_artifact(artifact, console)
    console.print(f"{args.out} (hash {artifact.hash[:12]}), {picture}", soft_wrap=True)
    return 0


def raw_scores(answers: Sequence[Answer], judge: Judge, similarity: str) -> dict[tuple[str, str, str], list[float]]:
    """Raw components of the answers by (source, task, component), each in [0, 1]; an unparsable answer is 0."""
    samples = reward_score.make_samples(
        [answer.row.data_source for answer in answers],
        [answer.response for answer in answers],
        [answer.row.ground_truth for answer in answers],
        [answer.row.extra_info for answer in answers],
    )
    scorer = reward_score.get_scorer(reward_tasks="all", judge=judge, similarity=similarity)
    return reward_score.observations(scorer.raw(samples))


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
