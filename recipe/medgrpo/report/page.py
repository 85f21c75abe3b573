# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Makes one self-contained HTML page about a run, its pictures next to it, and prints the before/after table."""

from __future__ import annotations

import argparse
import base64
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, StrictUndefined
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from rich.console import Console
from yaml import YAMLError

import reward_score
from data_preprocess.common.atomic_file import write_whole
from recipe.medgrpo.common.listed import listed
from recipe.medgrpo.common.outputs import begins_with, check_outputs
from recipe.medgrpo.common.plot_style import task_name
from recipe.medgrpo.common.run_folder import RunDir, RunDirError
from recipe.medgrpo.common.tables import compact_table
from recipe.medgrpo.evaluation.calibrate import median_ratios
from recipe.medgrpo.report import examples as report_examples
from recipe.medgrpo.report import plots as report_plots
from recipe.medgrpo.report import run_data as report_data
from recipe.medgrpo.report import wording as report_text
from recipe.medgrpo.report.run_data import Agreement, Comparison, Metrics, Series
from reward_score.errors import NormalizationError
from reward_score.normalization.artifact import ALL_SOURCES

#: Metrics of verl's log that tell whether a run is well, by the title of their panel; those never logged are left out.
HEALTH = {
    "Entropy (nats per token)": "actor/entropy",
    "Answer length (tokens)": "response_length/mean",
    "Gradient norm": "actor/grad_norm",
    "KL of the update": "actor/ppo_kl",
    "KL to the reference": "actor/kl_loss",
}

CUT = "Answers cut at the limit (share)"
#: Likewise what the sampler logs, as a mean per task.
TASK_HEALTH = {CUT: "cut", "Parsed answers (share)": "parsed"}

TEMPLATE = Path(__file__).with_name("templates") / "report.html"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--run", type=Path, required=True, help="run directory (layout: run_folder.py)")
    parser.add_argument("--out", type=Path, help="HTML file to write (default: RUN/report/report.html)")


def run(args: argparse.Namespace) -> int:
    page, comparison, warning = write_report(RunDir(args.run), args.out)
    console = Console()
    print_comparison(comparison, console)
    if warning:
        title, *paragraphs = warning
        console.print(f"\n[bold yellow]warning: {title}[/bold yellow]", soft_wrap=True)
        console.print("\n".join(paragraphs), soft_wrap=True, markup=False)
    console.print(f"\n{page} ({page.stat().st_size / 1e6:.1f} MB)", soft_wrap=True, markup=False)
    return 0


def write_report(run_dir: RunDir, out: Path | None = None) -> tuple[Path, list[Comparison], list[str]]:
    """Write the page and its PNGs.

    Returns:
        The HTML file, and the comparison and the warning that it shows (see `wording.cut_warning`).

    Raises:
        RunDirError: an evaluation or the held-out rows are missing, or two files do not belong together.
    """
    if not run_dir.root.is_dir():
        raise RunDirError(f"{run_dir.root}: no such run folder")
    out = out or run_dir.report
    check_outputs(out, begins_with(rb".*<title>MedGRPO run: "), [out.with_name(f"{name}.png") for name in DRAWN])
    before, after = (report_data.read_evaluation(run_dir.evaluation(name)) for name in ("sft", "rl"))
    comparison = report_data.compare(before, after)
    config = read_config(run_dir)
    metrics = report_data.read_metrics(run_dir.metrics_files())
    pairs, policy = report_data.pair_series(metrics), report_data.agreement(metrics)
    loggers = OmegaConf.select(config, "trainer.logger", throw_on_missing=False)
    notes = report_text.notes(metrics, pairs, policy, None if loggers is None else listed(loggers))
    pictures = draw(out.parent, comparison, metrics, pairs, policy)
    try:
        artifact = reward_score.Artifact.load(report_data.artifact_file(run_dir, config))
        own, drawn = run_dir.normalization, run_dir.normalization.with_suffix(".png")
        if drawn.is_file() and own.is_file() and reward_score.Artifact.load(own).hash == artifact.hash:
            pictures["calibration"] = drawn
    except NormalizationError as error:
        artifact = None
        notes.append(f"The page does not show the normalization: {error}.")
    tasks = [line.task for line in comparison if line.group == "task"]
    timings = run_dir.timings()
    warning = report_text.cut_warning(
        report_data.held_out_cut_rises(comparison), report_data.logged_cut_rises(metrics, pairs)
    )
    context = {
        "title": f"MedGRPO run: {run_dir.root.resolve().name}",
        "warning": warning,
        "verdict": report_text.verdict(comparison[-1]),
        "overall": comparison[-1],
        "policy": policy,
        "steps": [step for step in metrics if step > 0],
        "timings": timings,
        "notes": notes,
        "comparison": comparison,
        "leaderboard": report_text.leaderboard_changes(before, after),
        "plots": {name: data_uri(pictures.get(name)) for name in PLOTS},
        "artifact": artifact,
        "all_sources": ALL_SOURCES,
        "ratios": median_ratios(artifact) if artifact else {},
        "examples": report_examples.build(before, after, tasks, report_data.held_out_file(run_dir, after)),
        "colors": report_examples.COLORS,
        "facts": report_text.facts(config, metrics, policy, before, after, timings),
    }
    write_whole(out, render(context))
    return out, comparison, warning


