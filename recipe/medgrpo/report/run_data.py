# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""The numbers of a report: the trainer's logs, the paired comparison of two evaluations, and where answers were cut."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from omegaconf import DictConfig, OmegaConf

from recipe.medgrpo.common.listed import listed
from recipe.medgrpo.common.run_folder import EvalDir, RunDir, RunDirError, read_json, read_jsonl
from recipe.medgrpo.common.run_log import ALARMS
from recipe.medgrpo.evaluation.answers import mean_and_error, number, pair_rank, read_results, row_means, task_rank
from reward_score import PAPER_TASKS

CORRELATION = "training/rollout_actor_probs_pearson_corr"
DIFFERENCE = "training/rollout_probs_diff_mean"
MIN_CORRELATION, MAX_DIFFERENCE = 0.999, 1e-2
#: What the sampler logs per (source, task), see recipe/medgrpo/trainer/step_metrics.py.
PAIR = re.compile(r"medgrpo/([^/]+)/([^/]+)/(answers|raw/mean|reward/mean|parse_rate|cut_share)")
PAIR_METRICS = {"raw/mean": "raw", "reward/mean": "reward", "parse_rate": "parsed", "cut_share": "cut"}
#: What verl's own validation logs of a data source <benchmark>/<source>/<task>, by the number of samples per row.
VALIDATED = re.compile(r"val-(?:core|aux)/[^/]+/([^/]+)/([^/]+)/(raw|reward)/mean@\d+")
CLIP_RATIO = "response_length/clip_ratio"
#: By how much the share of cut answers may rise before the page warns.
MAX_CUT_RISE = 0.02
#: A model looks if at least this share of a task's score comes from it; and how many rows it takes to say so.
BLIND_SHARE, MIN_ROWS = 0.1, 20

Metrics = Mapping[int, Mapping[str, float]]
Series = dict[str, np.ndarray]


def read_metrics(files: Sequence[Path]) -> Metrics:
    """verl's file logs as one table, step to {metric: value}, in the order of steps.

    verl truncates the file at each start, so a resumed run has several. A later start repeats the steps after its
    checkpoint: its values win.
    """
    starts = []
    for path in files:
        lines = read_jsonl(path, "verl's file logger", cut_tail_allowed=True)
        if not all(isinstance(line.get("step"), int) and isinstance(line.get("data"), dict) for line in lines):
            raise RunDirError(f"{path}: lines lack step or data; is this verl's file log (trainer.logger=[file])?")
        if lines:
            starts.append((lines[0]["step"], path.name, lines))
    table: dict[int, dict[str, float]] = defaultdict(dict)
    for _, _, lines in sorted(starts, key=lambda start: start[:2]):
        for line in lines:
            table[line["step"]] |= {name: at for name, at in line["data"].items() if isinstance(at, int | float)}
    return dict(sorted(table.items()))


def series(metrics: Metrics, name: str) -> tuple[np.ndarray, np.ndarray]:
    """(steps, values) of one metric, each of shape (steps that logged it,); empty when it was never logged."""
    steps = [step for step, values in metrics.items() if name in values]
    return np.asarray(steps), np.asarray([metrics[step][name] for step in steps], dtype=float)


def samples(name: str) -> int:
    """N of a ``.../mean@N``, 0 of other names. verl logs mean@8 next to mean@16 when answers to some rows were lost:
    sorted by this, the greater one comes last and wins.
    """
    tail = name.rpartition("@")[2]
    return int(tail) if tail.isdigit() else 0


def pair_series(metrics: Metrics, logged: re.Pattern[str] = PAIR) -> dict[tuple[str, str], Series]:
    """(source, task) to ``step`` and what else was ``logged`` of it, each of shape (steps that logged any,).

    A value is NaN where the step did not log it. With VALIDATED: ``raw`` and ``reward`` of verl's validation.
    """
    found: dict[tuple[str, str], dict[int, dict[str, float]]] = defaultdict(lambda: defaultdict(dict))
    for step, figures in metrics.items():
        for name in filter(None, map(logged.fullmatch, sorted(figures, key=samples))):
            found[name[1], name[2]][step][PAIR_METRICS.get(name[3], name[3])] = figures[name[0]]
    keys = ("raw", "reward") if logged is VALIDATED else ("answers", *PAIR_METRICS.values())
    return {
        pair: {"step": np.asarray(list(steps))}
        | {key: np.asarray([values.get(key, math.nan) for values in steps.values()]) for key in keys}
        for pair, steps in sorted(found.items())
    }


