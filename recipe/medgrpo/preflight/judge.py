# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""The LLM judge outside a run: ask it once, look into its cache, and what a training asks of it before step 0."""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow.parquet as pq
from omegaconf import DictConfig, OmegaConf
from rich.console import Console

import reward_score
from recipe.medgrpo.common.listed import listed
from recipe.medgrpo.scoring.artifact_check import JudgeNotReady, check_artifact
from recipe.medgrpo.scoring.training_options import add_overrides, composed_reward, resolved, served_in_training
from reward_score.errors import BadOption, RewardError
from reward_score.judge import DIMENSIONS, JudgeConfig, LLMJudge, cache, prompt, read_judge
from reward_score.judge.config import DEFAULT_CACHE
from reward_score.tasks.registry import VQA_TASKS

#: Seconds that a probe waits for its verdict, if the options allow as many.
_PATIENCE = 30.0
#: Rows whose reference is read for the estimate.
_SAMPLE = 256
_OUTPUT_TOKENS = 40
# English text; good to a quarter.
_CHARACTERS_PER_TOKEN = 4


class Estimate(NamedTuple):
    """What a run will ask of its judge.

    Args:
        per_step: verdicts in a step, if none is cached; a dense caption counts once, although it has several pairs.
        input_tokens, output_tokens: per verdict.
        cost: USD for the whole run; NaN if the model's prices are unknown.
        minutes_per_step: the least that the limits per minute allow; 0 without limits.
    """

    per_step: float
    steps: int
    input_tokens: float
    output_tokens: float
    cost: float
    minutes_per_step: float

    def __str__(self) -> str:
        verdicts = self.per_step * self.steps
        cost = "cost unknown (set price_input and price_output)" if math.isnan(self.cost) else f"{self.cost:,.2f} USD"
        limits = f"; the limits allow a step every {self.minutes_per_step:.1f} minutes" if self.minutes_per_step else ""
        return (
            f"about {self.per_step:,.0f} verdicts a step, {verdicts:,.0f} in {self.steps:,} steps, "
            f"{verdicts * self.input_tokens / 1e6:,.1f} M tokens in, {verdicts * self.output_tokens / 1e6:,.1f} M out, "
            f"{cost}, without what the cache saves{limits}"
        )