def read_config(run_dir: RunDir) -> DictConfig:
    """The configuration of RL; empty without its file."""
    if not run_dir.config.is_file():
        return OmegaConf.create()
    try:
        config = OmegaConf.load(run_dir.config)
    except (OmegaConfBaseException, YAMLError, OSError, ValueError) as error:
        raise RunDirError(f"{run_dir.config}: no configuration: {error}") from None
    return config if isinstance(config, DictConfig) else OmegaConf.create()


# ---- pictures ------------------------------------------------------------------------------------------------------

DRAWN = ("change", "rewards", "health", "agreement")
PLOTS = (*DRAWN, "calibration")


def draw(
    folder: Path,
    comparison: list[Comparison],
    metrics: Metrics,
    pairs: dict[tuple[str, str], Series],
    policy: Agreement | None,
) -> dict[str, Path]:
    """Draw what the logs allow; a picture without data is not drawn."""
    changes = {
        f"{line.task} · {line.source}": line.reward for line in comparison if line.group == "pair" and line.rewarded
    }
    pictures = {"change": report_plots.plot_change(changes, folder / "change.png")}
    if pairs:
        pictures["rewards"] = report_plots.plot_rewards(pairs, folder / "rewards.png")
    curves = {title: {name: report_data.series(metrics, name)} for title, name in HEALTH.items()}
    tasks = report_data.task_series(pairs)
    for title, key in TASK_HEALTH.items():
        curves[title] = {task: (values["step"], values[key]) for task, values in tasks.items()}
    if all(np.isnan(values).all() for _, values in curves[CUT].values()):
        curves[CUT] = {report_data.CLIP_RATIO: report_data.series(metrics, report_data.CLIP_RATIO)}
    panels = {title: lines for title, lines in curves.items() if any(len(steps) for steps, _ in lines.values())}
    if panels:
        pictures["health"] = report_plots.plot_panels(panels, folder / "health.png")
    if policy:
        pictures["agreement"] = report_plots.plot_agreement(policy, folder / "agreement.png")
    return pictures


def data_uri(picture: Path | None) -> str | None:
    """A PNG picture as an address that holds it; None without a picture."""
    return picture and "data:image/png;base64," + base64.b64encode(picture.read_bytes()).decode("ascii")


def render(context: dict[str, Any]) -> str:
    """The page, from the template and its ``context``."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    filters = (report_text.num, report_text.share, report_text.change, report_text.mood, report_text.duration)
    environment.filters.update({function.__name__: function for function in (*filters, task_name)})
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(context)


def print_comparison(comparison: list[Comparison], console: Console) -> None:
    """The before/after table of the page, for the terminal."""
    numbers = ("rows", "reward", "→", "change ± SE", "raw", "→", "parsed %", "cut %")
    table = compact_table("held-out rows, before and after RL", ("task", "source"), numbers)
    colors = {"good": "green", "bad": "red", "": "default"}
    for _, lines in groupby(comparison, key=lambda line: (line.group, line.group == "pair" and line.task)):
        for line in lines:
            table.add_row(
                *(("RL", "all tasks") if line.group == "overall" else (line.task, line.source)),
                str(line.n),
                report_text.num(line.reward.before),
                report_text.num(line.reward.after),
                f"[{colors[report_text.mood(line.reward)]}]{report_text.change(line.reward)}[/]",
                report_text.num(line.raw.before),
                report_text.num(line.raw.after),
                f"{100 * line.parsed.before:.0f} {100 * line.parsed.after:.0f}",
                f"{100 * line.cut.before:.0f} {100 * line.cut.after:.0f}",
                style="" if line.group == "pair" else "bold",
            )
        table.add_section()
    console.print(table)