def task_series(pairs: Mapping[tuple[str, str], Series]) -> dict[str, Series]:
    """Task to ``step`` and the values of PAIR_METRICS: means over the task's sources, weighted by their answers."""
    return {
        task: _merged([values for (_, of_task), values in pairs.items() if of_task == task])
        for task in sorted({task for _, task in pairs}, key=task_rank)
    }


def _merged(sources: Sequence[Series]) -> Series:
    steps = np.unique(np.concatenate([values["step"] for values in sources]))

    def by_source(key: str) -> np.ma.MaskedArray:
        grid = np.full((len(sources), len(steps)), math.nan)
        for line, values in zip(grid, sources, strict=True):
            line[np.searchsorted(steps, values["step"])] = values[key]
        return np.ma.masked_invalid(grid)

    answers = by_source("answers").filled(0)
    means = {
        key: np.ma.average(by_source(key), axis=0, weights=answers).filled(math.nan) for key in PAIR_METRICS.values()
    }
    return {"step": steps, **means}


def lost_steps(metrics: Metrics) -> list[int]:
    """Steps between the first and the last of the log that have no line in it."""
    return [step for step in range(max(1, min(metrics)), max(metrics)) if step not in metrics] if metrics else []


def read_alarms(run: RunDir) -> list[dict[str, Any]]:
    """Every warning and error of the run's trainings: ``time``, ``level``, ``step`` (or None) and ``message``."""
    file = run.rl / ALARMS
    alarms = read_jsonl(file, "the training", cut_tail_allowed=True) if file.exists() else []
    if odd := [line for line, alarm in enumerate(alarms, start=1) if not isinstance(alarm.get("message"), str)]:
        raise RunDirError(f"{file}, alarm {odd[0]}: no message; is this the file of a training?")
    return alarms


@dataclass(frozen=True)
class Agreement:
    """How far the trainer's token probabilities are from the rollout engine's; ``unknown`` steps logged none."""

    steps: np.ndarray
    correlation: np.ndarray
    difference: np.ndarray
    unknown: int

    @property
    def worst(self) -> tuple[float, float]:
        """(smallest correlation, largest mean difference)."""
        return float(self.correlation.min()), float(self.difference.max())

    @property
    def passed(self) -> bool:
        correlation, difference = self.worst
        return correlation >= MIN_CORRELATION and difference < MAX_DIFFERENCE


def agreement(metrics: Metrics) -> Agreement | None:
    """None when the run did not log it (``actor_rollout_ref.rollout.calculate_log_probs=True`` does)."""
    trained = {step: values for step, values in metrics.items() if "training/global_step" in values}
    both = {step: values for step, values in trained.items() if CORRELATION in values and DIFFERENCE in values}
    if not both:
        return None
    correlation, difference = (series(both, name)[1] for name in (CORRELATION, DIFFERENCE))
    return Agreement(np.asarray(list(both)), correlation, difference, unknown=len(trained) - len(both))


def held_out_file(run: RunDir, evaluation: Evaluation) -> Path:
    """The run directory's own held-out rows, or else those that were evaluated."""
    for file in (run.val, Path(evaluation.summary["data"])):
        if file.is_file():
            return file
    raise RunDirError(f"the held-out rows are neither {run.val} nor {file}: put a copy of the Parquet file there")


def artifact_file(run: RunDir, config: DictConfig) -> Path:
    """The normalization that RL used. The configured path may be somebody else's once a run has been moved."""
    configured = OmegaConf.select(config, "medgrpo.reward.artifact", throw_on_missing=False)
    for file in (run.rl / "normalization.json", run.normalization, *([Path(configured)] if configured else [])):
        if file.is_file():
            return file
    return run.normalization


def tasks_of_rl(config: DictConfig) -> list[str]:
    """The tasks that RL trained on, which are those that it rewarded; the paper's if the configuration has none."""
    return listed(OmegaConf.select(config, "data.tasks", throw_on_missing=False) or PAPER_TASKS)


