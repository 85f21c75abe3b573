# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""The page about one run; its pictures, and its figures as JSON, are written next to it."""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from omegaconf import OmegaConf

import reward_score
from data_preprocess.common.atomic_file import write_whole
from recipe.medgrpo.common.configuration import read_config
from recipe.medgrpo.common.listed import listed
from recipe.medgrpo.common.outputs import begins_with, check_outputs
from recipe.medgrpo.common.plot_style import task_name
from recipe.medgrpo.common.run_folder import RunDir, RunDirError
from recipe.medgrpo.common.versions import versions
from recipe.medgrpo.evaluation.calibrate import median_ratios
from recipe.medgrpo.report import examples as report_examples
from recipe.medgrpo.report import plots as report_plots
from recipe.medgrpo.report import run_data as report_data
from recipe.medgrpo.report import wording as report_text
from recipe.medgrpo.report.run_data import Agreement, Comparison, Metrics, Series
from recipe.medgrpo.report.wording import Warned
from reward_score.errors import NormalizationError
from reward_score.normalization.artifact import ALL_SOURCES

#: Metrics of verl's log that tell whether a run is well, by the title of their panel; those never logged are left out.
HEALTH = {
    "Entropy (nats per token)": "actor/entropy",
    "Answer length (tokens)": "response_length/mean",
    "Gradient norm": "actor/grad_norm",
    "Learning rate": "actor/lr",
    "KL of the update": "actor/ppo_kl",
    "KL to the reference (loss)": "actor/kl_loss",
    "KL to the reference (reward)": "actor/reward_kl_penalty",
}
#: Of these, what says nothing where it is the same at every step.
WHERE_IT_CHANGES = ("Learning rate", *(title for title in HEALTH if title.startswith("KL ")))
CUT = "Answers cut at the limit (share)"
#: Likewise what the sampler logs, as a mean per task.
TASK_HEALTH = {CUT: "cut", "Parsed answers (share)": "parsed"}

TEMPLATES = Path(__file__).with_name("templates")


def write_report(run_dir: RunDir, out: Path | None = None) -> tuple[Path, list[Comparison], list[Warned]]:
    """Write the page, its pictures and its figures; returns the HTML file, and what it compares and warns of."""
    if not run_dir.root.is_dir():
        raise RunDirError(f"{run_dir.root}: no such run folder")
    out = out or run_dir.report
    twin = out.with_suffix(".json")
    check_outputs(out, begins_with(rb".*<title>MedGRPO run: "), [twin, *(out.with_name(f"{n}.png") for n in DRAWN)])
    before, after = (report_data.read_evaluation(run_dir.evaluation(name)) for name in ("sft", "rl"))
    config = read_config(run_dir)
    of_rl = report_data.tasks_of_rl(config)
    comparison = report_data.compare(before, after, of_rl)
    metrics = report_data.read_metrics(run_dir.metrics_files())
    pairs, policy = report_data.pair_series(metrics), report_data.agreement(metrics)
    validated = report_data.pair_series(metrics, report_data.VALIDATED)
    alarms = report_data.read_alarms(run_dir)
    loggers = OmegaConf.select(config, "trainer.logger", throw_on_missing=False)
    notes = report_text.notes(metrics, pairs, policy, None if loggers is None else listed(loggers))
    pictures = draw(out.parent, comparison, metrics, pairs, policy)
    if validated:
        pictures["validation"] = report_plots.plot_rewards(validated, out.with_name("validation.png"))
    try:
        artifact = reward_score.Artifact.load(report_data.artifact_file(run_dir, config))
        own, drawn = run_dir.normalization, run_dir.normalization.with_suffix(".png")
        if drawn.is_file() and own.is_file() and reward_score.Artifact.load(own).hash == artifact.hash:
            pictures["calibration"] = drawn
    except NormalizationError as error:
        artifact = None
        notes.append(f"The page does not show the normalization: {error}.")
    tasks = [line.task for line in comparison if line.group == "task"]
    examples = report_examples.build(before, after, tasks, report_data.held_out_file(run_dir, after))
    notes += report_text.broken_frames([reason for own in examples.values() for one in own for reason in one.broken])
    rises = report_data.held_out_cut_rises(comparison), report_data.logged_cut_rises(metrics, pairs)
    looked = report_data.looks(before, after)
    figures = {
        "title": f"MedGRPO run: {run_dir.root.resolve().name}",
        "warnings": report_text.alarm_warnings(alarms)
        + report_text.unlike_warnings(before, after)
        + report_text.cut_warnings(*rises)
        + report_text.blind_warnings(looked, of_rl),
        "verdict": report_text.verdict(comparison[-1]),
        "notes": notes,
        "overall": comparison[-1],
        "comparison": comparison,
        "benchmark": report_text.benchmark_metrics(before, after),
        "looks": looked,
        "steps": [step for step in metrics if step > 0],
        "timings": run_dir.timings(),
        "facts": {
            "model before": before.summary["model"],
            **report_text.facts(config, after),
            "versions": ", ".join(f"{name} {number}" for name, number in versions().items()),
        },
    }
    context = {
        "policy": policy,
        "run": run_dir.root,
        "browse": Path(os.path.relpath(run_dir.browse, out.parent)).as_posix() if run_dir.browse.is_file() else None,
        "plots": {name: data_uri(pictures.get(name)) for name in PLOTS},
        "artifact": artifact,
        "all_sources": ALL_SOURCES,
        "ratios": median_ratios(artifact) if artifact else {},
        "examples": examples,
        "colors": report_examples.COLORS,
    }
    write_whole(out, render("report.html", figures | context))
    curves = {f"{source}/{task}": values for (source, task), values in validated.items()}
    agrees = policy and dict(zip(("correlation", "difference", "passed"), (*policy.worst, policy.passed), strict=True))
    write_whole(twin, as_json({**figures, "alarms": alarms, "agreement": agrees, "validation": curves}))
    return out, comparison, figures["warnings"]


DRAWN = ("change", "rewards", "validation", "health", "agreement")
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
    pictures = {}
    if changes:
        pictures["change"] = report_plots.plot_change(changes, folder / "change.png")
    if pairs:
        pictures["rewards"] = report_plots.plot_rewards(pairs, folder / "rewards.png")
    curves = {title: {name: report_data.series(metrics, name)} for title, name in HEALTH.items()}
    for title in WHERE_IT_CHANGES:
        if len(np.unique(curves[title][HEALTH[title]][1])) < 2:
            del curves[title]
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


def render(template: str, context: dict[str, Any]) -> str:
    """The page, from a template and its ``context``."""
    loader = FileSystemLoader(TEMPLATES)
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    text = report_text
    filters = (text.num, text.with_error, text.interval, text.share, text.change, text.mood, text.duration, task_name)
    environment.filters.update({function.__name__: function for function in filters})
    return environment.get_template(template).render(context)


def as_json(figures: dict[str, Any]) -> bytes:
    """For scripts: records as objects, arrays as lists, null for what is not a number."""
    options = orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY
    return orjson.dumps(figures, default=lambda record: record._asdict(), option=options)
