# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Answers held-out rows with a checkpoint, scores them by the components of RL's reward and as the benchmark does.

What is as in RL, what is not, and what is written: docs/evaluate.md.
"""

from __future__ import annotations

import argparse
import math
from collections import defaultdict
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

import reward_score
from recipe.medgrpo.common.outputs import begins_with, check_outputs
from recipe.medgrpo.common.run_folder import EvalDir, write_json, write_jsonl
from recipe.medgrpo.common.tables import compact_table
from recipe.medgrpo.evaluation import accuracy_matrices, other_rows
from recipe.medgrpo.evaluation import generate as generation
from recipe.medgrpo.evaluation.answers import (
    Answer,
    check_inputs,
    make_samples,
    mean_and_error,
    number,
    or_none,
    pair_rank,
    read_answers,
    read_rows,
    row_means,
)
from recipe.medgrpo.scoring.artifact_check import check_artifact
from recipe.medgrpo.scoring.caption_judge import PatientJudge, is_judged
from recipe.medgrpo.scoring.training_options import add_overrides, raw_options, reward_options
from reward_score.config import ScoreConfig
from reward_score.ground_truth import load_struc_info
from reward_score.leaderboard import score_records
from reward_score.leaderboard.metrics import aggregate
from reward_score.leaderboard.submission import Record
from reward_score.tasks.multiple_choice import read_options
from reward_score.tasks.registry import VQA_TASKS

#: Of the benchmark's metrics.
RESAMPLES = 400


def add_arguments(parser: argparse.ArgumentParser) -> None:
    words = "checkpoint: a folder in Hugging Face format, or a name on the hub"
    parser.add_argument("--model", type=Path, required=True, help=words)
    parser.add_argument("--data", type=Path, required=True, help="held-out rows (Parquet)")
    parser.add_argument("--out", type=Path, required=True, help="folder for answers, results and summary")
    words = "artifact of `medgrpo calibrate`; without it rewards are raw"
    parser.add_argument("--normalization", type=Path, help=words)
    parser.add_argument("--name", help="what to call the checkpoint (default: the name of the folder --out)")
    generation.add_per_pair(parser)
    generation.add_decoding(parser)
    generation.add_wording(parser)
    add_overrides(parser)


def run(args: argparse.Namespace) -> int:
    folder, files = check_inputs(args.model, args.data, args.n, args.temperature), EvalDir(args.out)
    check_outputs(files.results, begins_with(rb'{"index": |$'), [files.summary], [args.data, args.normalization])
    options = reward_options(args.overrides)
    judge = PatientJudge(options.judge)
    artifact = None if args.normalization is None else load_artifact(args.normalization, options)
    rows = read_rows(args.data)
    asked = {"per_pair": args.per_pair, **generation.decoding(args), **generation.wording(args)}
    generation.generate(folder, args.data, files.answers, **asked)
    meta, answers = read_answers(files.answers, rows)
    raw = raw_options(options, judge)
    results = score(answers, args.max_tokens, artifact, raw)
    judge.check()
    unjudged = sum(result["score"] is None for result in results)
    summary = {
        "name": args.name or args.out.name,
        "model": str(args.model),
        "data": str(args.data),
        "decoding": meta["decoding"],
        **judge.provenance,
        "similarity": options.similarity,
        "caption_mix": options.caption_mix,
        "unjudged": unjudged,
        "normalization": artifact and artifact.hash,
        **summarize(results, options.reward_tasks),
        **leaderboard(answers),
        "other_rows": other_rows.compare(answers, results, lambda moved: score(moved, args.max_tokens, None, raw)),
    }
    write_jsonl(files.results, results)
    write_json(files.summary, summary)
    console = Console()
    print_summary(summary, console)
    if note := judge.note(unjudged):
        console.print(note, soft_wrap=True, markup=False)
    if questions := [result for result in results if result["task"] in VQA_TASKS]:
        accuracy_matrices.show(accuracy_matrices.group(summary["name"], questions, str(files.results)), console)
    console.print(f"{files.summary}, {files.results}", soft_wrap=True)
    return 0


def load_artifact(path: Path, options: ScoreConfig) -> reward_score.Artifact:
    """The artifact; an error if its captions were graded by another judge or encoder than ``options`` name."""
    used = {"normalization": "logistic", "judge_norm": "logistic", "artifact": path}
    check_artifact(options.model_copy(update=used))
    return reward_score.Artifact.load(path)


def score(
    answers: Sequence[Answer], max_tokens: int, artifact: reward_score.Artifact | None, options: ScoreConfig
) -> list[dict[str, Any]]:
    """Reward and components of each answer, in order, each with its row's identity; NaN as None.

    An answer that the judge gave no verdict on has no ``score``, only what its text alone says. A task that the
    artifact does not know at all (one that RL does not reward) is scored raw, with ``normalized`` None.
    """
    plain = reward_score.get_scorer(options)
    scorers, known = {False: plain}, set()
    if artifact is not None:
        known = {key.split("|")[1] for key in artifact.entries}
        used = {"similarity": plain.encoder, "judge": plain.judge, "normalization": "logistic", "artifact": artifact}
        scorers[True] = reward_score.Scorer(options.model_copy(update=used))
    results: dict[int, dict[str, Any]] = {}
    for normalized, scorer in scorers.items():
        wanted = [i for i, answer in enumerate(answers) if (answer.row.task in known) == normalized]
        raws = scorer.raw(make_samples([answers[i] for i in wanted], max_tokens))
        for i, raw in zip(wanted, raws, strict=True):
            values = scorer.finish([raw])[0] if is_judged(raw) else _unscored(raw)
            if not normalized:
                values["normalized"] = None
            results[i] = {**_identity(answers[i]), **{key: or_none(value) for key, value in values.items()}}
    return [results[i] for i in range(len(answers))]


def _unscored(raw: reward_score.RawScore) -> dict[str, float]:
    known = {"format": raw.format, "parsed": float(raw.format > 0), "concise": raw.concise, "cut": float(raw.cut)}
    return dict.fromkeys(reward_score.SCORE_KEYS, math.nan) | known


def _identity(answer: Answer) -> dict[str, Any]:
    row, extra = answer.row, answer.row.extra_info
    return {
        "index": row.index,
        "sample": answer.sample,
        # Position in the benchmark's JSON file, by which a submission is ordered; ids repeat.
        "record": extra.get("index"),
        "id": extra.get("id"),
        "qa_type": extra.get("qa_type"),
        "data_source": row.data_source,
        "source": row.source,
        "task": row.task,
        "modality": extra.get("modality"),
        "question_type": extra.get("question_type"),
        "image_id": extra.get("image_id"),
        "num_options": len(read_options(extra.get("options") or "")),
        "response": answer.response,
        "ground_truth": row.ground_truth,
        "num_tokens": answer.num_tokens,
        "finish_reason": answer.finish_reason,
    }


def summarize(results: Sequence[dict[str, Any]], tasks: Sequence[str]) -> dict[str, Any]:
    """Counts and means: per source and task (``pairs``), and over the rows of RL's ``tasks`` (``reward``, or None).

    Means are over rows, after the mean over a row's samples. Answers without a score are left out of raw and reward.
    """
    pairs: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for result in results:
        pairs[result["source"], result["task"]].append(result)
    sorted_pairs = sorted(pairs.items(), key=lambda pair: pair_rank(pair[0]))
    rewarded = [result for result in results if result["task"] in tasks]
    return {
        "rows": len({result["index"] for result in results}),
        "answers": len(results),
        "pairs": [{"source": source, "task": task, **_means(own)} for (source, task), own in sorted_pairs],
        "reward": {"tasks": list(tasks), **_means(rewarded)} if rewarded else None,
    }


def _means(results: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """n rows; mean and standard error of raw and reward; shares of parsed and of cut answers; mean tokens."""
    indices = [result["index"] for result in results]
    values = {
        "raw": [number(result["raw"]) for result in results],
        "reward": [number(result["score"]) for result in results],
        "parsed": [result["parsed"] for result in results],
        "cut": [float(result["finish_reason"] == "length") for result in results],
        "num_tokens": [float(result["num_tokens"]) for result in results],
    }
    means: dict[str, Any] = {"n": len(set(indices))}
    for name, own in values.items():
        mean, error = mean_and_error(row_means(indices, own).values())
        means[name] = or_none(mean)
        if name in ("raw", "reward"):
            means[f"{name}_se"] = or_none(error)
    return means


def leaderboard(answers: Sequence[Answer]) -> dict[str, dict[str, Any]]:
    """The benchmark's metrics that need no judge, and the ends of their 95% intervals: percentile bootstraps over rows,
    whose answers are not independent.
    """
    records = [
        Record(
            index=row.index,
            task=row.task,
            source=row.source,
            prediction=response,
            question=row.extra_info.get("question") or "",
            answer=row.ground_truth,
            struc_info=load_struc_info(row.extra_info.get("struc_info") or "") or [],
            fps=row.extra_info.get("fps"),
        )
        for row, _, response, *_ in answers
        if row.task not in VQA_TASKS
    ]
    if not records:
        return {"leaderboard": {}, "leaderboard_95": {}}
    result = score_records(records, encoder=reward_score.get_scorer(ScoreConfig(reward_tasks="all")).encoder)
    by_row: dict[int, list[int]] = defaultdict(list)
    for position, record in enumerate(records):
        by_row[record.index].append(position)
    rows, draw = list(by_row.values()), np.random.default_rng(0)
    samples: dict[str, list[float]] = defaultdict(list)
    for _ in range(RESAMPLES):
        chosen = [position for row in draw.integers(len(rows), size=len(rows)) for position in rows[row]]
        drawn = aggregate([records[i] for i in chosen], [result.records[i] for i in chosen])
        for name, value in drawn.metrics.items():
            samples[name].append(value)
    ends = {name: np.percentile(samples[name], [2.5, 97.5]).tolist() for name in result.metrics}
    return {"leaderboard": result.metrics, "leaderboard_95": ends}


def print_summary(summary: dict[str, Any], console: Console) -> None:
    """The summary as two tables."""
    numbers = ("rows", "raw ± SE", "reward ± SE", "parsed", "cut", "tokens")
    table = compact_table(f"{summary['name']}: {summary['rows']} held-out rows", ("task", "source"), numbers)
    for task, pairs in groupby(summary["pairs"], key=lambda pair: pair["task"]):
        for pair in pairs:
            table.add_row(task, pair["source"], *_cells(pair))
        table.add_section()
    if summary["reward"]:
        table.add_row("RL tasks", "all", *_cells(summary["reward"]), style="bold")
    console.print(table, "")
    if not summary["reward"]:
        console.print("no row is of a rewarded task (medgrpo.reward.reward_tasks): no line of the RL tasks", "")
    if summary["leaderboard"]:
        metrics = compact_table("benchmark metrics", ("metric",), ("value", "95% interval"))
        for name, value in summary["leaderboard"].items():
            low, high = summary["leaderboard_95"][name]
            metrics.add_row(name, f"{value:.4f}", f"{low:.3f} to {high:.3f}")
        console.print(metrics, "")


def _cells(means: dict[str, Any]) -> list[str]:
    def with_error(key: str) -> str:
        mean, error = means[key], means[f"{key}_se"]
        return "-" if mean is None else f"{mean:.3f}" if error is None else f"{mean:.3f} ± {error:.3f}"

    shares = (f"{100 * means[key]:.0f}%" for key in ("parsed", "cut"))
    return [str(means["n"]), with_error("raw"), with_error("reward"), *shares, f"{means['num_tokens']:.0f}"]