class Evaluation(NamedTuple):
    """One evaluated checkpoint: its summary and its answers."""

    summary: dict[str, Any]
    results: list[dict[str, Any]]


#: What the page reads of an evaluation's summary and of each of its results.
SUMMARY = {"model": str, "data": str, "rows": int, "decoding": dict, "normalization": str | None, "leaderboard": dict}
RESULT = dict.fromkeys(("source", "task", "data_source", "response", "ground_truth", "finish_reason"), str)
RESULT |= {"index": int, **dict.fromkeys(("score", "raw", "parsed"), float | int | None)}
#: What tells a row from all others, in its file and in another one.
ROW = ("index", "data_source", "ground_truth")
#: What a summary says of the scoring of captions; raw scores are comparable only where it is the same.
SCORING = ("judge", "judge_prompt", "judge_temperature", "similarity", "caption_mix")


def read_evaluation(directory: EvalDir) -> Evaluation:
    """What `medgrpo evaluate` left in ``directory``; an error if that is missing or odd."""
    summary, results = read_json(directory.summary, "medgrpo evaluate"), read_results(directory)
    parts = [(directory.summary, summary, SUMMARY)]
    parts += [(f"{directory.results}, line {at}", result, RESULT) for at, result in enumerate(results, start=1)]
    for where, part, kinds in parts:
        values = part if isinstance(part, dict) else {}
        if odd := [name for name, kind in kinds.items() if not isinstance(values.get(name, ...), kind)]:
            raise RunDirError(f"{where}: {', '.join(odd)} missing or odd; run medgrpo evaluate again")
    return Evaluation(summary, results)


class Change(NamedTuple):
    """Means before and after, their paired difference, and the standard errors of all three (NaN for a single row)."""

    before: float
    after: float
    delta: float
    error: float = math.nan
    before_error: float = math.nan
    after_error: float = math.nan

    @property
    def rises(self) -> bool:
        """Whether a share rose by more than MAX_CUT_RISE (rounded: 0.27 - 0.25 is a little more than 0.02)."""
        return round(self.after - self.before, 9) > MAX_CUT_RISE


@dataclass(frozen=True)
class Comparison:
    """Both checkpoints on the same ``n`` rows of a group: ``pair`` (source, task), ``task``, or ``overall``."""

    group: str
    source: str
    task: str
    n: int
    reward: Change
    raw: Change
    parsed: Change
    cut: Change
    #: Whether RL rewards it.
    rewarded: bool = True


def compare(
    before: Evaluation, after: Evaluation, tasks: Sequence[str] = PAPER_TASKS, *, across_normalizations: bool = False
) -> list[Comparison]:
    """Paired comparison, row by row: per (source, task), then per task, then ``overall`` (``tasks``, those of RL).

    Other rows are refused, and other normalizations, too, unless they are allowed: do not use the rewards then.
    """
    sides = [before, after]
    row_keys = [{tuple(line[key] for key in ROW) for line in side.results} for side in sides]
    if row_keys[0] != row_keys[1]:
        raise RunDirError(
            f"the evaluations cover different rows ({len(row_keys[0] ^ row_keys[1])} rows are in one only): "
            "evaluate both checkpoints on the same Parquet file"
        )
    hashes = [side.summary["normalization"] for side in sides]
    if hashes[0] != hashes[1] and not across_normalizations:
        raise RunDirError(
            f"the evaluations used different normalizations ({hashes[0]} and {hashes[1]}): their rewards cannot be "
            "compared; evaluate both with the artifact of the run"
        )
    means = {key: [_row_means(side, key) for side in sides] for key in ("score", "raw", "parsed", "cut")}
    pair_of = {result["index"]: (result["source"], result["task"]) for result in before.results}
    groups: dict[tuple[str, str, str], list[int]] = defaultdict(list)
    for index, (source, task) in sorted(pair_of.items(), key=lambda item: pair_rank(item[1])):
        groups["pair", source, task].append(index)
    for (_, _, task), indices in list(groups.items()):
        groups["task", "all", task] += indices
    groups["overall", "all", " ".join(tasks)] = [i for i, (_, task) in pair_of.items() if task in tasks]
    return [
        Comparison(
            *group,
            len(indices),
            *(_change(*means[key], indices) for key in means),
            rewarded=group[0] == "overall" or group[2] in tasks,
        )
        for group, indices in groups.items()
    ]


