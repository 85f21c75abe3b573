# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""The page that compares runs (arms, seeds) with the first of them: their evaluations after RL, row by row."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from data_preprocess.common.atomic_file import write_whole
from recipe.medgrpo.common.configuration import read_config
from recipe.medgrpo.common.outputs import begins_with, check_outputs
from recipe.medgrpo.common.run_folder import RunDir, RunDirError
from recipe.medgrpo.report import page, run_data
from recipe.medgrpo.report import plots as report_plots
from recipe.medgrpo.report import wording as report_text
from recipe.medgrpo.report.run_data import Comparison, Evaluation


def write_comparison(
    run_dirs: Sequence[RunDir], out: Path | None = None
) -> tuple[Path, dict[str, list[Comparison]], list[str]]:
    """Write the page, its picture and figures; returns the file, each run's comparison with the first, and notes."""
    out = out or run_dirs[0].report.with_name("comparison.html")
    picture, twin = out.with_suffix(".png"), out.with_suffix(".json")
    check_outputs(out, begins_with(rb".*<title>MedGRPO runs: "), [twin, picture])
    named = dict(zip(names(run_dirs), run_dirs, strict=True))
    sides = {name: run_data.read_evaluation(run.evaluation("rl")) for name, run in named.items()}
    first = next(iter(sides))
    configs = {name: read_config(run) for name, run in named.items()}
    tasks = {name: run_data.tasks_of_rl(config) for name, config in configs.items()}
    lines = {name: _compare(first, sides[first], name, side, tasks[first]) for name, side in sides.items()}
    facts = {name: report_text.facts(config, sides[name]) for name, config in configs.items()}
    for name, run in named.items():
        facts[name]["alarms"] = str(len(run_data.read_alarms(run)))
    rewards = len({side.summary["normalization"] for side in sides.values()}) == 1
    notes = report_text.notes_on_runs(facts, rewards)
    if len({frozenset(own) for own in tasks.values()}) > 1:
        notes.append(f"The runs were trained on different tasks. All tasks of RL are those of {first}.")
    if not lines[first][-1].n:
        notes.append(report_text.verdict(lines[first][-1]))
    figures = {
        "title": f"MedGRPO runs: {', '.join(sides)}",
        "notes": notes,
        "rewards": rewards,
        "runs": lines,
        "benchmark": {name: report_text.benchmark_metrics(sides[first], side) for name, side in sides.items()},
        "facts": facts,
    }
    report_plots.plot_runs({name: own for name, own in lines.items() if name != first}, first, picture)
    table = {name: [own.get(name, "–") for own in facts.values()] for own in facts.values() for name in own}
    context = {
        "first": first,
        "plot": page.data_uri(picture),
        "rows": list(zip(*lines.values(), strict=True)),
        "table": sorted(table.items(), key=lambda fact: len(set(fact[1])) == 1),
    }
    write_whole(out, page.render("runs.html", figures | context))
    write_whole(twin, page.as_json(figures))
    return out, lines, notes


def names(run_dirs: Sequence[RunDir]) -> list[str]:
    """What to call the runs: their folders' names, or all paths where two have the same name."""
    folders = [run.root.resolve() for run in run_dirs]
    if len(set(folders)) < len(folders):
        raise RunDirError(f"{', '.join(str(run.root) for run in run_dirs)}: a run is given twice")
    found = [folder.name for folder in folders]
    return found if len(set(found)) == len(found) else [str(run.root) for run in run_dirs]


def _compare(first: str, base: Evaluation, name: str, side: Evaluation, tasks: Sequence[str]) -> list[Comparison]:
    if odd := [key for key in run_data.SCORING if base.summary.get(key) != side.summary.get(key)]:
        values = " and ".join(str(one.summary.get(odd[0])) for one in (base, side))
        raise RunDirError(f"{first} and {name} were evaluated with another {odd[0]} ({values}): evaluate both alike")
    try:
        return run_data.compare(base, side, tasks, across_normalizations=True)
    except RunDirError as error:
        raise RunDirError(f"{first} and {name}: {error}") from None
