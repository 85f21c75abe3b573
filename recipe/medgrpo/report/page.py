# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Makes one self-contained HTML page about a run, its pictures beside it, and prints the before/after table."""

from __future__ import annotations

import argparse
import base64
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined
from omegaconf import DictConfig, OmegaConf
from rich.console import Console

import reward_score
from recipe.medgrpo.common.plot_style import task_name
from recipe.medgrpo.common.run_folder import RunDir, read_json
from recipe.medgrpo.common.tables import compact_table
from recipe.medgrpo.evaluation.answers import RL_TASKS
from recipe.medgrpo.evaluation.calibrate import median_ratios
from recipe.medgrpo.report import examples as report_examples
from recipe.medgrpo.report import plots as report_plots
from recipe.medgrpo.report import run_data as report_data
from recipe.medgrpo.report import wording as report_text
from recipe.medgrpo.report.run_data import MAX_DIFFERENCE, MIN_CORRELATION, Agreement, Rollout

#: Metrics of verl's log that tell whether a run is well, by the title of their panel; those never logged are left out.
HEALTH = {
    "Entropy (nats per token)": "actor/entropy",
    "Answer length (tokens)": "response_length/mean",
    "Answers cut at the limit (share)": "response_length/clip_ratio",
    "Gradient norm": "actor/grad_norm",
    "KL of the update": "actor/ppo_kl",
    "KL to the reference": "actor/kl_loss",
}

TEMPLATE = Path(__file__).with_name("templates") / "report.html"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--run", type=Path, required=True, dest="run_dir", help="run directory (layout: run_folder.py)")
    parser.add_argument("--out", type=Path, help="HTML file to write (default: RUN/report/report.html)")


def run(args: argparse.Namespace) -> int:
    page, comparison = write_report(RunDir(args.run_dir), args.out)
    print_comparison(comparison, Console())
    print(f"\n{page} ({page.stat().st_size / 1e6:.1f} MB)")
    return 0


def write_report(run_dir: RunDir, out: Path | None = None) -> tuple[Path, list[dict[str, Any]]]:
    """Write the page and its PNGs.

    Returns:
        The HTML file, and the comparison that it shows (see ``report_data.compare``).

    Errors:
        RunDirError: an evaluation or the held-out rows are missing, or two files do not belong together.
        NormalizationError: the calibration artifact is missing or broken.
    """
    out = out or run_dir.report
    out.parent.mkdir(parents=True, exist_ok=True)
    before, after = (report_data.read_evaluation(run_dir.evaluation(name)) for name in ("sft", "rl"))
    comparison = report_data.compare(before, after)
    config = OmegaConf.load(run_dir.config) if run_dir.config.is_file() else OmegaConf.create()
    metrics = report_data.read_metrics(run_dir.metrics_files())
    options, train = reward_options(run_dir, config), report_data.training_files(run_dir, config)
    rollouts = report_data.read_rollouts(run_dir, options, train)
    policy = report_data.agreement(metrics)
    artifact = reward_score.Artifact.load(options["artifact"])
    pictures = draw(out.parent, comparison, metrics, rollouts, policy)
    drawn = run_dir.normalization.with_suffix(".png")
    own = run_dir.normalization
    if drawn.is_file() and own.is_file() and reward_score.Artifact.load(own).hash == artifact.hash:
        pictures["calibration"] = drawn
    tasks = list(dict.fromkeys(line["task"] for line in comparison if line["group"] == "task"))
    timings = read_json(run_dir.timings, "the run script") if run_dir.timings.is_file() else {}
    context = {
        "title": f"MedGRPO run: {run_dir.root.resolve().name}",
        "verdict": report_text.verdict(comparison[-1]),
        "tiles": report_text.tiles(comparison[-1], policy, metrics, timings),
        "notes": report_text.notes(policy, rollouts, report_data.lost_steps(run_dir, metrics), options["judge"]),
        "comparison": comparison,
        "leaderboard": report_text.leaderboard_change(before, after),
        "plots": {name: data_uri(pictures.get(name)) for name in (*PLOTS, "calibration")},
        "ratios": [f"{task} ({component}): {words}" for (task, component), words in median_ratios(artifact).items()],
        "calibration": report_text.calibration_table(artifact),
        "examples": report_examples.build(before, after, tasks, report_data.held_out_file(run_dir, after)),
        "colors": report_examples.COLORS,
        "facts": report_text.facts(config, metrics, rollouts, policy, before, after, timings),
    }
    out.write_text(render(context), encoding="utf-8")
    return out, comparison


