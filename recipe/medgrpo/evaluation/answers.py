# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Rows of a Parquet file, a model's answers to them, and means over answers: common to the commands that score."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from recipe.medgrpo.common.run_folder import read_jsonl
from reward_score import PAPER_TASKS, TASKS
from reward_score.errors import UnknownTask
from reward_score.sample import split_data_source

#: The tasks that MedGRPO rewards (NAP, SA, CVS and DVC are evaluated only).
RL_TASKS = PAPER_TASKS


def task_rank(task: str) -> tuple[int, str]:
    """Sort key of tasks: the benchmark's in its own order (grounding, captions, the rest), then all others by name."""
    known = list(TASKS)
    return (known.index(task) if task in known else len(known)), task


class AnswersError(ValueError):
    """Rows or answers that cannot be used; the message names file, line or row, field and remedy."""


@dataclass(frozen=True)
class Row:
    """What scoring needs of a Parquet row. ``index`` is its position in the file; no frames."""

    index: int
    data_source: str
    source: str
    task: str
    ground_truth: str
    extra_info: dict[str, Any]


@dataclass(frozen=True)
class Answer:
    """One sampled answer to a row; ``num_tokens`` counts generated tokens."""

    row: Row
    sample: int
    response: str
    num_tokens: int
    finish_reason: str

    def extra_info(self, max_tokens: int) -> dict[str, Any]:
        """What the reward needs to know beyond the texts, as the reward manager says it in training."""
        own = {"response_length": self.num_tokens, "max_response_length": max_tokens}
        return {**self.row.extra_info, **own, "finish_reason": self.finish_reason}


def model_folder(model: Path) -> Path:
    """The folder of a Hugging Face checkpoint; one named as on the hub (``Qwen/...``) is downloaded.

    Errors:
        AnswersError: there is no such checkpoint, or it cannot be downloaded.
    """
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
    """Refuse at once what would otherwise fail after minutes of loading.

    Returns:
        The model's folder, see :func:`model_folder`.

    Errors:
        AnswersError: no such data, no Hugging Face checkpoint, or several samples at temperature 0.
    """
    if not data.is_file():
        raise AnswersError(f"{data}: no such Parquet file (--data)")
    if n > 1 and temperature == 0:
        raise AnswersError(f"{n} answers per row at temperature 0 would all be the same; give a --temperature")
    return model_folder(model)


def source_and_task(data_source: str, where: str) -> tuple[str, str]:
    """``<benchmark>/<source>/<task>`` to (source, task); ``where`` names file and row for the error message."""
    try:
        return split_data_source(data_source)
    except UnknownTask as error:
        raise AnswersError(f"{where}: {error}; make the file with a command of data_preprocess") from None


def read_rows(path: Path) -> list[Row]:
    """Read the columns that scoring needs (frame lists stay on disk).

    Errors:
        AnswersError: no such file, a missing column, or a data_source of another form.
    """
    if not path.is_file():
        raise AnswersError(f"{path}: no such Parquet file")
    try:
        table = pq.read_table(path, columns=["data_source", "reward_model", "extra_info"])
    except (pa.ArrowInvalid, KeyError) as error:
        raise AnswersError(f"{path}: not a row file of data_preprocess: {error}") from None
    missing = {"data_source", "reward_model", "extra_info"} - set(table.column_names)
    if missing:
        raise AnswersError(f"{path}: lacks the columns {sorted(missing)}; make it with a command of data_preprocess")
    rows = []
    for index, record in enumerate(table.to_pylist()):
        data_source, truth = record["data_source"], record["reward_model"]["ground_truth"]
        source, task = source_and_task(data_source, f"{path}, row {index}")
        rows.append(Row(index, data_source, source, task, truth, record["extra_info"]))
    return rows


def read_answers(path: Path, rows: Sequence[Row]) -> tuple[dict[str, Any], list[Answer]]:
    """Read an answers file of ``medgrpo generate`` and attach each answer to its row.

    Returns:
        The file's ``meta`` (model, data, decoding) and its answers, sorted by row and sample.

    Errors:
        AnswersError: no meta line, no answers, a line that does not belong to ``rows``, or a duplicate.
    """
    records = read_jsonl(path, "medgrpo generate")
    if not records or "meta" not in records[0]:
        raise AnswersError(f"{path}, line 1: expected {{'meta': ...}}; write it anew with medgrpo generate")
    answers: dict[tuple[int, int], Answer] = {}
    for line, record in enumerate(records[1:], start=2):
        try:
            index, sample, data_source = record["index"], record["sample"], record["data_source"]
            response, tokens, reason = record["response"], record["num_tokens"], record["finish_reason"]
        except KeyError as error:
            raise AnswersError(f"{path}, line {line}: lacks the key {error}") from None
        if not 0 <= index < len(rows) or rows[index].data_source != data_source:
            raise AnswersError(
                f"{path}, line {line}: answers row {index} ({data_source}), which is not that row of the Parquet file; "
                "the answers belong to other data: delete them and run again"
            )
        if (index, sample) in answers:
            raise AnswersError(f"{path}, line {line}: a second answer to row {index}, sample {sample}")
        answers[index, sample] = Answer(rows[index], sample, response, tokens, reason)
    if not answers:
        raise AnswersError(f"{path}: holds no answer; delete it and run medgrpo generate again")
    return records[0]["meta"], [answers[key] for key in sorted(answers)]


def describe_decoding(decoding: dict[str, Any]) -> str:
    """``temperature 0.0, max_tokens 256, ...``"""
    return ", ".join(f"{name} {value}" for name, value in decoding.items())


def mean_and_error(values: Iterable[float]) -> tuple[float, float]:
    """Mean and its standard error (sample standard deviation / sqrt(n)), NaN values left out.

    Returns:
        (mean, standard error); NaN where undefined (no value; fewer than two for the error).
    """
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
    """What :func:`or_none` wrote, read back."""
    return math.nan if value is None else value


def or_none(value: float | None) -> float | None:
    """NaN as None, which strict JSON can hold."""
    return None if value is None or math.isnan(value) else value
