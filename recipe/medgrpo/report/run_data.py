# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""The numbers of a report: verl's logs, the answers of training, and the paired comparison of two evaluations."""

from __future__ import annotations

import math
import os
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import DictConfig, OmegaConf

from recipe.medgrpo.common.run_folder import EvalDir, RunDir, RunDirError, read_json, read_jsonl
from recipe.medgrpo.evaluation.answers import (
    RL_TASKS,
    Row,
    mean_and_error,
    number,
    read_rows,
    row_means,
    source_and_task,
    task_rank,
)
from reward_score.tasks.registry import TASKS, VQA_TASKS

CORRELATION = "training/rollout_actor_probs_pearson_corr"
DIFFERENCE = "training/rollout_probs_diff_mean"
MIN_CORRELATION, MAX_DIFFERENCE = 0.999, 1e-2
#: Steps whose answers are read: more would not show in a curve, and scoring millions of captions again takes hours.
MAX_ROLLOUT_STEPS = 300


# ---- verl's file logger --------------------------------------------------------------------------------------------


def read_metrics(files: Sequence[Path]) -> dict[int, dict[str, float]]:
    """verl's file logs as one table, step to {metric: value}, in the order of steps.

    verl 0.9.1 writes ``{"step": int, "data": {name: number}}`` per line and truncates the file at each start, so a
    resumed run has several. A later start repeats the steps after its checkpoint: files are taken in the order of their
    first step (then of their name), and later values win.
    """
    attempts = []
    for path in files:
        lines = read_jsonl(path, "verl's file logger", cut_tail_allowed=True)
        if any("step" not in line or "data" not in line for line in lines):
            raise RunDirError(f"{path}: lines lack step or data; is this verl's file log (trainer.logger=[file])?")
        if lines:
            attempts.append((lines[0]["step"], path.name, lines))
    table: dict[int, dict[str, float]] = defaultdict(dict)
    for _, _, lines in sorted(attempts, key=lambda attempt: attempt[:2]):
        for line in lines:
            numbers = {name: value for name, value in line["data"].items() if isinstance(value, int | float)}
            table[line["step"]].update(numbers)
    return dict(sorted(table.items()))


def series(metrics: dict[int, dict[str, float]], name: str) -> tuple[np.ndarray, np.ndarray]:
    """(steps, values) of one metric, each of shape (steps that logged it,); empty when it was never logged."""
    steps = [step for step, values in metrics.items() if name in values]
    return np.asarray(steps), np.asarray([metrics[step][name] for step in steps], dtype=float)


@dataclass(frozen=True)
class Agreement:
    """How far the trainer's token probabilities are from the rollout engine's, over all steps of a run.

    ``unknown`` counts training steps without these figures: verl logs nothing where they are undefined (no token, or
    all of one probability).
    """

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


def agreement(metrics: dict[int, dict[str, float]]) -> Agreement | None:
    """None when the run did not log it (``actor_rollout_ref.rollout.calculate_log_probs=True`` does)."""
    trained = {step: values for step, values in metrics.items() if "training/global_step" in values}
    both = [step for step, values in trained.items() if CORRELATION in values and DIFFERENCE in values]
    if not both:
        return None
    figures = (np.asarray([metrics[step][name] for step in both], dtype=float) for name in (CORRELATION, DIFFERENCE))
    return Agreement(np.asarray(both), *figures, unknown=len(trained) - len(both))


# ---- rollouts ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Rollout:
    """One training answer. ``logged`` is the reward verl used, ``reward`` the same by reward_score."""

    step: int
    source: str
    task: str
    raw: float
    reward: float
    parsed: float
    logged: float


def training_files(run: RunDir, config: DictConfig) -> list[Path]:
    """The run directory's own training data, or else those that its configuration names."""
    named = OmegaConf.select(config, "data.train_files", throw_on_missing=False)
    if run.train.is_file() or named is None:
        return [run.train]
    return [Path(file) for file in ([named] if isinstance(named, str) else named)]


def held_out_file(run: RunDir, evaluation: Evaluation) -> Path:
    """The run directory's own held-out rows, or else those that were evaluated.

    Errors:
        RunDirError: neither is there.
    """
    for file in (run.val, Path(evaluation.summary["data"])):
        if file.is_file():
            return file
    raise RunDirError(f"the held-out rows are neither {run.val} nor {file}: put a copy of the Parquet file there")