def unlike(before: Evaluation, after: Evaluation) -> dict[str, tuple[Any, Any]]:
    """Setting to its values before and after, where the evaluations were scored or decoded differently."""
    old, new = (
        {key: side.summary.get(key) for key in (*SCORING, "data")} | side.summary["decoding"]
        for side in (before, after)
    )
    return {key: (old.get(key), new.get(key)) for key in old | new if old.get(key) != new.get(key)}


def _row_means(side: Evaluation, key: str) -> dict[int, float]:
    cut = key == "cut"
    values = (float(line["finish_reason"] == "length") if cut else number(line[key]) for line in side.results)
    return row_means((line["index"] for line in side.results), values)


def _change(old: dict[int, float], new: dict[int, float], indices: Sequence[int]) -> Change:
    before, after = (mean_and_error(side[i] for i in indices) for side in (old, new))
    delta = mean_and_error(new[i] - old[i] for i in indices)
    return Change(before[0], after[0], *delta, before[1], after[1])


def held_out_cut_rises(comparison: Sequence[Comparison]) -> dict[str, Change]:
    """``<task> on <source>`` to the shares of cut held-out answers, where RL raised them by more than MAX_CUT_RISE."""
    return {f"{line.task} on {line.source}": line.cut for line in comparison if line.group == "pair" and line.cut.rises}


def looks(before: Evaluation, after: Evaluation) -> dict[str, list[dict[str, Any]]]:
    """Task to what both evaluations say of answers given to other rows (``evaluation/other_rows.py``)."""
    old, new = (side.summary.get("other_rows", {}) for side in (before, after))
    return {task: [old[task], new[task]] for task in new if task in old}


def blind(looked: Mapping[str, Sequence[Mapping[str, Any]]], tasks: Collection[str]) -> list[str]:
    """Those of RL's ``tasks`` whose answers, after RL, are worth nearly as much to other rows, also if chance helped.

    A task of few rows, or of no score at all, is left out; so is one of a single turn, of which chance is not known.
    """
    rewarded = [(task, side) for task, (_, side) in looked.items() if task in tasks]
    enough = [(task, side) for task, side in rewarded if side["n"] >= MIN_ROWS and side["gap_sd"] is not None]
    return [task for task, side in enough if side["gap"] + 2 * side["gap_sd"] < BLIND_SHARE * side["own"]]


def logged_cut_rises(metrics: Metrics, pairs: Mapping[tuple[str, str], Series]) -> dict[str, Change]:
    """``<task> on <source>`` to the logged shares in the first and the last tenth of its steps, where they rose.

    A tenth of a short run holds few answers of a pair: a rise must also be more than two standard errors. A log
    without shares of pairs (of verl's own sampler) has verl's over all answers.
    """
    logged = {}
    for (source, task), values in pairs.items():
        known = ~np.isnan(values["cut"])
        if known.any():
            logged[f"{task} on {source}"] = values["cut"][known], values["answers"][known]
    steps, cut = series(metrics, CLIP_RATIO)
    if not logged and len(steps):
        # verl logs no number of answers; a step has so many that chance is small.
        logged["all answers"] = cut, np.asarray([metrics[step].get("medgrpo/answers", 1e6) for step in steps])
    changes = {where: _first_to_last_tenth(*values) for where, values in logged.items()}
    return {where: change for where, change in changes.items() if change.rises and change.delta > 2 * change.error}


def _first_to_last_tenth(shares: np.ndarray, answers: np.ndarray) -> Change:
    tenth = math.ceil(len(shares) / 10)
    ends = slice(tenth), slice(-tenth, None)
    before, after = (float(np.average(shares[end], weights=answers[end])) for end in ends)
    variances = (p * (1 - p) / answers[end].sum() for p, end in zip((before, after), ends, strict=True))
    return Change(before, after, after - before, math.sqrt(sum(variances)))
