# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Trains with RL, as the configuration and these overrides say; its options are Hydra's (``--cfg job`` prints it)."""

import argparse
import sys


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("overrides", nargs=argparse.REMAINDER, help="of recipe/medgrpo/config/medgrpo.yaml: KEY=VALUE")


def run(args: argparse.Namespace) -> int:
    # After the arguments are read: importing verl takes half a minute.
    from recipe.medgrpo.main_medgrpo import main

    sys.argv[1:] = args.overrides[args.overrides[:1] == ["--"] :]
    main()
    return 0