def artifact_file(run: RunDir, config: DictConfig) -> Path:
    """The normalization that RL used: its copy beside the checkpoints, the run directory's own, or the configured one.

    In this order, because the configured path is void, or somebody else's, once a run has been moved.
    """
    configured = OmegaConf.select(config, "medgrpo.reward.artifact", throw_on_missing=False)
    for file in (run.rl / "normalization.json", run.normalization, *([Path(configured)] if configured else [])):
        if file.is_file():
            return file
    return run.normalization


class RowFinder:
    """Finds the row that a line of verl's rollout dump answers.

    verl 0.9.1's V1 trainer dumps ``input`` (the decoded prompt), ``output``, ``gts``, ``score``, ``step`` and a random
    ``uid``, but neither row nor data source; ground truth and question identify the row, or several that score alike.
    """

    def __init__(self, rows: Iterable[Row]):
        self._by_truth: dict[str, list[Row]] = defaultdict(list)
        for row in rows:
            self._by_truth[row.ground_truth].append(row)

    def find(self, line: dict[str, Any], where: str) -> Row:
        """Errors: RunDirError when no row fits, or rows of different data sources do."""
        prompt = " ".join(line["input"].split())
        fitting = [
            row for row in self._by_truth.get(line["gts"], ()) if " ".join(row.extra_info["question"].split()) in prompt
        ]
        if len({row.data_source for row in fitting}) != 1:
            found = ", ".join(sorted({row.data_source for row in fitting})) or "none"
            raise RunDirError(
                f"{where}: rows of the training data with this question and ground truth: {found}, expected one; "
                "are they the file that the run was trained on?"
            )
        return fitting[0]


def kept_rollouts(run: RunDir) -> dict[int, Path]:
    """Step to its whole dump; one that ends in the middle of a line, as a killed trainer leaves it, is not among them.

    verl 0.9.1 dumps and logs a step after its checkpoint: a trainer killed in between never comes back to that step.
    """
    files = sorted(run.rollouts.glob("*.jsonl"), key=lambda path: int(path.stem))
    return {int(path.stem): path for path in files if _ends_a_line(path)}


def _ends_a_line(path: Path) -> bool:
    # The last byte alone: a long run has gigabytes of answers.
    with path.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - 1))
        return file.read() == b"\n"


def lost_steps(run: RunDir, metrics: dict[int, dict[str, float]]) -> list[int]:
    """Steps between the first and the last of the run that have no line in the log or no whole dump of answers."""
    dumps = kept_rollouts(run) if run.rollouts.is_dir() else metrics
    seen = sorted({*metrics, *dumps})
    between = range(max(1, seen[0]), seen[-1]) if seen else ()
    return [step for step in between if step not in metrics or step not in dumps]


def read_rollouts(run: RunDir, options: dict[str, Any], train: Sequence[Path]) -> list[Rollout]:
    """The answers of training with their components, of at most MAX_ROLLOUT_STEPS steps at equal distances.

    A line that holds ``data_source`` and the keys of ``compute_score`` is taken as it is. verl's stock dump has
    neither: the row is looked up in the training data ``train`` and the answer scored again with the run's own
    ``options``. An LLM judge is not asked again (it costs, and may be gone): what it judged keeps the logged reward,
    and has no raw score.
    """
    files = evenly(list(kept_rollouts(run).values()), MAX_ROLLOUT_STEPS)
    finder: RowFinder | None = None
    rollouts, pending = [], []
    for path in files:
        for position, line in enumerate(read_jsonl(path, "trainer.rollout_data_dir"), start=1):
            where = f"{path}, line {position}"
            if line.get("input") == "":
                # verl fills the place of a dropped trajectory with an empty sequence.
                continue
            if {"data_source", "raw", "parsed"} <= line.keys():
                source, task = source_and_task(line["data_source"], where)
                step, raw, score = line["step"], number(line["raw"]), line["score"]
                rollouts.append(Rollout(step, source, task, raw, score, line["parsed"], score))
                continue
            finder = finder or RowFinder(row for file in train for row in read_rows(file))
            pending.append((line, finder.find(line, where)))
    if pending:
        from reward_score import compute_scores, get_scorer, read_config

        judged: set[str] = set()
        if options.get("judge", "lexical") != "lexical":
            options = {**options, "judge": "lexical"}
            scorer = get_scorer(read_config(options))
            judged = {task for task in TASKS if "judge" in scorer.components(task)}
            if scorer.config.vqa.weights.alignment > 0:
                judged |= {*VQA_TASKS}
        scores = compute_scores(
            data_sources=[row.data_source for _, row in pending],
            solution_strs=[line["output"] for line, _ in pending],
            ground_truths=[row.ground_truth for _, row in pending],
            extra_infos=[row.extra_info for _, row in pending],
            **options,
        )
        for (line, row), score in zip(pending, scores, strict=True):
            own = (math.nan, line["score"]) if row.task in judged else (score["raw"], score["score"])
            values = *own, score["parsed"], line["score"]
            rollouts.append(Rollout(line["step"], row.source, row.task, *values))
    return rollouts


