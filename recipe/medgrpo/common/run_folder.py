# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Where a run keeps what: the one place that knows the names of a run directory's files.

::

    RUN/data/{train,val}.parquet          rows
    RUN/sft/                              checkpoints of the warm start
    RUN/normalization.json (.png)         calibration artifact and its picture
    RUN/rl/metrics*.jsonl                 verl's file logger (``VERL_FILE_LOGGER_PATH``), one file per trainer start
    RUN/rl/rollouts/<step>.jsonl          verl's ``trainer.rollout_data_dir``
    RUN/rl/.hydra/config.yaml             the composed configuration (``hydra.run.dir=RUN/rl``)
    RUN/rl/checkpoints/
    RUN/eval/{sft,rl}/{answers,results}.jsonl, summary.json
    RUN/timings.json                      {stage: seconds}
    RUN/report/report.html, *.png
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any


class RunDirError(ValueError):
    """A file of a run directory is missing or cannot be read; the message names it and the stage that writes it."""


@dataclass(frozen=True)
class EvalDir:
    """The files of one evaluated checkpoint."""

    root: Path

    @property
    def answers(self) -> Path:
        return self.root / "answers.jsonl"

    @property
    def results(self) -> Path:
        return self.root / "results.jsonl"

    @property
    def summary(self) -> Path:
        return self.root / "summary.json"


@dataclass(frozen=True)
class RunDir:
    """The files of one run, from data to report."""

    root: Path

    @property
    def train(self) -> Path:
        return self.root / "data" / "train.parquet"

    @property
    def val(self) -> Path:
        return self.root / "data" / "val.parquet"

    @property
    def sft(self) -> Path:
        return self.root / "sft"

    @property
    def normalization(self) -> Path:
        return self.root / "normalization.json"

    @property
    def rl(self) -> Path:
        return self.root / "rl"

    @property
    def rollouts(self) -> Path:
        return self.rl / "rollouts"

    @property
    def checkpoints(self) -> Path:
        return self.rl / "checkpoints"

    @property
    def config(self) -> Path:
        return self.rl / ".hydra" / "config.yaml"

    @property
    def timings(self) -> Path:
        return self.root / "timings.json"

    @property
    def report(self) -> Path:
        return self.root / "report" / "report.html"

    def evaluation(self, name: str) -> EvalDir:
        """The evaluation called ``name`` (``sft`` before and ``rl`` after training)."""
        return EvalDir(self.root / "eval" / name)

    def metrics_files(self) -> list[Path]:
        """verl's file logs. Its logger truncates the file it is given, so each start of the trainer needs its own."""
        return sorted(self.rl.glob("metrics*.jsonl"))


def read_json(path: Path, written_by: str) -> Any:
    """Read a JSON file; ``written_by`` names the command that makes it, for the error message."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RunDirError(f"{path} does not exist: it is written by {written_by}") from None
    except json.JSONDecodeError as error:
        raise RunDirError(f"{path} is not JSON ({error}): delete it and run {written_by} again") from None


def write_json(path: Path, value: Any) -> None:
    """Write strict JSON (NaN refused), so that an interrupted command leaves either the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(path.name + ".tmp")
    scratch.write_text(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")
    os.replace(scratch, path)


def read_jsonl(path: Path, written_by: str, *, cut_tail_allowed: bool = False) -> list[dict[str, Any]]:
    """Read one JSON object per line.

    Args:
        path: the file.
        written_by: the command that makes it, for the error message.
        cut_tail_allowed: whether a broken last line, which a killed writer leaves behind, is left out (right for a log
            whose next part repeats the step) or refused (right where a lost line would bias a mean).

    Errors:
        RunDirError: the file is missing, or a line is broken or not an object.
    """
    try:
        # Not splitlines(): that also splits at U+2028 and the like, which JSON strings may hold.
        lines = path.read_text(encoding="utf-8").split("\n")
    except FileNotFoundError:
        raise RunDirError(f"{path} does not exist: it is written by {written_by}") from None
    records = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except json.JSONDecodeError as error:
            if cut_tail_allowed and number == len(lines):
                break
            raise RunDirError(f"{path}, line {number}: not JSON ({error}); run {written_by} again") from None
        if not isinstance(record, dict):
            raise RunDirError(f"{path}, line {number}: expected a JSON object, found {type(record).__name__}")
        records.append(record)
    return records
