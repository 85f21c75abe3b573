# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""A public source's files -> MedVidBench records.

    python -m data_preprocess.build SOURCE --root DIR --out DIR

Answers that follow from the annotations go to OUT/SOURCE.json, requests for captions to OUT/SOURCE_captions.jsonl.
"""

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from data_preprocess.build.annotated import Settings
from data_preprocess.build.sources import SOURCES
from data_preprocess.build.writer import Built, build
from data_preprocess.common.cli_types import utf8_path
from data_preprocess.common.errors import InputError
from data_preprocess.common.run_summary import run_to_status
from data_preprocess.media.frames import OFFICIAL_PREFIX


def add_arguments(cli: argparse.ArgumentParser) -> None:
    names = ", ".join(source.name for source in SOURCES.values())
    cli.add_argument("source", type=str.lower, choices=sorted(SOURCES), metavar="SOURCE", help=names)
    cli.add_argument("--root", type=utf8_path, required=True, help="folder of the publishers' files")
    cli.add_argument(
        "--out", type=utf8_path, required=True, help="folder for records, and for frames taken from videos"
    )
    cli.add_argument("--seed", type=int, default=0, help="chooses wordings and grids (0)")
    cli.add_argument("--overlap", type=float, default=0.5, help="share of a clip that is in the next one too (0.5)")
    cli.add_argument("--labels", type=Path, help="your own names: rules for CoPESD, phases for CholecTrack20 (JSON)")
    cli.add_argument("--transcripts", type=Path, help="folder with <video id>.json of Whisper, for captions")
    cli.add_argument("--skip-frames", action="store_true", help="write the records, take no frame from a video yet")


def run(args: argparse.Namespace) -> int:
    if not 0 <= args.overlap < 1:
        raise InputError(f"--overlap {args.overlap} is not between 0 and 1 (below 1)")
    if args.labels and args.source not in ("copesd", "cholectrack20"):
        raise InputError(f"--labels is for CoPESD and CholecTrack20; {SOURCES[args.source].name} would ignore it")
    settings = Settings(args.labels, args.skip_frames, args.transcripts)
    built = build(SOURCES[args.source], args.root, args.out, settings, seed=args.seed, overlap=args.overlap)
    _tell(built, args.root, args.out)
    return 0


def _tell(built: Built, root: Path, out: Path) -> None:
    console = Console(markup=False, emoji=False, highlight=False, soft_wrap=True)
    counts = ", ".join(f"{count:,} {task}" for task, count in sorted(built.records.items()))
    console.print(f"{built.source}: {built.videos} videos; {counts}")
    for what, count in sorted(built.notes.items()):
        console.print(f"note: {count} {what}")
    console.print(f"written: {built.answered}, {built.requests}")
    console.print(f"next: {_next(built, root, out)}")


def _next(built: Built, root: Path, out: Path) -> str:
    """The command that goes on from here: with what has an answer, else with the captions."""
    if built.asked == built.records.total():
        captions = shlex.quote(str(out / "captions.jsonl"))
        asked = f"{shlex.quote(str(built.requests))} --captions {captions}"
        return f"medgrpo captions write {asked} --urls URL_OF_THE_FIRST/v1 URL_OF_THE_SECOND/v1"
    paths = f"--json {shlex.quote(str(built.answered))} --frames-root {shlex.quote(str(out))} --out PARQUET"
    # The records' paths are absolute. One that begins like the authors' own would be taken for theirs.
    if any(f"{folder.absolute()}/".startswith(OFFICIAL_PREFIX) for folder in (root, out)):
        paths += " --path-prefix ''"
    return f"python -m data_preprocess.medvidbench {paths}"


def main(argv: Sequence[str] | None = None) -> int:
    cli = argparse.ArgumentParser(prog="python -m data_preprocess.build", description=__doc__.split("\n")[0])
    add_arguments(cli)
    args = cli.parse_args(argv)
    return run_to_status(lambda: run(args), args.out)


if __name__ == "__main__":
    sys.exit(main())
