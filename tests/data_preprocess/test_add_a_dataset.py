# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""The examples of docs/add_a_dataset.md: the code runs, and is as short as the page says; frames are of their times."""

import json
import re
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

PAGE = Path(__file__).parents[2] / "docs" / "add_a_dataset.md"


def test_the_example_of_the_page(tmp_path):
    page = PAGE.read_text(encoding="utf-8")
    code = re.search(r"```python\n(.*?)```", page, re.DOTALL)[1]
    record = json.loads(re.search(r"```json\n(.*?)```", page, re.DOTALL)[1])
    assert len(code.splitlines()) <= 40
    (tmp_path / "my_set.py").write_text(code)
    (tmp_path / "raw" / "scans").mkdir(parents=True)
    Image.new("RGB", (64, 64), (90, 60, 50)).save(tmp_path / "raw" / record["image"])
    opened = {key: value for key, value in record.items() if key != "options"} | {"question": "Why?", "id": 0}
    closed, letter = opened | {"answer": "Yes"}, record | {"question": "Which?", "answer": "(b)"}
    wrong = record | {"id": "8", "answer": "Nail"}
    (tmp_path / "raw" / "questions.json").write_text(json.dumps([record, opened, wrong, closed, letter]))
    command = [sys.executable, tmp_path / "my_set.py", "--root", tmp_path / "raw", "--out", tmp_path / "out"]
    command += ["--max-failed", "1", "--test-fraction", "0"]
    surroundings = {"PYTHONPATH": str(PAGE.parents[1]), "PATH": ""}
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, env=surroundings)
    assert done.returncode == 0, done.stderr
    assert "questions.json, record 2 (8), answer: 'Nail' is none of the options" in done.stderr
    rows = pq.read_table(tmp_path / "out" / "train.parquet").to_pylist()
    assert [row["data_source"] for row in rows] == [f"my_set/radiology/{t}" for t in ("mcq", "open", "closed", "mcq")]
    assert [row["reward_model"]["ground_truth"] for row in rows] == ["B", "stone.", "Yes", "B"]
    assert [row["extra_info"]["id"] for row in rows] == ["7", "0", "0", "7"]


@pytest.mark.parametrize("rate", [25, 30, 10])
def test_the_frames_that_the_page_cuts_are_those_at_whole_seconds(rate):
    """Through ffmpeg's own filter: frame i of the video has the grey value i."""
    av = pytest.importorskip("av")
    name, options = re.search(r"-vf (\w+)=(\S+)", PAGE.read_text(encoding="utf-8")).groups()
    graph = av.filter.Graph()
    source = graph.add_buffer(width=64, height=48, format="gray", time_base=Fraction(1, rate))
    steps = [source, graph.add(name, options), graph.add("buffersink")]
    graph.link_nodes(*steps).configure()
    shown = []
    for number in [*range(8 * rate), None]:
        frame = None
        if number is not None:
            frame = av.VideoFrame.from_ndarray(np.full((48, 64), number, np.uint8), format="gray")
            frame.pts, frame.time_base = number, Fraction(1, rate)
        source.push(frame)
        try:
            while True:
                shown.append(int(steps[-1].pull().to_ndarray()[0, 0]))
        except (av.error.BlockingIOError, av.error.EOFError):
            pass
    assert shown == [second * rate for second in range(8)]
