# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Answers held-out rows with a checkpoint, scores them by the components of RL's reward and as the benchmark does.

As in RL: the judge, the sentence encoder and the mix of both, from the same overrides. Not as in RL: every task is
scored, and rewards are always normalized by the logistic curve of the artifact --normalization (raw without one),
whatever medgrpo.reward.normalization, k, judge_norm and artifact say, so that runs which train with different
normalizations can be compared.

Writes ``answers.jsonl``, ``results.jsonl`` (one object per answer: the row's identity, the response, every key of
``compute_score``) and ``summary.json`` (means per source and task, the tasks of RL together, the benchmark's metrics).
"""

from __future__ import annotations

import argparse
import json
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

import reward_score
from recipe.medgrpo.common.run_folder import EvalDir, write_json
from recipe.medgrpo.common.tables import compact_table
from recipe.medgrpo.evaluation import accuracy_matrices
from recipe.medgrpo.evaluation.answers import (
    RL_TASKS,
    Answer,
    check_inputs,
    mean_and_error,
    number,
    or_none,
    read_answers,
    read_rows,
    row_means,
    task_rank,
)
from recipe.medgrpo.evaluation.generate import add_wording
from recipe.medgrpo.scoring.caption_judge import PatientJudge, is_judged
from recipe.medgrpo.scoring.training_options import add_overrides, reward_options
from reward_score.config import ScoreConfig
from reward_score.ground_truth import load_struc_info
from reward_score.judge import Judge
from reward_score.leaderboard import score_records
from reward_score.leaderboard.submission import Record
from reward_score.similarity import DEFAULT_ENCODER
from reward_score.tasks.multiple_choice import read_options
from reward_score.tasks.registry import VQA_TASKS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--model", type=Path, required=True, help="checkpoint: a folder in Hugging Face format, or a name on the hub"
    )
    parser.add_argument("--data", type=Path, required=True, help="held-out rows (Parquet)")
    parser.add_argument("--out", type=Path, required=True, help="folder for answers, results and summary")
    parser.add_argument(
        "--normalization", type=Path, help="artifact of `medgrpo calibrate`; without it rewards are raw"
    )
    parser.add_argument("--name", help="what to call the checkpoint (default: the name of the folder --out)")
    parser.add_argument("--n", type=int, default=1, help="answers per row")
    parser.add_argument("--temperature", type=float, default=0.0, help="0 is greedy")
    parser.add_argument("--max-tokens", type=int, default=256, help="tokens per answer")
    parser.add_argument("--seed", type=int, default=0, help="of the sampler")
    add_wording(parser)
    add_overrides(parser)


def run(args: argparse.Namespace) -> int:
    from recipe.medgrpo.evaluation.generate import generate

    options = reward_options(args.overrides)
    judge = PatientJudge(options.judge)
    folder = check_inputs(args.model, args.data, args.n, args.temperature)
    artifact = None if args.normalization is None else load_artifact(args.normalization, options)
    files = EvalDir(args.out)
    generate(
        folder,
        args.data,
        files.answers,
        n=args.n,
        temperature=args.temperature,
        max_tokens=args.max_tokens,
        seed=args.seed,
        template=args.template,
        chat_template=args.chat_template,
    )
    meta, answers = read_answers(files.answers, read_rows(args.data))
    results = score(answers, args.max_tokens, artifact, judge, options.similarity, options.caption_mix)
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
        **summarize(results),
        "leaderboard": leaderboard(answers),
    }
    write_results(files.results, results)
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
    """The artifact, if its captions were graded and compared as ``options`` (``medgrpo.reward``) say.

    Raises:
        JudgeNotReady: they were graded by another judge.
        NormalizationError: they were compared by another encoder.
    """
    # Imports ray.
    from recipe.medgrpo.scoring.artifact_check import check_artifact

    used = {"normalization": "logistic", "judge_norm": "logistic", "artifact": path}
    check_artifact(options.model_copy(update=used))
    return reward_score.Artifact.load(path)


def score(
    answers: Sequence[Answer],
    max_tokens: int,
    artifact: reward_score.Artifact | None,
    judge: Judge | str = "lexical",
    similarity: str = DEFAULT_ENCODER,
    caption_mix: float = 0.5,
) -> list[dict[str, Any]]:
    """Reward and components of each answer, in order, each with its row's identity; NaN as None.

    An answer that the judge gave no verdict on has no ``score``, only ``format`` and ``parsed``.

    A task that the artifact does not know at all (one that RL does not reward) is scored raw, with ``normalized`` None.

    Errors:
        RewardError: a row cannot be scored, or the artifact lacks a source of a task that it knows.
    """
    plain = reward_score.get_scorer(reward_tasks="all", judge=judge, similarity=similarity, caption_mix=caption_mix)
    scorers = {"plain": plain}
    known: set[str] = set()
    if artifact is not None:
        known = {key.split("|")[1] for key in artifact.entries}
        scorers["normalized"] = reward_score.Scorer(
            reward_tasks="all",
            normalization="logistic",
            artifact=artifact,
            similarity=plain.encoder,
            judge=plain.judge,
            caption_mix=caption_mix,
        )
    results: list[dict[str, Any]] = [{} for _ in answers]
    for kind, scorer in scorers.items():
        wanted = [i for i, answer in enumerate(answers) if (answer.row.task in known) == (kind == "normalized")]
        rows = [answers[i].row for i in wanted]
        samples = reward_score.make_samples(
            [row.data_source for row in rows],
            [answers[i].response for i in wanted],
            [row.ground_truth for row in rows],
            [answers[i].extra_info(max_tokens) for i in wanted],
        )
        for i, raw in zip(wanted, scorer.raw(samples), strict=True):
            values = scorer.finish([raw])[0] if is_judged(raw) else _unscored(raw)
            if kind == "plain":
                values["normalized"] = None
            results[i] = {**_identity(answers[i]), **{key: or_none(value) for key, value in values.items()}}
    return results


def _unscored(raw: reward_score.RawScore) -> dict[str, float]:
    known = {"format": raw.format, "parsed": float(raw.format > 0), "concise": raw.concise, "cut": float(raw.cut)}
    return dict.fromkeys(reward_score.SCORE_KEYS, math.nan) | known


def _identity(answer: Answer) -> dict[str, Any]:
    row, extra = answer.row, answer.row.extra_info
    return {
        "index": row.index,
        "sample": answer.sample,
        # Position in the benchmark's JSON file, by which a submission is ordered; ids repeat.
        "record": row.extra_info.get("index"),
        "id": row.extra_info.get("id"),
        "qa_type": row.extra_info.get("qa_type"),
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


def write_results(path: Path, results: Sequence[dict[str, Any]]) -> None:
    """Write ``results`` as JSON lines; a file of that name is replaced only when all are written."""
    scratch = path.with_name(path.name + ".tmp")
    with scratch.open("w", encoding="utf-8") as file:
        for result in results:
            file.write(json.dumps(result, ensure_ascii=False, allow_nan=False) + "\n")
    os.replace(scratch, path)


def summarize(results: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Means over rows, after the mean over a row's samples, with standard errors over rows. Answers without a score
    are left out of the means of raw and reward.

    Returns:
        ``rows`` and ``answers`` (counts), ``pairs`` (a dict per source and task) and ``reward`` (the RL tasks'
        rows together; None if there are none).
    """
    pairs = sorted({(r["source"], r["task"]) for r in results}, key=lambda pair: (task_rank(pair[1]), pair[0]))
    rewarded = [result for result in results if result["task"] in RL_TASKS]
    return {
        "rows": len({result["index"] for result in results}),
        "answers": len(results),
        "pairs": [
            {
                "source": source,
                "task": task,
                **_means([r for r in results if (r["source"], r["task"]) == (source, task)]),
            }
            for source, task in pairs
        ],
        "reward": {"tasks": list(RL_TASKS), **_means(rewarded)} if rewarded else None,
    }


def _means(results: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """n rows; mean and standard error of raw and reward; shares of parsed and of cut answers; mean tokens."""

    def over_rows(values: list[float]) -> tuple[float | None, float | None]:
        mean, error = mean_and_error(row_means((r["index"] for r in results), values).values())
        return or_none(mean), or_none(error)

    raw, raw_se = over_rows([number(r["raw"]) for r in results])
    reward, reward_se = over_rows([number(r["score"]) for r in results])
    return {
        "n": len({r["index"] for r in results}),
        "raw": raw,
        "raw_se": raw_se,
        "reward": reward,
        "reward_se": reward_se,
        "parsed": over_rows([r["parsed"] for r in results])[0],
        "cut": over_rows([float(r["finish_reason"] == "length") for r in results])[0],
        "num_tokens": over_rows([float(r["num_tokens"]) for r in results])[0],
    }


def leaderboard(answers: Sequence[Answer]) -> dict[str, float]:
    """The benchmark's metrics that need no judge, over all these answers."""
    records = []
    for answer in answers:
        row, extra = answer.row, answer.row.extra_info
        if row.task in VQA_TASKS:
            continue
        records.append(
            Record(
                index=row.index,
                task=row.task,
                source=row.source,
                prediction=answer.response,
                question=extra.get("question") or "",
                answer=row.ground_truth,
                struc_info=load_struc_info(extra.get("struc_info") or "") or [],
                fps=extra.get("fps"),
            )
        )
    if not records:
        return {}
    return score_records(records, encoder=reward_score.get_scorer(reward_tasks="all").encoder).metrics


def print_summary(summary: dict[str, Any], console: Console) -> None:
    """The summary as two tables."""
    numbers = ("rows", "raw ± SE", "reward ± SE", "parsed", "cut", "tokens")
    table = compact_table(f"{summary['name']}: {summary['rows']} held-out rows", ("task", "source"), numbers)
    last = None
    for pair in summary["pairs"]:
        if last not in (None, pair["task"]):
            table.add_section()
        last = pair["task"]
        table.add_row(pair["task"], pair["source"], *_cells(pair))
    if summary["reward"]:
        table.add_section()
        table.add_row("RL tasks", "all", *_cells(summary["reward"]), style="bold")
    console.print(table, "")
    if not summary["leaderboard"]:
        return
    metrics = compact_table("benchmark metrics", ("metric",), ("value",))
    for name, value in summary["leaderboard"].items():
        metrics.add_row(name, f"{value:.4f}")
    console.print(metrics, "")


def _cells(means: dict[str, Any]) -> list[str]:
    def with_error(key: str) -> str:
        if means[key] is None:
            return "-"
        error = means[f"{key}_se"]
        return f"{means[key]:.3f}" + ("" if error is None else f" ± {error:.3f}")

    return [
        str(means["n"]),
        with_error("raw"),
        with_error("reward"),
        f"{100 * means['parsed']:.0f}%",
        f"{100 * means['cut']:.0f}%",
        f"{means['num_tokens']:.0f}",
    ]
