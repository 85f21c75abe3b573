# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""The LLM judge outside a run: ask it once, and look after its cache of verdicts.

:func:`check_judge` is what a training does before step 0: what the judge will cost, and whether it answers at all.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import sys
import time
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow.parquet as pq
from omegaconf import DictConfig, OmegaConf
from rich.console import Console

import reward_score
from recipe.medgrpo.scoring.artifact_check import JudgeNotReady, check_artifact
from recipe.medgrpo.scoring.training_options import composed_reward, job_options
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
        steps: of the run.
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
        unknown = "cost unknown (set price_input and price_output)"
        text = (
            f"about {self.per_step:,.0f} verdicts a step, {verdicts:,.0f} in {self.steps:,} steps, "
            f"{verdicts * self.input_tokens / 1e6:,.1f} M tokens in, {verdicts * self.output_tokens / 1e6:,.1f} M out, "
            f"{unknown if math.isnan(self.cost) else f'{self.cost:,.2f} USD'}, without what the cache saves"
        )
        limits = f"; the limits allow a step every {self.minutes_per_step:.1f} minutes" if self.minutes_per_step else ""
        return text + limits


def estimate(config: DictConfig, judge: JudgeConfig, rows: Iterable[dict[str, Any]]) -> Estimate:
    """Estimate for a composed configuration and its training rows (``data_source``, ``reward_model``, the question)."""
    tasks = set(config.data.tasks)
    n_rows, captions, asked = 0, 0, []
    aligned = OmegaConf.select(config, "medgrpo.reward.vqa.weights.alignment", default=0) > 0
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

    Raises:
        JudgeNotReady: the judge does not answer, the limits are too low for the run, the normalization was measured
            with another judge, or the judge that verl serves is not set up as it must be.
        RewardError: the judge's options make no sense, or the normalization was measured with another encoder.
    """
    options = OmegaConf.to_container(config.medgrpo.reward, resolve=True)
    judge = job_options(options, None)
    check_artifact(options)
    if judge is None or options["caption_mix"] == 1:
        return
    guess = estimate(config, judge, _rows(config.data.train_files))
    print(f"judge {judge.name}: {guess}", flush=True)
    if guess.minutes_per_step * 60 > judge.queue_limit:
        raise JudgeNotReady(
            f"a step's verdicts need {guess.minutes_per_step:.0f} minutes at rpm={judge.rpm}, tpm={judge.tpm}, more "
            f"than queue_limit={judge.queue_limit:.0f} s: raise medgrpo.reward.judge.queue_limit, or the limits"
        )
    if judge.backend == "local":
        _check_local(config)
        return
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
    model = config.reward.reward_model
    needed = {
        "reward.reward_model.enable=true": model.enable,
        "reward.reward_model.enable_resource_pool=true": model.enable_resource_pool,
        "reward.custom_reward_function.path=pkg://reward_score": config.reward.custom_reward_function.path,
    }
    wrong = [setting for setting, value in needed.items() if not value]
    if wrong:
        raise JudgeNotReady(f"a judge that verl serves needs {', '.join(wrong)}; judge=local sets all of it")


def _rows(files: str | list[str]) -> Iterable[dict[str, Any]]:
    for file in [files] if isinstance(files, str) else files:
        batches = pq.ParquetFile(file).iter_batches(columns=["data_source", "reward_model", "extra_info.question"])
        yield from itertools.chain.from_iterable(batch.to_pylist() for batch in batches)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    probe = _action(actions, "probe", "ask for one verdict, past the cache (OPENAI_API_KEY, OPENAI_BASE_URL)")
    probe.add_argument(
        "overrides", nargs="*", help="of the configuration, as main_medgrpo takes them: judge=openai ..."
    )
    probe.add_argument("--model", help="the endpoint's name of the model; without overrides")
    probe.add_argument("--rubric", choices=["comparative", "absolute"], help="what to ask; without overrides")
    for name, text in (("stats", "verdicts by model and prompt"), ("export", "all verdicts as JSON lines")):
        _cache_argument(_action(actions, name, text))
    actions.choices["export"].add_argument("--out", type=Path, help="file; default: standard output")
    prune = _action(actions, "prune", "delete verdicts that meet all the given conditions")
    _cache_argument(prune)
    prune.add_argument("--older-than", type=float, metavar="DAYS", help="age in days")
    prune.add_argument("--model", help="the model that gave them")
    prune.add_argument("--prompt", help="the prompt version, as `stats` shows it")


def _action(actions, name: str, text: str) -> argparse.ArgumentParser:
    return actions.add_parser(name, help=text, description=text)


def _cache_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--cache", type=Path, default=Path(DEFAULT_CACHE), help=f"the file (default: {DEFAULT_CACHE})")


def run(args: argparse.Namespace) -> int:
    return {"probe": _probe, "stats": _stats, "export": _export, "prune": _prune}[args.action](args)


def _probe(args: argparse.Namespace) -> int:
    own = {name: value for name, value in (("model", args.model), ("rubric", args.rubric)) if value is not None}
    if own and args.overrides:
        raise BadOption(
            "--model and --rubric are for a probe without overrides: medgrpo.reward.judge.model=NAME instead"
        )
    config = _configured(args.overrides) if args.overrides else JudgeConfig(**own)
    if isinstance(config, str):
        print(config)
        return 0
    patience = {"deadline": min(_PATIENCE, config.deadline), "cache": None}
    judge = LLMJudge(config.model_copy(update=patience))
    verdict, tally = judge.probe()
    grades = ", ".join(f"{name} {getattr(verdict, name):.0f}" for name in DIMENSIONS)
    print(f"{judge.name}: {grades}; {tally.latencies[-1]:.2f} s, {tally.requests} request(s), "
          f"{tally.input_tokens} + {tally.output_tokens} tokens")  # fmt: skip
    return 0


def _configured(overrides: list[str]) -> JudgeConfig | str:
    """The judge of a training with these overrides, or why there is nobody to ask before it.

    Raises:
        BadOption: they make no sense.
    """
    with composed_reward(overrides) as reward:
        if reward.caption_mix == 1 and not OmegaConf.select(reward, "vqa.weights.alignment", default=0) > 0:
            return "caption_mix=1: this training asks no judge"
        # Before anything else is resolved: the script of a training names this judge's model where verl starts it.
        if OmegaConf.select(reward, "judge.backend") == "local" and not OmegaConf.select(reward, "judge.base_url"):
            return "judge=local: verl serves it within the training alone, whose reward workers ask it when they start"
        options = OmegaConf.to_container(reward, resolve=True)
    config = read_judge(options["judge"])
    return config if isinstance(config, JudgeConfig) else f"judge={config.name}: nobody to ask, it needs no network"


def _file(args: argparse.Namespace) -> Path:
    path = args.cache.expanduser()
    if not path.is_file():
        raise BadOption(f"there is no judge cache {path}; a run names its own as medgrpo.reward.judge.cache")
    return path


def _stats(args: argparse.Namespace) -> int:
    from recipe.medgrpo.common.tables import compact_table

    path = _file(args)
    table = compact_table(str(path), ("model", "prompt"), ("verdicts", "mean grade", "first", "last"))
    for row in cache.statistics(path):
        dates = (datetime.fromtimestamp(row[name]).strftime("%Y-%m-%d %H:%M") for name in ("first", "last"))
        table.add_row(row["model"], row["prompt"], f"{row['verdicts']:,}", f"{row['mean_grade']:.2f}", *dates)
    Console().print(table)
    return 0


def _export(args: argparse.Namespace) -> int:
    stream = args.out.open("w", encoding="utf-8") if args.out else sys.stdout
    try:
        for row in cache.export(_file(args)):
            stream.write(json.dumps(row) + "\n")
    finally:
        if args.out:
            stream.close()
    return 0


def _prune(args: argparse.Namespace) -> int:
    if args.older_than is None and args.model is None and args.prompt is None:
        raise BadOption("prune needs a condition: --older-than DAYS, --model or --prompt")
    limit = None if args.older_than is None else time.time() - 86400 * args.older_than
    print(f"{cache.prune(_file(args), limit, args.model, args.prompt)} verdicts deleted")
    return 0
