# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Says, without training, what each normalization would do to given answers under each of verl's estimators.

Of the answers of ``medgrpo generate --n 8 --temperature 1``, or of the rollouts of a run.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from omegaconf import DictConfig, OmegaConf
from rich.console import Console

import reward_score
from recipe.medgrpo.common.configuration import composed, read_config
from recipe.medgrpo.common.listed import listed
from recipe.medgrpo.common.outputs import begins_with, check_outputs
from recipe.medgrpo.common.run_folder import RunDir, RunDirError, write_json
from recipe.medgrpo.common.tables import compact_table
from recipe.medgrpo.evaluation.answers import AnswersError, make_samples, read_rows
from recipe.medgrpo.evaluation.evaluate import load_artifact
from recipe.medgrpo.replay.read import Answered, any_compared, of_file, of_rollouts
from recipe.medgrpo.scoring.caption_judge import PatientJudge, is_judged
from recipe.medgrpo.scoring.training_options import add_overrides, raw_options, resolved, reward_options
from reward_score.config import ScoreConfig

#: Without ``ema``, which follows a policy and begins as ``zscore``.
METHODS = ("none", "shift", "scale", "logistic", "linear", "zscore", "rank")
SHOWN = [name for name in METHODS if name != "linear"]
AGGREGATIONS = ("token-mean", "seq-mean-token-mean", "seq-mean-token-sum", "seq-mean-token-sum-norm")
#: Kept by a run as absolute paths, whatever its overrides said.
PATHS = ("data.train_files", "actor_rollout_ref.model.path", "medgrpo.reward.artifact")
#: How close a recomputed reward must be to the run's, which was kept in single precision.
SAME_SCORE = 1e-3


class Inputs(NamedTuple):
    """What is replayed: the answers, their limit in tokens, the reward's options, and the artifact."""

    answers: list[Answered]
    max_tokens: int
    options: ScoreConfig
    artifact: reward_score.Artifact


