# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Rows of a Parquet file, a model's answers to them, and means over answers: common to the commands that score."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import reward_score
from recipe.medgrpo.common.run_folder import EvalDir, read_json, read_jsonl
from reward_score import TASKS
from reward_score.errors import UnknownTask
from reward_score.sample import split_data_source

#: Columns of a row file that scoring reads.
COLUMNS = ["data_source", "reward_model", "extra_info"]


def task_rank(task: str) -> tuple[int, str]:
    """Sort key of tasks: the benchmark's in its own order (grounding, captions, the rest), then all others by name."""
    known = list(TASKS)
    return (known.index(task) if task in known else len(known)), task


def pair_rank(pair: tuple[str, str]) -> tuple[tuple[int, str], str]:
    """Sort key of (source, task): by task, then by source."""
    return task_rank(pair[1]), pair[0]


class AnswersError(ValueError):
    """Rows or answers that cannot be used; the message names file, line or row, field and remedy."""


class Row(NamedTuple):
    """What scoring needs of a Parquet row. ``index`` is its position in the file; no frames."""

    index: int
    data_source: str
    source: str
    task: str
    ground_truth: str
    extra_info: dict[str, Any]


class Answer(NamedTuple):
    """One sampled answer to a row; ``num_tokens`` counts generated tokens."""

    row: Row
    sample: int
    response: str
    num_tokens: int
    finish_reason: str


def model_folder(model: Path) -> Path:
    """The folder of a Hugging Face checkpoint; one named as on the hub (``Qwen/...``) is downloaded."""
    if (model / "config.json").is_file():
        return model
    if model.exists():
        raise AnswersError(
            f"{model}: no config.json, so no Hugging Face checkpoint (--model); make one of verl's sharded checkpoints "
            "with `python -m verl.model_merger merge`"
        )
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", str(model)):
        raise AnswersError(f"{model}: no such folder (--model)")
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(str(model)))
    except (OSError, ValueError) as error:
        reason = str(error).strip().split("\n")[0]
        raise AnswersError(
            f"{model}: no such folder (--model), and as a name on the Hugging Face hub it cannot be fetched: {reason} "
            f"Without a network, fetch it elsewhere (`hf download {model} --local-dir FOLDER`) and name that folder"
        ) from None


def check_inputs(model: Path, data: Path, n: int, temperature: float) -> Path:
    """The model's folder (see `model_folder`); refuses at once what would otherwise fail after minutes of loading."""
    check_rows(data)
    if n > 1 and temperature == 0:
        raise AnswersError(f"{n} answers per row at temperature 0 would all be the same; give a --temperature")
    return model_folder(model)


def check_rows(path: Path) -> None:
    """Raise if a file's schema is not that of rows."""
    if not path.is_file():
        raise AnswersError(f"{path}: no such Parquet file (--data)")
    try:
        names = pq.read_schema(path).names
    except (pa.ArrowException, OSError) as error:
        raise AnswersError(f"{path}: not a row file of data_preprocess: {error}") from None
    if missing := {*COLUMNS, "prompt"}.difference(names):
        raise AnswersError(f"{path}: lacks the columns {sorted(missing)}; make it with a command of data_preprocess")


def read_rows(path: Path) -> list[Row]:
    """Read the columns that scoring needs (frame lists stay on disk)."""
    check_rows(path)
    rows = []
    for index, record in enumerate(pq.read_table(path, columns=COLUMNS).to_pylist()):
        try:
            source, task = split_data_source(record["data_source"])
        except UnknownTask as error:
            raise AnswersError(f"{path}, row {index}: {error}; make it with a command of data_preprocess") from None
        reward_model, extra = record["reward_model"], record["extra_info"]
        truth = reward_model.get("ground_truth") if isinstance(reward_model, dict) else None
        if not isinstance(truth, str):
            raise AnswersError(f"{path}, row {index}: reward_model.ground_truth is no text; put the reference there")
        if not isinstance(extra, dict):
            raise AnswersError(f"{path}, row {index}: extra_info has no fields; put at least the row's question there")
        rows.append(Row(index, record["data_source"], source, task, truth, extra))
    return rows