def estimate(config: DictConfig, judge: JudgeConfig, rows: Iterable[dict[str, Any]]) -> Estimate:
    """Estimate for a composed configuration and its training rows (``data_source``, ``reward_model``, the question)."""
    tasks = set(config.data.tasks)
    aligned = OmegaConf.select(config, "medgrpo.reward.vqa.weights.alignment", default=0) > 0
    n_rows, captions, asked = 0, 0, []
    for row in rows:
        task = row["data_source"].rsplit("/", 1)[-1]
        if task not in tasks:
            continue
        n_rows += 1
        reasoned = aligned and task in VQA_TASKS
        if "judge" in reward_score.TASKS[task].COMPONENTS or reasoned:
            captions += 1
            if len(asked) < _SAMPLE:
                asked.append(_request(row, judge, config.data.max_response_length if reasoned else None))
    batch = config.data.train_batch_size
    steps = config.trainer.total_training_steps or (n_rows // batch) * config.trainer.total_epochs
    per_step = batch * config.actor_rollout_ref.rollout.n * captions / max(1, n_rows)
    tokens = sum(asked) / max(1, len(asked)) / _CHARACTERS_PER_TOKEN
    cost = judge.cost(per_step * steps * tokens, per_step * steps * _OUTPUT_TOKENS)
    minutes = max(
        per_step / judge.rpm if judge.rpm else 0.0,
        per_step * (tokens + _OUTPUT_TOKENS) / judge.tpm if judge.tpm else 0.0,
    )
    return Estimate(per_step, steps, tokens, _OUTPUT_TOKENS, cost, minutes)


def _request(row: dict[str, Any], judge: JudgeConfig, reasoning_tokens: int | None) -> int:
    """Characters of the request for one verdict: on a caption, or on reasoning of at most so many tokens."""
    reference = row["reward_model"]["ground_truth"]
    if reasoning_tokens is None:
        # A caption is about as long as its reference.
        pair, rubric = reward_score.CaptionPair(reference, reference), judge.rubric
    else:
        question = (row.get("extra_info") or {}).get("question") or ""
        candidate = "x" * (reasoning_tokens * _CHARACTERS_PER_TOKEN)
        pair, rubric = reward_score.CaptionPair(candidate, f"{question} {reference}"), "reasoning"
    return sum(len(message["content"]) for message in prompt.messages(pair, rubric, judge.system_role))


def check_judge(config: DictConfig) -> None:
    """Print the estimate of verdicts, tokens and cost, then ask for one verdict. Nothing to do without an LLM judge.

    A judge that verl serves does not exist yet; the reward workers ask it when they start.
    """
    reward = resolved(config.medgrpo.reward)
    judge = read_judge(reward.judge)
    check_artifact(reward)
    if not isinstance(judge, JudgeConfig) or reward.caption_mix == 1:
        return
    guess = estimate(config, judge, _rows(config.data.train_files))
    print(f"judge {judge.name}: {guess}", flush=True)
    if guess.minutes_per_step * 60 > judge.queue_limit:
        raise JudgeNotReady(
            f"a step's verdicts need {guess.minutes_per_step:.0f} minutes at rpm={judge.rpm}, tpm={judge.tpm}, more "
            f"than queue_limit={judge.queue_limit:.0f} s: raise medgrpo.reward.judge.queue_limit, or the limits"
        )
    if judge.backend == "local":
        return _check_local(config)
    try:
        verdict, tally = LLMJudge(judge).probe()
    except RewardError as error:
        raise JudgeNotReady(
            f"the judge {judge.name} gives no verdict, so training does not start. {error}. Set OPENAI_API_KEY and, "
            "for another endpoint than OpenAI's, OPENAI_BASE_URL and medgrpo.reward.judge.model; or train without "
            "an LLM judge: JUDGE=lexical in the run script, judge=lexical on the command line"
        ) from error
    print(f"judge {judge.name} answers: mean grade {verdict.mean:.1f}, {tally.latencies[-1]:.2f} s", flush=True)


def _check_local(config: DictConfig) -> None:
    needed = {"reward_model.enable": "true", "reward_model.enable_resource_pool": "true"}
    needed |= {"custom_reward_function.path": "pkg://reward_score"}
    wrong = [f"reward.{key}={value}" for key, value in needed.items() if not OmegaConf.select(config.reward, key)]
    if wrong:
        raise JudgeNotReady(f"a judge that verl serves needs {', '.join(wrong)}; judge=local sets all of it")


def _rows(files: str | list[str]) -> Iterable[dict[str, Any]]:
    for file in listed(files):
        for batch in pq.ParquetFile(file).iter_batches(columns=["data_source", "reward_model", "extra_info.question"]):
            yield from batch.to_pylist()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    text = "ask for one verdict, past the cache (OPENAI_API_KEY, OPENAI_BASE_URL); without overrides the paper's judge"
    add_overrides(actions.add_parser("probe", help=text, description=text))
    text = "verdicts in the cache by model and prompt"
    stats = actions.add_parser("stats", help=text, description=text)
    stats.add_argument("--cache", type=Path, default=Path(DEFAULT_CACHE), help=f"the file (default: {DEFAULT_CACHE})")


def run(args: argparse.Namespace) -> int:
    return _probe(args.overrides) if args.action == "probe" else _stats(args.cache.expanduser())


def _probe(overrides: list[str]) -> int:
    config = _configured(overrides) if overrides else JudgeConfig()
    if isinstance(config, str):
        print(config)
        return 0
    judge = LLMJudge(config.model_copy(update={"deadline": min(_PATIENCE, config.deadline), "cache": None}))
    verdict, tally = judge.probe()
    grades = ", ".join(f"{name} {getattr(verdict, name):.0f}" for name in DIMENSIONS)
    cost = f"{tally.requests} request(s), {tally.input_tokens} + {tally.output_tokens} tokens"
    print(f"{judge.name}: {grades}; {tally.latencies[-1]:.2f} s, {cost}")
    return 0


def _configured(overrides: list[str]) -> JudgeConfig | str:
    """The judge of a training with these overrides, or why there is nobody to ask before it."""
    with composed_reward(overrides) as reward:
        if reward.caption_mix == 1 and not OmegaConf.select(reward, "vqa.weights.alignment", default=0) > 0:
            return "caption_mix=1: this training asks no judge"
        # Before anything else is resolved: the script of a training names this judge's model where verl starts it.
        if served_in_training(reward):
            return "judge=local: verl serves it within the training alone, whose reward workers ask it when they start"
        judge = read_judge(resolved(reward).judge)
    return judge if isinstance(judge, JudgeConfig) else f"judge={judge.name}: nobody to ask, it needs no network"


def _stats(path: Path) -> int:
    from recipe.medgrpo.common.tables import compact_table

    if not path.is_file():
        raise BadOption(f"there is no judge cache {path}; a run names its own as medgrpo.reward.judge.cache")
    table = compact_table(str(path), ("model", "prompt"), ("verdicts", "mean grade", "first", "last"))
    for row in cache.statistics(path):
        dates = (datetime.fromtimestamp(row[name]).strftime("%Y-%m-%d %H:%M") for name in ("first", "last"))
        table.add_row(row["model"], row["prompt"], f"{row['verdicts']:,}", f"{row['mean_grade']:.2f}", *dates)
    Console().print(table)
    return 0
