# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Where a run keeps what: the one place that knows the names of a run directory's files.

::

    RUN/data/{train,val}.parquet          rows
    RUN/sft/                              checkpoints of the warm start
    RUN/normalization.json (.png)         calibration artifact and its picture
    RUN/rl/metrics*.jsonl                 verl's file logger (``VERL_FILE_LOGGER_PATH``), one file per trainer start
    RUN/rl/rollouts/<step>.jsonl          verl's ``trainer.rollout_data_dir``
    RUN/rl/scores/<step>.jsonl            what each of these answers got, and for which row (trainer/step_metrics.py)
    RUN/rl/.hydra/config.yaml             the composed configuration (``hydra.run.dir=RUN/rl``)
    RUN/rl/global_step_<step>/            checkpoints
    RUN/eval/{sft,rl}/{answers,results}.jsonl, summary.json
    RUN/stages/<stage>.json               what a stage was, whether it has ended, its seconds (recipe/medgrpo/stage.py)
    RUN/logs/<stage>.log (.lock)          its output
    RUN/report/report.html, .json, *.png
    RUN/browse/index.html                 page of answers
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from data_preprocess.common.atomic_file import write_whole

#: What every line of RUN/rl/rollouts has.
ROLLOUT_KEYS = ("input", "output", "gts", "score", "uid")


class RunDirError(ValueError):
    """A file of a run directory is missing or cannot be read; the message names it and the stage that writes it."""


class EvalDir:
    """The files of one evaluated checkpoint."""

    def __init__(self, root: Path) -> None:
        self.root, self.summary = root, root / "summary.json"
        self.answers, self.results = root / "answers.jsonl", root / "results.jsonl"


class RunDir:
    """The files of one run, from data to report."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.train, self.val = root / "data/train.parquet", root / "data/val.parquet"
        self.sft, self.rl, self.normalization = root / "sft", root / "rl", root / "normalization.json"
        self.rollouts, self.scores = self.rl / "rollouts", self.rl / "scores"
        self.config = self.rl / ".hydra" / "config.yaml"
        self.report = root / "report" / "report.html"
        self.browse = root / "browse" / "index.html"

    def evaluation(self, name: str) -> EvalDir:
        """The evaluation called ``name`` (``sft`` before and ``rl`` after training)."""
        return EvalDir(self.root / "eval" / name)

    def training_rows(self, config: Mapping[str, Any]) -> Path:
        """Its own rows, or otherwise the file that its configuration names."""
        named = (config.get("data") or {}).get("train_files")
        return Path(named) if isinstance(named, str) and not self.train.is_file() else self.train

    def stage_record(self, name: str | None) -> Path:
        return self.root / "stages" / f"{name}.json"

    def timings(self) -> dict[str, float]:
        """Stage to seconds, in the order in which they ended; of stages that left a record."""
        files = sorted((self.root / "stages").glob("*.json"), key=lambda file: file.stat().st_mtime)
        records = {file.stem: read_json(file, "the run script") for file in files}
        return {name: record["seconds"] for name, record in records.items() if isinstance(record, dict)}

    def metrics_files(self, stage: str = "rl") -> list[Path]:
        """verl's file logs of a stage. Its logger truncates the file it is given: each start needs its own."""
        return sorted((self.root / stage).glob("metrics*.jsonl"))


def keep_configuration(config: Any) -> None:
    """Write ``.hydra`` as Hydra itself would have before a start could be refused (``hydra.output_subdir=null``)."""
    from hydra.core.hydra_config import HydraConfig
    from omegaconf import OmegaConf

    hydra = HydraConfig.get()
    files = {"config": config, "hydra": OmegaConf.create({"hydra": hydra}), "overrides": hydra.overrides.task}
    folder = Path(hydra.runtime.output_dir, ".hydra")
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        write_whole(folder / f"{name}.yaml", OmegaConf.to_yaml(content))


def read_json(path: Path, written_by: str) -> Any:
    """Read a JSON file; ``written_by`` names the command that makes it, for the error message."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RunDirError(f"{path} does not exist: it is written by {written_by}") from None
    except (ValueError, RecursionError) as error:
        raise RunDirError(f"{path} is not JSON ({error}): delete it and run {written_by} again") from None


def write_json(path: Path, value: Any) -> None:
    """Write strict JSON (NaN refused): an interrupted command leaves either the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def write_jsonl(path: Path, lines: Iterable[dict[str, Any]]) -> None:
    """Likewise one object per line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, "".join(json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n" for line in lines))


def read_jsonl(
    path: Path, written_by: str, *, keys: Sequence[str] = (), cut_tail_allowed: bool = False
) -> list[dict[str, Any]]:
    """Read one JSON object per line; each must have the ``keys``.

    ``cut_tail_allowed``: a broken last line, which a killed writer leaves behind, is left out (right for a log whose
    next part repeats the step) instead of refused (right where a lost line would bias a mean).
    """
    try:
        # Not splitlines(): that also splits at U+2028 and the like, which JSON strings may hold.
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except FileNotFoundError:
        raise RunDirError(f"{path} does not exist: it is written by {written_by}") from None
    except UnicodeDecodeError as error:
        raise RunDirError(f"{path} is no text ({error}); run {written_by} again") from None
    records = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            if cut_tail_allowed and number == len(lines):
                break
            raise RunDirError(f"{path}, line {number}: not JSON ({error}); run {written_by} again") from None
        if not isinstance(record, dict):
            raise RunDirError(f"{path}, line {number}: expected a JSON object, found {type(record).__name__}")
        if missing := [key for key in keys if key not in record]:
            raise RunDirError(f"{path}, line {number}: lacks {', '.join(missing)}; it is written by {written_by}")
        records.append(record)
    return records