def read_answers(path: Path, rows: Sequence[Row] | None = None) -> tuple[dict[str, Any], list[Answer]]:
    """``meta`` of a file of ``medgrpo generate`` and its answers, by row and sample.

    ``rows`` are those of the Parquet file that was answered; default: of the one that the file names.
    """
    lines = read_jsonl(path, "medgrpo generate")
    if not lines or "meta" not in lines[0]:
        raise AnswersError(f"{path}, line 1: expected {{'meta': ...}}; write it anew with medgrpo generate")
    meta = lines[0]["meta"]
    if rows is None:
        try:
            answered = Path(meta["data"]["path"])
        except (KeyError, TypeError):
            raise AnswersError(f"{path}, line 1: names no Parquet file; write it anew with medgrpo generate") from None
        rows = read_rows(answered)
    answers: dict[tuple[int, int], Answer] = {}
    for at, line in enumerate(lines[1:], start=2):
        try:
            index, data_source = line["index"], line["data_source"]
            sample, *rest = (line[key] for key in ("sample", "response", "num_tokens", "finish_reason"))
        except KeyError as error:
            raise AnswersError(f"{path}, line {at}: lacks the key {error}") from None
        if not isinstance(index, int) or not 0 <= index < len(rows) or rows[index].data_source != data_source:
            raise AnswersError(
                f"{path}, line {at}: answers row {index} ({data_source}), which is not that row of the Parquet "
                "file; the answers belong to other data: delete them and run again"
            )
        if (index, sample) in answers:
            raise AnswersError(f"{path}, line {at}: a second answer to row {index}, sample {sample}")
        answers[index, sample] = Answer(rows[index], sample, *rest)
    if len(answers) != meta.get("answers"):
        raise AnswersError(
            f"{path}: holds {len(answers)} answers, and its first line says {meta.get('answers')}; run medgrpo "
            "generate again, which completes it"
        )
    return meta, [answers[key] for key in sorted(answers)]


def read_results(evaluation: EvalDir) -> list[dict[str, Any]]:
    """What `medgrpo evaluate` found in each answer; an error if there are fewer than the summary next to them says."""
    results = read_jsonl(evaluation.results, "medgrpo evaluate")
    summary = read_json(evaluation.summary, "medgrpo evaluate") if evaluation.summary.exists() else None
    said = summary.get("answers", len(results)) if isinstance(summary, dict) else len(results)
    if len(results) != said:
        raise AnswersError(
            f"{evaluation.results}: holds {len(results)} answers, and {evaluation.summary} says {said}; run medgrpo "
            "evaluate again"
        )
    return results


def make_samples(answers: Sequence[Answer], max_tokens: int) -> list[reward_score.Sample]:
    """What the reward reads of answers with a limit of ``max_tokens``, the same as the reward manager's in training."""
    lengths = (
        {"response_length": one.num_tokens, "max_response_length": max_tokens, "finish_reason": one.finish_reason}
        for one in answers
    )
    return reward_score.make_samples(
        [answer.row.data_source for answer in answers],
        [answer.response for answer in answers],
        [answer.row.ground_truth for answer in answers],
        [answer.row.extra_info | length for answer, length in zip(answers, lengths, strict=True)],
    )


def describe_decoding(decoding: dict[str, Any]) -> str:
    """``temperature 0.0, max_tokens 256, ...``"""
    return ", ".join(f"{name} {value}" for name, value in decoding.items())


def mean_and_error(values: Iterable[float]) -> tuple[float, float]:
    """Mean and its standard error (sample standard deviation / sqrt(n)), NaN values left out; NaN where undefined."""
    known = np.asarray([value for value in values if not math.isnan(value)], dtype=float)
    if not len(known):
        return math.nan, math.nan
    error = known.std(ddof=1) / math.sqrt(len(known)) if len(known) > 1 else math.nan
    return float(known.mean()), float(error)


def row_means(indices: Iterable[int], values: Iterable[float]) -> dict[int, float]:
    """Mean over the samples of each row: the rows, not the samples, are the independent observations."""
    grouped: dict[int, list[float]] = defaultdict(list)
    for index, value in zip(indices, values, strict=True):
        grouped[index].append(value)
    return {index: mean_and_error(group)[0] for index, group in grouped.items()}


def number(value: float | None) -> float:
    """What `or_none` wrote, read back."""
    return math.nan if value is None else value


def or_none(value: float | None) -> float | None:
    """NaN as None, which strict JSON can hold."""
    return None if value is None or math.isnan(value) else value
