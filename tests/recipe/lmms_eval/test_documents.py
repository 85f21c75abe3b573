# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""What lmms-eval's task files call; lmms-eval itself runs in tests/recipe/lmms_eval/test_lmms_eval_slow.py."""

import json
import math
import re
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml
from medvidbench_records import record_of

from recipe.medgrpo import cli
from recipe.medgrpo.lmms_eval import documents
from reward_score.leaderboard.metrics import METRIC_NAMES

TASKS = Path(documents.__file__).parent / "tasks"


class Loader(yaml.SafeLoader):
    """Reads ``!function module.name`` as lmms-eval does, by importing it."""


def named(loader, node):
    module, _, name = loader.construct_scalar(node).rpartition(".")
    assert module == "recipe.medgrpo.lmms_eval.documents"
    return getattr(documents, name)


Loader.add_constructor("!function", named)


@pytest.fixture(scope="module")
def rows(drawn):
    return pq.read_table(drawn / "val.parquet").to_pylist()


def test_task_files_name_what_exists():
    files = {file.stem: yaml.load(file.read_text(), Loader) for file in TASKS.glob("*.yaml")}
    common = yaml.load((TASKS / "_medvidbench_common").read_text(), Loader)
    assert callable(common["doc_to_messages"]) and "test" in common["dataset_kwargs"]["data_files"]
    group = files.pop("medvidbench")
    assert sorted(group["task"]) == sorted(files) == sorted(f"medvidbench_{task}" for task in documents.METRICS)
    for task, names in documents.METRICS.items():
        assert [one["metric"] for one in files[f"medvidbench_{task}"]["metric_list"]] == list(names)
    assert set(METRIC_NAMES) <= {name for names in documents.METRICS.values() for name in names}


def test_prompts_are_those_of_training_with_their_clips(rows):
    row = rows[0]
    [turn] = documents.doc_to_messages(row)
    clip, text = turn["content"]
    assert list(clip["url"]) == row["videos"][0]["video"]
    assert clip["url"].spec["sample_fps"] == row["videos"][0]["sample_fps"]
    assert clip["url"].spec["max_pixels"] == row["videos"][0]["max_pixels"]
    assert "<video>" + text["text"] == row["prompt"][0]["content"]


@pytest.fixture
def answered(rows, tmp_path, light_encoder):
    """A test file, and lmms-eval's sample files of answers to it: every second is the reference."""
    rows = sorted(rows, key=lambda row: row["extra_info"]["index"])
    samples = {}
    for place, row in enumerate(rows):
        row = row | {"extra_info": row["extra_info"] | {"index": place}}
        answer = row["reward_model"]["ground_truth"] if place % 2 else "1.0-3.0 seconds."
        found = documents.process_results(row, [answer])
        samples.setdefault(row["data_source"].rsplit("/", 1)[1], []).append({"doc_id": place, "target": "", **found})
    (tmp_path / "test.json").write_text(json.dumps(list(map(record_of, rows))))
    for task, lines in samples.items():
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (tmp_path / f"20261125_samples_medvidbench_{task}.jsonl").write_text(text)
    return tmp_path, samples


def aggregated(samples) -> dict[str, float]:
    values = {
        name: documents.metric(name)([line[name] for line in samples[task]])
        for task, names in documents.METRICS.items()
        if task in samples
        for name in names
    }
    return {name: value for name, value in values.items() if not math.isnan(value)}


def submitted(folder) -> dict[str, float]:
    """What `medgrpo submit --samples` and `medgrpo score` make of them."""
    samples = map(str, sorted(folder.glob("*_samples_*.jsonl")))
    truth, out = ["--ground-truth", str(folder / "test.json")], str(folder / "submission.json")
    assert cli.main(["submit", "--samples", *samples, *truth, "--out", out]) == 0
    judge = ["judge=lexical"]
    assert cli.main(["score", "--predictions", out, *truth, *judge, "--json", str(folder / "metrics.json")]) == 0
    return json.loads((folder / "metrics.json").read_text())


def test_numbers_are_those_of_score(answered, monkeypatch):
    folder, samples = answered
    assert not any("lexical" in name for name in aggregated(samples)), "no judge unless asked for"
    monkeypatch.setenv("MEDVIDBENCH_JUDGE", "lexical")
    found, expected = aggregated(samples), submitted(folder)
    assert found == pytest.approx(expected) and len(found) > 5
    assert 0.2 < found["TAG_mIoU@0.5"] < 0.9


def test_a_foreign_sample_file_is_refused(answered, capsys):
    folder, _ = answered
    (folder / "x.jsonl").write_text('{"doc_id": 0, "mmmu_acc": {"id": 1}}\n')
    argv = ["submit", "--samples", str(folder / "x.jsonl"), "--ground-truth", str(folder / "test.json")]
    assert cli.main([*argv, "--out", str(folder / "s.json")]) == 2
    assert re.search("x.jsonl, line 1: no sample of a medvidbench task", capsys.readouterr().err)
