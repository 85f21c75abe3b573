# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""What a run's policy answered: verl's dumps, with the rows, rewards and places in time and picture behind them."""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow.parquet as pq

from recipe.medgrpo.common.run_folder import ROLLOUT_KEYS, RunDir, RunDirError, read_jsonl
from reward_score.sample import split_data_source
from reward_score.tasks import dvc, stg, tag

#: As in verl's GRPO.
EPSILON = 1e-6
WRITER = "a training"


class Prompt(NamedTuple):
    """A row of the training data. ``frames`` are paths, ``size`` is (width, height) of a frame in pixels."""

    index: int
    source: str
    task: str
    question: str
    truth: str
    frames: list[str]
    fps: float | None
    size: tuple[int | None, int | None]


class Answer(NamedTuple):
    """One answer; ``parts`` are its reward's components by name, where the run logged them."""

    text: str
    reward: float
    advantage: float | None
    parsed: bool | None
    parts: dict[str, float]


class Group(NamedTuple):
    """The answers to one prompt at one step. ``prompt`` is None where the row is not known: none has this question and
    reference, or several clips have."""

    step: int
    prompt: Prompt | None
    input: str
    truth: str
    answers: list[Answer]


class Prompts:
    """Rows by what a dump says of them."""

    def __init__(self, parquet: Path) -> None:
        self._by_truth: dict[str, list[Prompt]] = defaultdict(list)
        if not parquet.is_file():
            return
        media = [name for name in ("videos", "images") if name in pq.read_schema(parquet).names]
        table = pq.read_table(parquet, columns=["data_source", "reward_model", "extra_info", *media])
        for row in table.to_pylist():
            names, extra = split_data_source(row["data_source"]), row["extra_info"]
            truth = row["reward_model"]["ground_truth"]
            size = extra.get("width"), extra.get("height")
            self._by_truth[truth].append(Prompt(extra["index"], *names, extra["question"], truth, *_frames(row), size))

    def find(self, input: str, truth: str, index: int | None) -> Prompt | None:
        """The row with this reference whose question the input holds; of several, the one of the logged ``index``."""
        found = [row for row in self._by_truth.get(truth, ()) if row.question in input]
        if index is not None:
            found = [row for row in found if row.index == index]
        return found[0] if len(found) == 1 else None


def _frames(row: Mapping[str, Any]) -> tuple[list[str], float | None]:
    if row.get("videos"):
        clip = row["videos"][0]
        return ([] if isinstance(clip["video"], str) else clip["video"]), clip["sample_fps"]
    return [image["image"] for image in row.get("images") or () if isinstance(image, dict)], None


def read(run: RunDir, prompts: Prompts, standardized: bool | None) -> Iterator[Group]:
    """The groups of all steps, in order; ``standardized`` as for `advantages`."""
    dumps = sorted((int(file.stem), file) for file in run.rollouts.glob("*.jsonl") if file.stem.isdigit())
    if not dumps:
        raise RunDirError(f"{run.rollouts} holds no answers: train with trainer.rollout_data_dir (RUN/rl/rollouts)")
    for step, file in dumps:
        logged = run.scores / file.name
        lines = read_jsonl(logged, WRITER, keys=["uid"], cut_tail_allowed=True) if logged.is_file() else []
        scores = {line["uid"]: line for line in lines}
        groups: dict[str, list[dict]] = defaultdict(list)
        for line in read_jsonl(file, WRITER, keys=ROLLOUT_KEYS, cut_tail_allowed=True):
            groups[line["uid"].rsplit("_", 2)[0]].append(line)
        for lines in groups.values():
            first = lines[0]
            known = [scores.get(line["uid"], {}) for line in lines]
            prompt = prompts.find(first["input"], first["gts"] or "", known[0].get("index"))
            rewards = [line["score"] for line in lines]
            answers = [
                Answer(line["output"], line["score"], advantage, parsed(prompt, line["output"], own), parts(own))
                for line, own, advantage in zip(lines, known, advantages(rewards, standardized), strict=True)
            ]
            yield Group(step, prompt, first["input"], first["gts"] or "", answers)


def parts(scores: Mapping[str, Any]) -> dict[str, float]:
    """Components that apply to the answer."""
    return {
        name: value
        for name, value in scores.items()
        if isinstance(value, float) and not math.isnan(value) and name not in ("score", "parsed")
    }


def advantages(rewards: Sequence[float], standardized: bool | None) -> list[float | None]:
    """GRPO's advantages of one group; ``standardized``: divided by its deviation; None: the run's are not GRPO's."""
    if standardized is None or len(rewards) < 2:
        return [None] * len(rewards)
    mean = statistics.fmean(rewards)
    scale = statistics.stdev(rewards, mean) + EPSILON if standardized else 1.0
    return [(reward - mean) / scale for reward in rewards]


def parsed(prompt: Prompt | None, text: str, scores: Mapping[str, Any]) -> bool | None:
    """Whether the answer could be read: as logged, or by the parser of its task; None where neither says so."""
    if "parsed" in scores:
        return scores["parsed"] > 0
    if prompt is None or prompt.task not in ("tag", "stg", "dvc"):
        return None
    return bool(spans(prompt.task, text) or boxes(prompt.task, text))


def spans(task: str, text: str) -> list[tuple[float, float]]:
    """Times that an answer names, in seconds."""
    if task == "tag":
        return tag.parse(text)
    return [event[:2] for event in dvc.parse(text)] if task == "dvc" else []


def boxes(task: str, text: str) -> dict[str, list[float]]:
    """Boxes of an answer by time; a bare list of boxes names no times and has none."""
    found = stg.parse(text) if task == "stg" else {}
    return found if isinstance(found, dict) else {}
