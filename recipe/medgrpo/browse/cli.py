# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Makes a page to look through a run's answers: filter, see frames, spans and boxes, follow a prompt over the steps."""

from __future__ import annotations

import argparse
from pathlib import Path

from omegaconf import OmegaConf

from recipe.medgrpo.browse import site
from recipe.medgrpo.common.run_folder import RunDir


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run_dir", metavar="RUN", type=Path, help="run directory")
    parser.add_argument("--out", type=Path, help="folder to write (default: RUN/browse)")
    parser.add_argument("--data", type=Path, help="rows it was trained on (default: the run's)")


def run(args: argparse.Namespace) -> int:
    run_dir = RunDir(args.run_dir)
    config = OmegaConf.load(run_dir.config) if run_dir.config.is_file() else OmegaConf.create()
    out = args.out or run_dir.root / "browse"
    steps, answers = site.write(run_dir, config, args.data or run_dir.training_rows(config), out)
    print(f"{out / 'index.html'}: {answers} answers of {steps} steps; open it in a browser")
    return 0