def reward_options(run_dir: RunDir, config: DictConfig) -> dict[str, Any]:
    """The reward options of the run's own configuration, the paper's where it kept none, to score its answers again."""
    section = OmegaConf.select(config, "medgrpo.reward")
    options = {"normalization": "logistic"} if section is None else OmegaConf.to_container(section, resolve=True)
    return {"judge": "lexical", **options, "artifact": str(report_data.artifact_file(run_dir, config))}


# ---- pictures ------------------------------------------------------------------------------------------------------

PLOTS = ("change", "rewards", "health", "agreement")


def draw(
    folder: Path,
    comparison: list[dict[str, Any]],
    metrics: dict[int, dict[str, float]],
    rollouts: list[Rollout],
    policy: Agreement | None,
) -> dict[str, Path]:
    """Draw what the logs allow; a picture without data is not drawn."""
    pairs = [
        {
            "label": f"{line['task']} · {line['source']}",
            "before": line["reward_before"],
            "after": line["reward_after"],
            "delta_se": line["reward_delta_se"],
        }
        for line in comparison
        if line["group"] == "pair" and line["task"] in RL_TASKS
    ]
    pictures = {"change": report_plots.plot_change(pairs, folder / "change.png")}
    if rollouts:
        by_pair = report_data.rollout_series(rollouts, "pair")
        pictures["rewards"] = report_plots.plot_rewards(by_pair, folder / "rewards.png")
    panels = {}
    for title, name in HEALTH.items():
        steps, values = report_data.series(metrics, name)
        if len(steps):
            panels[title] = {name: (steps, values)}
    if rollouts:
        by_task = report_data.rollout_series(rollouts, "task")
        panels["Parsed answers (share)"] = {task: (s["step"], s["parsed"]) for task, s in by_task.items()}
    if panels:
        pictures["health"] = report_plots.plot_panels(panels, folder / "health.png")
    if policy:
        pictures["agreement"] = report_plots.plot_agreement(
            policy.steps,
            1 - policy.correlation,
            policy.difference,
            (1 - MIN_CORRELATION, MAX_DIFFERENCE),
            folder / "agreement.png",
        )
    return pictures


def data_uri(picture: Path | None) -> str | None:
    """A PNG picture as an address that holds it; None without a picture."""
    if picture is None:
        return None
    return "data:image/png;base64," + base64.b64encode(picture.read_bytes()).decode("ascii")


def render(context: dict[str, Any]) -> str:
    """The page, from the template and its ``context``."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    environment.filters.update(
        num=report_text.num,
        share=report_text.share,
        change=report_text.change,
        mood=report_text.mood,
        task_name=task_name,
    )
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(context)


def print_comparison(comparison: list[dict[str, Any]], console: Console) -> None:
    """The before/after table of the page, for the terminal."""
    numbers = ("rows", "reward", "→", "change ± SE", "raw", "→", "parsed", "→")
    table = compact_table("held-out rows, before and after RL", ("task", "source"), numbers)
    colors = {"good": "green", "bad": "red", "": ""}
    last = None
    for line in comparison:
        section = line["group"], line["task"] if line["group"] == "pair" else ""
        if last not in (None, section):
            table.add_section()
        last = section
        words = report_text.change(line["reward_delta"], line["reward_delta_se"])
        color = colors[report_text.mood(line["reward_delta"], line["reward_delta_se"])]
        table.add_row(
            "RL tasks" if line["group"] == "overall" else line["task"],
            line["source"],
            str(line["n"]),
            report_text.num(line["reward_before"]),
            report_text.num(line["reward_after"]),
            f"[{color}]{words}[/{color}]" if color else words,
            report_text.num(line["raw_before"]),
            report_text.num(line["raw_after"]),
            report_text.share(line["parsed_before"]),
            report_text.share(line["parsed_after"]),
            style="" if line["group"] == "pair" else "bold",
        )
    console.print(table)
