# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""lmms-eval itself, in an environment of its own, on the tiny model: its numbers are those of `medgrpo score`."""

import json
import math
import os
import subprocess
from collections import defaultdict
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from medvidbench_records import record_of

from data_preprocess.schema import ROW_SCHEMA
from recipe.medgrpo import cli
from recipe.medgrpo.common.run_folder import RunDir
from recipe.medgrpo.lmms_eval.documents import METRICS

pytestmark = pytest.mark.slow

REPOSITORY = Path(__file__).resolve().parents[3]
PYTHON = Path(os.environ.get("LMMS_PYTHON", REPOSITORY / ".venv-lmms/bin/python"))
PER_TASK = 20


@pytest.fixture(scope="module")
def rows(drawn, tmp_path_factory) -> tuple[Path, Path]:
    """A Parquet of so many rows of each task, and the test file that it would come from."""
    folder, by_task = tmp_path_factory.mktemp("rows"), defaultdict(list)
    for name in ("val", "train"):
        for row in pq.read_table(drawn / f"{name}.parquet").to_pylist():
            by_task[row["extra_info"]["task"]].append(row)
    assert set(by_task) == set(METRICS)
    # The drawn world has fewer of some tasks: their rows come again.
    again = [own[i % len(own)] for own in by_task.values() for i in range(PER_TASK)]
    chosen = [row | {"extra_info": row["extra_info"] | {"index": place}} for place, row in enumerate(again)]
    pq.write_table(pa.Table.from_pylist(chosen, schema=ROW_SCHEMA), folder / "rows.parquet")
    (folder / "test.json").write_text(json.dumps(list(map(record_of, chosen))))
    return folder / "rows.parquet", folder / "test.json"


@pytest.fixture(scope="module")
def exported(tiny_model, rows, tmp_path_factory) -> Path:
    run = RunDir(tmp_path_factory.mktemp("run"))
    folder = run.rl / "global_step_1" / "actor"
    folder.mkdir(parents=True)
    (folder / "huggingface").symlink_to(tiny_model)
    out = tmp_path_factory.mktemp("home") / "model"
    assert cli.main(["export", str(run.root), "--out", str(out), "--data", str(rows[0]), "--max-tokens", "24"]) == 0
    return out


def test_the_numbers_are_those_of_score(exported, rows, tmp_path):
    if not PYTHON.is_file():
        pytest.skip(f"{PYTHON} is not there: bash requirements/setup_lmms.sh makes it, or name one in LMMS_PYTHON")
    parquet, truth = rows
    environment = {**os.environ, "MEDVIDBENCH_ROWS": str(parquet), "MEDVIDBENCH_JUDGE": "lexical"}
    environment |= {"HF_HOME": str(tmp_path / "hub"), "PYTHONPATH": str(REPOSITORY)}
    command = [PYTHON, "-m", "lmms_eval", "--model", "medgrpo", "--tasks", "medvidbench", "--batch_size", "1"]
    command += ["--model_args", f"pretrained={exported},dtype=float32", "--gen_kwargs", "max_new_tokens=24"]
    command += ["--include_path", REPOSITORY / "recipe/medgrpo/lmms_eval/tasks"]
    command += ["--output_path", tmp_path / "results", "--log_samples"]
    subprocess.run(list(map(str, command)), check=True, env=environment)
    [results] = (tmp_path / "results").rglob("*_results.json")
    samples = sorted((tmp_path / "results").rglob("*_samples_medvidbench_*.jsonl"))
    assert len(samples) == len(METRICS)
    assert all(len(file.read_text().splitlines()) == PER_TASK for file in samples)
    submission, metrics = str(tmp_path / "submission.json"), tmp_path / "metrics.json"
    of = ["--ground-truth", str(truth)]
    assert cli.main(["submit", "--samples", *map(str, samples), *of, "--out", submission]) == 0
    assert cli.main(["score", "--predictions", submission, *of, "judge=lexical", "--json", str(metrics)]) == 0
    expected = json.loads(metrics.read_text())
    found = json.loads(results.read_text())["results"]
    for task, names in METRICS.items():
        for name in names:
            value = found[f"medvidbench_{task}"].get(f"{name},none", math.nan)
            if name.endswith("_llm"):
                assert math.isnan(float(value)), "no such judge was asked for"
            else:
                assert value == pytest.approx(expected[name]), name
