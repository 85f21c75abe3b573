# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Runs a study's missing cells, or writes its page from the results: ``python -m recipe.medgrpo.study``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from recipe.medgrpo.study.design import Study, StudyError
from reward_score import Artifact


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    cli = argparse.ArgumentParser(prog="python -m recipe.medgrpo.study", description=__doc__.split(":")[0])
    actions = cli.add_subparsers(dest="action", required=True)
    running = actions.add_parser("run", help="run the cells that have no result")
    running.add_argument("--out", type=Path, required=True, help="folder of the runs")
    running.add_argument("--hours", type=float, default=8.0, help="start no cell after so many (%(default)s)")
    running.add_argument("--only", nargs="+", help="these settings alone")
    telling = actions.add_parser("page", help="write the study's part of a page")
    telling.add_argument("--page", type=Path, required=True, help="Markdown file with the two marks")
    for one in (running, telling):
        one.add_argument("--study", type=Path, required=True, help="folder of study.yaml, cell.sh and results")
    making = actions.add_parser("unlike", help="write an artifact that makes raw rewards of sources unlike")
    making.add_argument("--artifact", type=Path, required=True, help="of `medgrpo calibrate`")
    making.add_argument(
        "--factors", type=json.loads, required=True, help='{"scale": {SOURCE: X}, "shift": {SOURCE: X}}'
    )
    making.add_argument("--out", type=Path, required=True, help="artifact to write")
    return cli


def main(argv: Sequence[str] | None = None) -> int:
    args = parser().parse_args(argv)
    try:
        return _unlike(args) if args.action == "unlike" else _run(args) if args.action == "run" else _page(args)
    except StudyError as error:
        print(error, file=sys.stderr)
        return 2


def _unlike(args: argparse.Namespace) -> int:
    from recipe.medgrpo.study.factors import unlike

    unlike(Artifact.load(args.artifact), **args.factors).save(args.out)
    return 0


def _run(args: argparse.Namespace) -> int:
    from recipe.medgrpo.study.run import run_missing

    study = Study.load(args.study / "study.yaml")
    if unknown := set(args.only or ()) - study.settings.keys():
        raise StudyError(f"--only {' '.join(sorted(unknown))}: the settings are {', '.join(study.settings)}")
    only = set(args.only) if args.only else None
    failed = run_missing(study, args.study / "cell.sh", args.out.absolute(), args.study / "results", args.hours, only)
    return 1 if failed else 0


def _page(args: argparse.Namespace) -> int:
    from recipe.medgrpo.study.page import write_page
    from recipe.medgrpo.study.results import read_results

    study = Study.load(args.study / "study.yaml")
    write_page(args.page, study, read_results(study, args.study / "results"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
