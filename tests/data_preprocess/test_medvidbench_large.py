# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""The command on more than a toy: shared work, subsets, one-shot messages, unopened frames, a full disk."""

import json
import re
import resource
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from PIL import Image

from data_preprocess import medvidbench
from data_preprocess.common import json_stream
from data_preprocess.schema import ROW_SCHEMA
from data_preprocess.video.one_shot_prompt import EXAMPLES, system_message

REPOSITORY = Path(__file__).parents[2]


def many(bench, count=40, **changes):
    """Records that differ in their question."""
    answer = bench.record()["conversations"][1]
    asked = [[{"from": "human", "value": f"<video>\n{number}?"}, answer] for number in range(count)]
    return [
        bench.record("ab"[number % 2], **{"id": str(number), "conversations": asked[number]} | changes)
        for number in range(count)
    ]


def test_shared_work_gives_the_same_rows(bench, monkeypatch, capsys):
    records = [*many(bench), many(bench)[0], bench.record(video=[], id="bad")]
    monkeypatch.setattr(json_stream.scan, "__defaults__", (2048,))
    assert bench.run(records, "--max-failed", "1", "--workers", "1") == 0
    alone, failed = {s: bench.rows(s) for s in ("train", "val")}, (bench.out / "failed.jsonl").read_text()
    monkeypatch.setattr(medvidbench, "_SHARED_FROM", 0)
    assert bench.run(records, "--max-failed", "1", "--workers", "2") == 0
    assert {s: bench.rows(s) for s in ("train", "val")} == alone
    assert (bench.out / "failed.jsonl").read_text() == failed
    assert "1 failed, 1 duplicates" in capsys.readouterr().out
    assert pq.ParquetFile(bench.out / "train.parquet").metadata.num_row_groups > 1
    assert pq.read_schema(bench.out / "train.parquet").equals(ROW_SCHEMA)


def test_an_error_in_the_shared_work_names_its_record(bench, monkeypatch, capsys):
    monkeypatch.setattr(medvidbench, "_SHARED_FROM", 0)
    text = json.dumps(many(bench, 4))
    assert bench.run(text[:-1] + ', {"id" "x"}]', "--workers", "2") == 1
    assert "data.json, record 4 (no id), record: is no JSON (Expecting ':' delimiter" in capsys.readouterr().err
    assert not list(bench.root.rglob("*.parquet"))


def test_per_pair(bench, capsys):
    records = many(bench, 40, qa_type="tal") + many(bench, 3, qa_type="next_action", struc_info=None)
    assert bench.run(records, "--per-pair", "5", "--val-ratio", "0") == 0
    rows = bench.rows("train")
    assert Counter(row["ability"] for row in rows) == {"tag": 5, "nap": 3}
    assert "note: 35 records: not chosen for the balanced subset" in capsys.readouterr().out
    assert bench.run(records, "--per-pair", "9", "--val-ratio", "0") == 0
    assert {row["extra_info"]["index"] for row in rows} < {row["extra_info"]["index"] for row in bench.rows("train")}
    assert bench.run(records, "--per-pair", "1", "--val-ratio", "0.5", "--tasks", "tag") == 0
    assert len(bench.rows("train")) == 1 and len(bench.rows("val")) == 20


def test_one_shot(bench):
    assert bench.run([bench.record(), bench.record("b")], "--one-shot", "--val-ratio", "0") == 0
    for row in bench.rows("train"):
        system, user = row["prompt"]
        assert (system["role"], user["role"]) == ("system", "user")
        assert EXAMPLES["tag"][1] in system["content"] and "<video>" not in system["content"]
        assert row["messages"][:2] == row["prompt"] and row["messages"][2]["role"] == "assistant"


def test_one_shot_grades_of_cvs_change_from_record_to_record():
    grades = [re.findall(r": (\d)", system_message("cvs", index)) for index in range(200)]
    assert grades == [re.findall(r": (\d)", system_message("cvs", index)) for index in range(200)]
    for position in range(3):
        counts = Counter(grade[position] for grade in grades)
        assert set(counts) == {"0", "1", "2"} and min(counts.values()) > 40
    assert system_message("counting", 0) == ""


def test_unopened_frames(bench, capsys):
    """Every row is written, and a later run that opens the frames lists the same files."""
    records = [bench.record("b"), bench.region_record()]
    assert bench.run(records, "--skip-frames", "--val-ratio", "0") == 0
    assert "note: 2 records: no frame was opened" in capsys.readouterr().out
    before = bench.rows("train")
    assert [row["extra_info"]["num_tokens"] for row in before] == [None, None]
    assert not (bench.out / "frames_rc").exists()
    assert bench.run(records, "--val-ratio", "0") == 0
    assert [row["videos"] for row in bench.rows("train")] == [row["videos"] for row in before]
    assert all(Path(frame).exists() for row in bench.rows("train") for frame in row["videos"][0]["video"])


def test_oddities_are_kept_and_counted(bench, capsys):
    frame = "/root/data/AVOS/a/0.jpg"
    records = [
        bench.record(video=[frame, frame, "/root/data/AVOS/a/1.jpg"]),
        bench.record("b", sampled_video_frames=[0, 15, 31]),
        bench.record(data_source="Charite", id="other"),
    ]
    assert bench.run(records, "--val-ratio", "0") == 0
    shown = capsys.readouterr().out
    assert "note: 1 records: a frame is listed more than once" in shown
    assert "note: 1 records: frames at irregular distances" in shown
    assert "note: 1 records: source 'Charite' is none of MedVidBench's" in shown
    assert len(bench.rows("train")) == 3


@pytest.mark.skipif(not hasattr(resource, "RLIMIT_FSIZE"), reason="no limit of file size here")
def test_a_disk_that_fills_up(bench):
    """A real limit on the size of files, in a process of its own: earlier Parquet stays, no temporary file is left."""
    assert bench.run(many(bench, 4)) == 0
    before = {path.name: path.read_bytes() for path in bench.out.iterdir()}
    bench.write([bench.record("ab"[n % 2], id=str(n), conversations=[
        {"from": "human", "value": f"<video>\n{n}?"},
        {"from": "gpt", "value": "".join(chr(33 + (n * 7919 + i * i * 31) % 94) for i in range(2000))},
    ]) for n in range(300)])  # fmt: skip
    code = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, 30_000));"
        "from data_preprocess import medvidbench; sys.exit(medvidbench.main(sys.argv[1:]))"
    )
    paths = ["--json", bench.json, "--frames-root", bench.root / "frames", "--out", bench.out]
    command = [sys.executable, "-c", code, *paths]
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, cwd=REPOSITORY)
    assert done.returncode == 1
    assert "Nothing was left half-written" in done.stderr
    assert {path.name: path.read_bytes() for path in bench.out.iterdir()} == before


def test_a_folder_of_frames_that_may_not_be_read(bench, monkeypatch, capsys):
    """The tests may run as root, who may read everything: the refusal comes from here."""
    really = Image.open

    def refuse(path, *arguments):
        if "/b/" in str(path):
            raise PermissionError(13, "Permission denied")
        return really(path, *arguments)

    monkeypatch.setattr(Image, "open", refuse)
    assert bench.run([bench.record(), bench.record("b")]) == 1
    shown = capsys.readouterr().err
    assert "AVOS/b/0.jpg" in shown and "Permission denied" in shown
    assert bench.run([bench.record(), bench.record("b")], "--max-failed", "1") == 0
    [failure] = bench.failures()
    assert failure["kind"] == "failed" and "AVOS/b/0.jpg" in failure["reason"]
    assert {row["extra_info"]["video_id"] for row in bench.rows()} == {"a"}
