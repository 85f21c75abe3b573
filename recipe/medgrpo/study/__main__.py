# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Runs a study's missing cells, or writes its page from the results: ``python -m recipe.medgrpo.study``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from recipe.medgrpo.common.run_folder import RunDirError
from recipe.medgrpo.study.design import Study, StudyError, Unlike
from recipe.medgrpo.study.page import write_page
from recipe.medgrpo.study.results import read_results
from recipe.medgrpo.study.run import run_missing
from reward_score import Artifact
from reward_score.errors import NormalizationError

#: Slope of the configuration's default, with which ``scale`` multiplies.
K = 3.0


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    cli = argparse.ArgumentParser(prog="python -m recipe.medgrpo.study", description=__doc__.split(":")[0])
    actions = cli.add_subparsers(dest="action", required=True)
    running = actions.add_parser("run", help="run the cells that have no result")
    running.add_argument("--out", type=Path, required=True, help="folder of the runs")
    running.add_argument("--hours", type=float, default=8.0, help="start no cell after so many (%(default)s)")
    running.add_argument("--only", nargs="+", default=(), help="these settings alone")
    running.add_argument("--seeds", nargs="+", type=int, default=(), help="these seeds alone")
    telling = actions.add_parser("page", help="write the study's part of a page")
    telling.add_argument("--page", type=Path, required=True, help="Markdown file with the two marks")
    for one in (running, telling):
        one.add_argument("--study", type=Path, required=True, help="folder of study.yaml, cell.sh and results")
    making = actions.add_parser("unlike", help="write an artifact that makes raw rewards of sources unlike")
    making.add_argument("--artifact", type=Path, required=True, help="of `medgrpo calibrate`")
    making.add_argument("--factors", required=True, help='{"scale": {SOURCE: X}, "shift": {SOURCE: X}}')
    making.add_argument("--out", type=Path, required=True, help="artifact to write")
    return cli


def main(argv: Sequence[str] | None = None) -> int:
    args = parser().parse_args(argv)
    try:
        if args.action == "unlike":
            unlike(Artifact.load(args.artifact), Unlike.model_validate_json(args.factors)).save(args.out)
            return 0
        study = Study.load(args.study / "study.yaml")
        if args.action == "run":
            return _run(args, study)
        write_page(args.page, study, read_results(study, args.study / "results"))
        return 0
    except (StudyError, RunDirError, NormalizationError, ValidationError, OSError) as error:
        print(error, file=sys.stderr)
        return 2


def unlike(artifact: Artifact, factors: Unlike) -> Artifact:
    """An artifact with which ``scale`` multiplies a source's raw score by its scale, and ``shift`` adds its shift.

    Provenance and counts are kept, so that training accepts it for the same model.
    """
    sources = {key.split("|")[0] for key in artifact.entries}
    if unknown := (factors.scale.keys() | factors.shift.keys()) - sources:
        raise StudyError(f"--factors: the artifact has no source {', '.join(unknown)}, only {', '.join(sources)}")
    entries = {}
    for key, entry in artifact.entries.items():
        source = key.split("|")[0]
        middle, spread = 0.5 - factors.shift.get(source, 0.0), K / 4 / factors.scale.get(source, 1.0)
        quartiles = {"p25": middle - spread / 2, "p50": middle, "p75": middle + spread / 2}
        entries[key] = entry.model_copy(update=quartiles)
    return artifact.model_copy(update={"entries": entries})


def _run(args: argparse.Namespace, study: Study) -> int:
    if unknown := set(args.only) - study.settings.keys():
        raise StudyError(f"--only {' '.join(sorted(unknown))}: the settings are {', '.join(study.settings)}")
    if unknown := set(args.seeds) - set(study.seeds):
        raise StudyError(f"--seeds {' '.join(map(str, unknown))}: the seeds are {', '.join(map(str, study.seeds))}")
    script, out, results = args.study / "cell.sh", args.out.absolute(), args.study / "results"
    failed = run_missing(study, script, out, results, args.hours, args.only, args.seeds)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
