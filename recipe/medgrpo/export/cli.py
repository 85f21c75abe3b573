# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Makes a folder for others of a run's model: weights, processor, generation defaults, model card, two programs."""

from __future__ import annotations

import argparse
from pathlib import Path

from omegaconf import OmegaConf

from data_preprocess.common.atomic_file import whole_file
from data_preprocess.common.cli_types import at_least
from recipe.medgrpo.common.outputs import check_new_folder
from recipe.medgrpo.common.run_folder import RunDir
from recipe.medgrpo.export import card, checkpoint, settings
from recipe.medgrpo.export.checkpoint import ExportError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run_dir", metavar="RUN", type=Path, help="run directory")
    parser.add_argument("--out", type=Path, required=True, help="folder to write; must be new or empty")
    parser.add_argument("--stage", choices=["rl", "sft"], default="rl", help="whose checkpoint")
    parser.add_argument(
        "--checkpoint", type=_which, default="last", metavar="STEP", help="last, best (of those validated) or a step"
    )
    parser.add_argument("--data", type=Path, help="rows it was trained on (default: the run's)")
    parser.add_argument("--max-tokens", type=at_least(1), help="longest answer (default: the training's)")
    parser.add_argument("--base", help="name of the base model, for the card")
    parser.add_argument("--license", default="other", help="of the weights, for the card: the base model's")


def _which(text: str) -> str:
    if text not in ("last", "best") and not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text}: give last, best or the number of a step")
    return text


def run(args: argparse.Namespace) -> int:
    run_dir = RunDir(args.run_dir)
    check_new_folder(args.out)
    found = checkpoint.find(run_dir, args.stage, args.checkpoint)
    config = OmegaConf.load(run_dir.config) if run_dir.config.is_file() else OmegaConf.create()
    media = settings.media_settings(args.data or run_dir.training_rows(config))
    max_tokens = args.max_tokens or OmegaConf.select(config, "data.max_response_length")
    if max_tokens is None:
        raise ExportError(f"{run_dir.config} does not say how long an answer may be: give --max-tokens")
    args.out.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(args.out.absolute()) as folder:
        checkpoint.write_model(found, folder)
        settings.write_processor(folder, media)
        settings.write_generation(folder, max_tokens)
        facts = card.facts(run_dir, config, found, args.stage, base=args.base, license=args.license)
        card.write(folder, facts, media, max_tokens, settings.template(run_dir, args.stage))
    print(f"{args.out}: {args.stage} step {found.step}; README.md says how to use it")
    return 0