def add_arguments(parser: argparse.ArgumentParser) -> None:
    given = parser.add_mutually_exclusive_group(required=True)
    given.add_argument("--answers", type=Path, help="file of `medgrpo generate`, several answers a row")
    given.add_argument("--run", type=Path, dest="root", help="run directory, whose rl/rollouts are replayed")
    parser.add_argument("--normalization", type=Path, help="artifact of `medgrpo calibrate` (default: the run's)")
    parser.add_argument(
        "--data", type=Path, help="Parquet that was answered (default: the one that answers or run name)"
    )
    parser.add_argument("--steps", type=int, nargs="+", help="steps of the run (default: all)")
    parser.add_argument(
        "--methods", nargs="+", choices=METHODS, metavar="METHOD", default=SHOWN, help="to compare with none"
    )
    parser.add_argument(
        "--loss-agg-mode", choices=AGGREGATIONS, help="verl's weighting of tokens (default: the run's, or token-mean)"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for replay.json and replay.png")
    add_overrides(parser)


def run(args: argparse.Namespace) -> int:
    # Imports torch and verl.
    from recipe.medgrpo.replay.figures import replay
    from recipe.medgrpo.replay.plot import plot_shares
    from recipe.medgrpo.replay.wording import expectations

    if args.answers and args.steps:
        raise AnswersError("--steps chooses among the steps of --run, and --answers has none: leave --steps out")
    written, picture = (args.out / f"replay.{kind}" for kind in ("json", "png"))
    own = begins_with(rb'{\s*"answers": \d+,\s*"groups": ')
    check_outputs(written, own, [picture], [args.answers, args.normalization, args.data])
    config = _run_config(args.root, args.overrides) if args.root else None
    aggregation = args.loss_agg_mode or (config.actor_rollout_ref.actor.loss_agg_mode if config else AGGREGATIONS[0])
    inputs = _of_run(args, config) if config else _of_answers(args)
    kept, raws, notes = _score(inputs)
    places, tokens = [(one.batch, one.group) for one in kept], [one.answer.num_tokens for one in kept]
    methods = ["none", *(method for method in dict.fromkeys(args.methods) if method != "none")]
    figures = list(replay(raws, places, tokens, inputs.options, inputs.artifact, methods, aggregation))
    summary = {
        "answers": len(kept),
        "groups": len(set(places)),
        "batches": len({one.batch for one in kept}),
        "normalization": inputs.artifact.hash,
        "loss_agg_mode": aggregation,
        "notes": notes,
        "expect": expectations(figures, _subject(methods, inputs.options)),
        "figures": [one._asdict() for one in figures],
    }
    write_json(written, summary)
    plot_shares(figures, picture)
    console = Console()
    _print(summary, console)
    console.print(f"{written}, {picture}", soft_wrap=True)
    return 0


def _subject(methods: Sequence[str], options: ScoreConfig) -> str:
    """The method that the sentences are about: the run's own, otherwise the paper's, otherwise the last one asked."""
    return next((name for name in (options.normalization, "logistic") if name in methods[1:]), methods[-1])


def _of_answers(args: argparse.Namespace) -> Inputs:
    if args.normalization is None:
        raise AnswersError("--answers needs --normalization FILE, the artifact that `medgrpo calibrate` writes")
    options = reward_options(args.overrides)
    meta, answers = of_file(args.answers, args.data)
    return Inputs(answers, meta["decoding"]["max_tokens"], options, load_artifact(args.normalization, options))


def _run_config(root: Path, overrides: Sequence[str]) -> DictConfig:
    """The run's configuration; with overrides, composed anew from the run's own and these."""
    run = RunDir(root)
    config = read_config(run)
    if OmegaConf.select(config, "medgrpo.reward") is None:
        raise RunDirError(
            f"{run.config} has no medgrpo.reward, or does not exist: Hydra writes it with hydra.run.dir={root}/rl, "
            "like the run scripts do"
        )
    if not overrides:
        return config
    own = OmegaConf.load(run.config.with_name("overrides.yaml"))
    kept = {key: OmegaConf.select(config, key) for key in PATHS}
    paths = [f"{key}={json.dumps(value, ensure_ascii=False, default=list)}" for key, value in kept.items()]
    return composed("medgrpo", [*own, *paths, *overrides])


def _of_run(args: argparse.Namespace, config: DictConfig) -> Inputs:
    from transformers import AutoTokenizer

    options, run = resolved(config.medgrpo.reward), RunDir(args.root)
    file = args.normalization or options.artifact
    if file is None:
        raise AnswersError("this run had no artifact: give --normalization FILE, which `medgrpo calibrate` writes")
    tokenizer = AutoTokenizer.from_pretrained(config.actor_rollout_ref.model.path)

    def count_tokens(text: str) -> int:
        return len(tokenizer(text, add_special_tokens=False)["input_ids"])

    files = [args.data] if args.data else [Path(name) for name in listed(config.data.train_files)]
    rows = [row for name in files for row in read_rows(name)]
    limit = config.data.max_response_length
    answers = of_rollouts(run.rollouts, rows, count_tokens, limit, set(args.steps) if args.steps else None)
    return Inputs(answers, limit, options, load_artifact(Path(file), options))


def _score(inputs: Inputs) -> tuple[list[Answered], list[reward_score.RawScore], list[str]]:
    """The answers that have a reward and a verdict, their raw scores, and what is to be said."""
    options, notes = inputs.options, []
    rewarded = [one for one in inputs.answers if one.answer.row.task in options.reward_tasks]
    if left := len(inputs.answers) - len(rewarded):
        notes.append(f"{left} answers are of tasks without reward (medgrpo.reward.reward_tasks) and were left out")
    judge = PatientJudge(options.judge)
    scorer = reward_score.Scorer(raw_options(options, judge, options.reward_tasks))
    raws = scorer.raw(make_samples([one.answer for one in rewarded], inputs.max_tokens))
    judge.check()
    judged = [(one, raw) for one, raw in zip(rewarded, raws, strict=True) if is_judged(raw)]
    if note := judge.note(len(raws) - len(judged)):
        notes.append(note)
    if not any_compared(one for one, _ in judged):
        raise AnswersError("; ".join(["no two answers to one prompt are left to replay", *notes]))
    kept, raws = map(list, zip(*judged, strict=True))
    return kept, raws, notes + _reproduced(kept, raws, inputs)


def _reproduced(kept: Sequence[Answered], raws: Sequence[reward_score.RawScore], inputs: Inputs) -> list[str]:
    """How many of a run's rewards these options give again."""
    from recipe.medgrpo.replay.advantages import scores

    method = inputs.options.normalization
    if kept[0].score is None or method not in METHODS:
        return []
    again = scores(raws, inputs.options, inputs.artifact, method)
    same = [abs(new["score"] - one.score) < SAME_SCORE for one, new in zip(kept, again, strict=True)]
    return [f"{sum(same)} of the run's {len(same)} rewards come out again under its own normalization, {method}"]


def _print(summary: dict[str, Any], console: Console) -> None:
    figures = summary["figures"]
    console.print(
        f"{summary['answers']} answers, {summary['groups']} groups, {summary['batches']} batches; "
        f"normalization {summary['normalization'][:12]}, {summary['loss_agg_mode']}",
        soft_wrap=True,
    )
    for estimator in dict.fromkeys(one["estimator"] for one in figures):
        own = [one for one in figures if one["estimator"] == estimator]
        # Not the table's title, which would wrap at the width of a narrow table.
        console.print(f"\n{estimator}: share of the gradient, in %", highlight=False)
        table = compact_table("", ("pair",), [one["method"] for one in own])
        for pair in own[0]["share"]:
            table.add_row(pair, *(f"{100 * one['share'][pair]:.1f}" for one in own))
        table.add_section()
        for name in ("unparsable", "similarity", "judge", "agreement", "cosine"):
            table.add_row(name, *("" if one[name] is None else f"{one[name]:.2f}" for one in own))
        table.add_row("tied groups, %", *(f"{100 * np.mean(list(one['tied'].values())):.1f}" for one in own))
        console.print(table, "")
    for line in (*summary["notes"], *summary["expect"]):
        console.print(line, soft_wrap=True, markup=False, highlight=False)
