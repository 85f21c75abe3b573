# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Makes one self-contained HTML page about a run, before and after RL, or about several runs, compared with the first.

Its pictures, and its figures as JSON, are written next to it.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path

from rich.console import Console

from recipe.medgrpo.common.run_folder import RunDir
from recipe.medgrpo.common.tables import compact_table
from recipe.medgrpo.report import page, runs
from recipe.medgrpo.report import wording as report_text
from recipe.medgrpo.report.run_data import Comparison

#: Lines of a warning that the terminal gets.
SHOWN = 5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("runs", metavar="RUN", nargs="+", type=Path, help="run directory; several are compared")
    parser.add_argument(
        "--out", type=Path, help="HTML file to write (default: RUN/report/report.html, or comparison.html of the first)"
    )


def run(args: argparse.Namespace) -> int:
    console = Console()
    if len(args.runs) > 1:
        out, lines, notes = runs.write_comparison([RunDir(run) for run in args.runs], args.out)
        print_runs(lines, console)
        console.print("", *notes, sep="\n", soft_wrap=True, markup=False)
    else:
        out, comparison, warnings = page.write_report(RunDir(args.runs[0]), args.out)
        print_comparison(comparison, console)
        if not comparison[-1].n:
            console.print(report_text.verdict(comparison[-1]), soft_wrap=True, markup=False)
        for warned in warnings:
            console.print(f"\n[bold yellow]warning: {warned.title}[/bold yellow]", soft_wrap=True)
            more = [f"and {len(warned.lines) - SHOWN} more, see the page"] if len(warned.lines) > SHOWN else []
            text = [*warned.lines[:SHOWN], *more, *warned.paragraphs]
            console.print("\n".join(text), soft_wrap=True, markup=False)
    size = out.stat().st_size / 1e6
    console.print(f"\n{out} ({size:.1f} MB), {out.with_suffix('.json').name}", soft_wrap=True, markup=False)
    return 0


def print_comparison(comparison: Sequence[Comparison], console: Console) -> None:
    """The before/after table of the page, for the terminal."""
    numbers = ("rows", "reward", "→", "change ± SE", "raw", "→", "parsed %", "cut %")
    table = compact_table("held-out rows, before and after RL", ("task", "source"), numbers)
    colors = {"good": "green", "bad": "red", "": "default"}
    # No row may be of the tasks of RL.
    own = [line for line in comparison if line.n]
    for _, lines in groupby(own, key=lambda line: (line.group, line.group == "pair" and line.task)):
        for line in lines:
            who = ("RL", "all tasks") if line.group == "overall" else (line.task, line.source)
            means = line.reward.before, line.reward.after, line.raw.before, line.raw.after
            cells = [str(line.n), *map(report_text.num, means)]
            cells.insert(3, f"[{colors[report_text.mood(line.reward)]}]{report_text.change(line.reward)}[/]")
            cells += [f"{100 * of.before:.0f} {100 * of.after:.0f}" for of in (line.parsed, line.cut)]
            table.add_row(*who, *cells, style="" if line.group == "pair" else "bold")
        table.add_section()
    console.print(table)


def print_runs(lines: Mapping[str, Sequence[Comparison]], console: Console) -> None:
    """Per task, each run's mean over all sources and its difference to the first run."""
    first = next(iter(lines))
    columns = ("rows", "raw ± SE", f"difference to {first} ± SE")
    table = compact_table("held-out rows after RL, paired by row", ("task", "run"), columns)
    for of_task in zip(*lines.values(), strict=True):
        if of_task[0].group == "task":
            for name, line in zip(lines, of_task, strict=True):
                mean = report_text.with_error(line.raw.after, line.raw.after_error)
                table.add_row(line.task, name, str(line.n), mean, "" if name == first else report_text.change(line.raw))
            table.add_section()
    console.print(table)
