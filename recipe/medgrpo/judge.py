# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""The LLM judge outside a run: ask it once, and look after its cache of verdicts."""

from __future__ import annotations

import argparse
import json
import sys
import time
from datetime import datetime
from pathlib import Path

from omegaconf import OmegaConf
from rich.console import Console

from recipe.medgrpo.caption_scorers import composed_reward
from reward_score.errors import BadOption
from reward_score.judge import DIMENSIONS, JudgeConfig, LLMJudge, cache, read_judge
from reward_score.judge.config import DEFAULT_CACHE

#: Seconds that a probe waits for its verdict, if the options allow as many.
_PATIENCE = 30.0


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
    from recipe.medgrpo.tables import compact_table

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