def evenly(items: Sequence[Path], most: int) -> list[Path]:
    """At most ``most`` of ``items``, first and last included."""
    if len(items) <= most:
        return list(items)
    return [items[round(i * (len(items) - 1) / (most - 1))] for i in range(most)]


def rollout_series(rollouts: Sequence[Rollout], key: str) -> dict[Any, dict[str, np.ndarray]]:
    """Means per step (arrays ``step``, ``raw``, ``reward``, ``parsed``) by ``pair`` (source, task) or by ``task``."""
    grouped: dict[Any, dict[int, list[Rollout]]] = defaultdict(lambda: defaultdict(list))
    for rollout in rollouts:
        grouped[(rollout.source, rollout.task) if key == "pair" else rollout.task][rollout.step].append(rollout)
    out = {}
    for group, steps in sorted(grouped.items()):
        out[group] = {"step": np.asarray(sorted(steps))}
        for field in ("raw", "reward", "parsed"):
            means = [mean_and_error(getattr(rollout, field) for rollout in steps[step])[0] for step in sorted(steps)]
            out[group][field] = np.asarray(means)
    return out


# ---- before and after ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Evaluation:
    """One evaluated checkpoint: its summary and its answers."""

    summary: dict[str, Any]
    results: list[dict[str, Any]]


def read_evaluation(directory: EvalDir) -> Evaluation:
    return Evaluation(
        read_json(directory.summary, "medgrpo evaluate"), read_jsonl(directory.results, "medgrpo evaluate")
    )


def compare(before: Evaluation, after: Evaluation) -> list[dict[str, Any]]:
    """Paired comparison, row by row, of two evaluations over the same rows.

    Returns:
        One dict per (source, task), then per task over its sources, then ``overall`` (the tasks of RL): ``group``,
        ``source``, ``task``, ``rewarded`` (by RL), ``n`` rows, and for reward, raw and parsed ``<key>_before``,
        ``<key>_after``, ``<key>_delta``, ``<key>_delta_se`` (standard error of the mean paired difference; NaN for one
        row).

    Errors:
        RunDirError: the two were made over different rows or with different normalizations.
    """
    sides = [before, after]
    row_keys = [{(result["index"], result["data_source"]) for result in side.results} for side in sides]
    if row_keys[0] != row_keys[1]:
        raise RunDirError(
            f"the evaluations cover different rows ({len(row_keys[0] ^ row_keys[1])} rows are in one only): "
            "evaluate both checkpoints on the same Parquet file"
        )
    hashes = [side.summary["normalization"] for side in sides]
    if hashes[0] != hashes[1]:
        raise RunDirError(
            f"the evaluations used different normalizations ({hashes[0]} and {hashes[1]}): their rewards cannot be "
            "compared; evaluate both with the artifact of the run"
        )
    fields = {"reward": "score", "raw": "raw", "parsed": "parsed"}
    means = {key: [_means(side, field) for side in sides] for key, field in fields.items()}
    pair_of = {r["index"]: (r["source"], r["task"]) for r in before.results}
    groups: dict[tuple[str, str, str], list[int]] = {}
    for source, task in sorted(set(pair_of.values()), key=lambda pair: (task_rank(pair[1]), pair[0])):
        groups["pair", source, task] = [index for index, pair in pair_of.items() if pair == (source, task)]
    for task in dict.fromkeys(task for _, _, task in groups):
        groups["task", "all", task] = [index for index, pair in pair_of.items() if pair[1] == task]
    groups["overall", "all", " ".join(RL_TASKS)] = [i for i, pair in pair_of.items() if pair[1] in RL_TASKS]
    table = []
    for (group, source, task), indices in groups.items():
        rewarded = group == "overall" or task in RL_TASKS
        line: dict[str, Any] = {"group": group, "source": source, "task": task, "rewarded": rewarded, "n": len(indices)}
        for key, (old, new) in means.items():
            line[f"{key}_before"] = mean_and_error(old[i] for i in indices)[0]
            line[f"{key}_after"] = mean_and_error(new[i] for i in indices)[0]
            line[f"{key}_delta"], line[f"{key}_delta_se"] = mean_and_error(new[i] - old[i] for i in indices)
        table.append(line)
    return table


def _means(side: Evaluation, field: str) -> dict[int, float]:
    return row_means((r["index"] for r in side.results), (number(r[field]) for r in side.results))
