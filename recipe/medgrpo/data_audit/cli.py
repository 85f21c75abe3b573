# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Makes rows (build, balance, convert), checks them before a run (check) and what two files share (overlap)."""

from __future__ import annotations

import argparse
import contextlib
import json
from importlib import import_module
from pathlib import Path

from rich.console import Console

from data_preprocess.__main__ import converters
from data_preprocess.build import __main__ as build_command
from data_preprocess.build import balance as balance_command
from data_preprocess.common.atomic_file import write_whole
from data_preprocess.common.cli_types import positive
from data_preprocess.common.errors import InputError, alike, write_failures
from recipe.medgrpo.common.tables import compact_table
from recipe.medgrpo.data_audit.check import Checked, check, open_rows
from recipe.medgrpo.data_audit.overlap import find_overlap
from recipe.medgrpo.data_audit.plots import plot_balanced, plot_checked

SHOWN = 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    checking = actions.add_parser("check", help="schema, files, fps, tokens, and the ground truth against itself")
    checking.add_argument("file", type=Path, help="Parquet file of data_preprocess, or a folder of such files")
    checking.add_argument("--out", type=Path, help="folder for failed.jsonl and histogram.png (default: FILE_check)")
    checking.add_argument("--max-failed", type=int, default=0, help="bad rows to put up with (0)")
    checking.add_argument("--max-tokens", type=int, default=32_768, help="most tokens of a row's media (32768)")
    checking.add_argument("--position-fps", type=positive, metavar="FPS", help="as given to the converter, if it was")
    checking.add_argument("--skip-files", action="store_true", help="do not read the frames and images")
    converting = actions.add_parser("convert", help="a published data set to Parquet")
    converting.add_argument("name", choices=converters(), help="the data set")
    converting.add_argument("arguments", nargs=argparse.REMAINDER, help="see medgrpo data convert NAME --help")
    comparing = actions.add_parser("overlap", help="images and questions that are in both of two files")
    comparing.add_argument("first", type=Path, help="Parquet file of data_preprocess, e.g. the training rows")
    comparing.add_argument("second", type=Path, help="Parquet file of data_preprocess, e.g. the test rows")
    comparing.add_argument("--out", type=Path, help="the list (default: overlap.jsonl next to the first file)")
    comparing.add_argument("--max-shared", type=int, default=0, help="images in common to put up with (0)")
    building = actions.add_parser("build", help="a public source's files -> MedVidBench records")
    build_command.add_arguments(building)
    balancing = actions.add_parser("balance", help="a task-balanced subset of records, and how they are distributed")
    balance_command.add_arguments(balancing)


def run(args: argparse.Namespace) -> int:
    if args.action == "build":
        return build_command.run(args)
    # Names come from the data, and may look like markup.
    console = Console(markup=False, emoji=False)
    if args.action == "balance":
        balanced = balance_command.choose(args)
        console.print(f"{plot_balanced(balanced, args.out.with_suffix('.png'))}", soft_wrap=True)
        return 0
    if args.action == "convert":
        return import_module(f"data_preprocess.{args.name}").main(args.arguments)
    if args.action == "overlap":
        return _overlap(args, console)
    if not args.file.is_dir():
        return _check(args.file, args.out or args.file.with_name(f"{args.file.stem}_check"), args, console)
    files = sorted(args.file.glob("[!.]*.parquet"))
    filled = [file for file in files if open_rows(file)[0].metadata.num_rows]
    if not filled:
        raise InputError(f"{args.file} holds no Parquet file (*.parquet) with rows")
    for file in set(files) - set(filled):
        console.print(f"{file} holds no rows", soft_wrap=True)
    return max(_check(file, (args.out or args.file) / f"{file.stem}_check", args, console) for file in filled)


@contextlib.contextmanager
def _writing(out: Path):
    """Into a folder, which is made; what then goes wrong is told in words."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        reason = error.strerror or error
        raise InputError(f"{error.filename or out}: {reason}. Choose another place with --out") from error


def _check(file: Path, out: Path, args: argparse.Namespace, console: Console) -> int:
    if out.resolve() == file.parent.resolve():
        raise InputError(
            f"{out} holds the file itself, and may hold its converter's list: choose another one with --out"
        )
    checked = check(file, max_tokens=args.max_tokens, read_files=not args.skip_files, position_fps=args.position_fps)
    with _writing(out):
        write_failures(out / "failed.jsonl", checked.failures)
        picture = plot_checked(checked, out / "histogram.png")
    console.print(_counts(checked))
    groups = alike(checked.failures)
    for _, line in groups[:SHOWN]:
        console.print(line, soft_wrap=True, highlight=False)
    if len(groups) > SHOWN:
        console.print(f"... and more of {len(groups) - SHOWN} other kinds")
    bad, total = checked.bad.total(), checked.rows.total()
    where = f", {out / 'failed.jsonl'}" if bad else ""
    console.print(f"{bad} of {total} rows have problems ({args.max_failed} allowed){where}", soft_wrap=True)
    console.print(f"{picture}", soft_wrap=True)
    return int(bad > args.max_failed)


def _counts(checked: Checked):
    table = compact_table(str(checked.path), ("source", "task"), ("rows", "problems", "tokens p50", "max", "files"))
    for pair in sorted(checked.rows):
        tokens = sorted(checked.tokens[pair])
        known = (tokens[len(tokens) // 2], tokens[-1]) if tokens else ("?", "?")
        numbers = (checked.rows[pair], checked.bad[pair], *known, checked.files[pair])
        table.add_row(*pair, *map(str, numbers))
    table.add_section()
    table.add_row("all", "", *map(str, (checked.rows.total(), checked.bad.total(), "", "", checked.files.total())))
    return table


def _overlap(args: argparse.Namespace, console: Console) -> int:
    out = args.out or args.first.with_name("overlap.jsonl")
    if out.resolve() in (args.first.resolve(), args.second.resolve()):
        raise InputError(f"{out} is one of the two files: choose another place with --out")
    counts, shared = find_overlap(args.first, args.second)
    with _writing(out.parent):
        write_whole(out, "".join(json.dumps(entry, ensure_ascii=False) + "\n" for entry in shared))
    table = compact_table(f"{args.first} and {args.second}", ("in common",), ("number", "rows first", "rows second"))
    for name, numbers in counts.items():
        table.add_row(name, *map(str, numbers))
    console.print(table)
    console.print(f"{out}", soft_wrap=True)
    return int(counts["images"][0] > args.max_shared)
