# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""The balanced subset: tasks alike, sources alike within a task, and the distributions next to the paper's."""

import json
from collections import Counter

import pytest

from data_preprocess.build.balance import Balanced, main, quotas, values_of
from data_preprocess.video.record import parse_record


def record(number, task="tal", source="AVOS", answer="1.0-2.0 seconds.", frames=30, fps="1.0"):
    return {
        "id": str(number),
        "conversations": [{"from": "human", "value": "<video>\nQ {"}, {"from": "gpt", "value": answer}],
        "video": [f"{place}.jpg" for place in range(frames)],
        "metadata": {"fps": fps, "video_id": "a"},
        "qa_type": task,
        "data_source": source,
    }


@pytest.mark.parametrize(
    ("counts", "total", "expected"),
    [
        ({("A", "x"): 50, ("A", "y"): 50}, 10, {("A", "x"): 5, ("A", "y"): 5}),
        ({("A", "x"): 2, ("A", "y"): 50}, 10, {("A", "x"): 2, ("A", "y"): 8}),
        ({("A", "x"): 50, ("B", "x"): 50, ("A", "y"): 50}, 20, {("A", "x"): 5, ("B", "x"): 5, ("A", "y"): 10}),
        ({("A", "x"): 3, ("A", "y"): 4}, 100, {("A", "x"): 3, ("A", "y"): 4}),
    ],
)
def test_quotas(counts, total, expected):
    assert quotas(Counter(counts), total) == expected


def test_the_subset_of_two_files(tmp_path, capsys):
    first = [record(number) for number in range(40)]
    second = [record(number, "next_action", "CoPESD", "hold", 50, "0.1") for number in range(40, 60)]
    for name, content in (("a", first), ("b", second)):
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    chosen = {}
    for seed, total in ((0, 10), (0, 20), (1, 10)):
        out = tmp_path / f"{seed}_{total}.json"
        files = [str(tmp_path / "a.json"), str(tmp_path / "b.json")]
        assert main([*files, "--out", str(out), "--total", str(total), "--seed", str(seed)]) == 0
        chosen[seed, total] = json.loads(out.read_text())
        kinds = Counter(each["qa_type"] for each in chosen[seed, total])
        assert kinds == {"tal": total // 2, "next_action": total // 2}
        assert all(each in first + second for each in chosen[seed, total])
    ids = {key: {each["id"] for each in some} for key, some in chosen.items()}
    assert ids[0, 10] < ids[0, 20] and ids[0, 10] != ids[1, 10]
    out = capsys.readouterr().out
    assert "63.3%" in out and "401 to 1800" in out


@pytest.mark.parametrize(
    ("changes", "words", "seconds", "fps"),
    [
        ({}, "at most 5", "20 to 400", "1.0"),
        ({"answer": "a " * 6, "frames": 20}, "6 to 20", "below 20", "1.0"),
        ({"answer": "a " * 20, "frames": 5, "fps": "0.2"}, "6 to 20", "20 to 400", "0.2"),
        ({"answer": "a " * 5, "frames": 401}, "at most 5", "20 to 400", "1.0"),
        ({"answer": "a " * 21, "frames": 202, "fps": "0.5"}, "more than 20", "401 to 1800", "0.5"),
        ({"frames": 200, "fps": "0.1"}, "at most 5", "more than 1800", "0.1"),
        ({"fps": "0.7"}, "at most 5", "20 to 400", "other"),
    ],
)
def test_a_value_lies_in_one_band(changes, words, seconds, fps):
    balanced = Balanced()
    for name, value in values_of(parse_record(record(0, **changes))).items():
        balanced.values[name][value] += 1
    found = {name: [band.label for band, count in balanced.bands(name) if count] for name in balanced.values}
    assert found == {"words of the answer": [words], "seconds of the clip": [seconds], "fps": [fps]}


def test_a_file_that_is_no_array_is_told(tmp_path, capsys):
    (tmp_path / "a.json").write_text("{}")
    assert main([str(tmp_path / "a.json"), "--out", str(tmp_path / "b.json")]) == 1
    assert "does not begin with [" in capsys.readouterr().err


def test_a_record_that_is_none_and_a_file_that_would_be_lost_are_told(tmp_path, capsys):
    file = tmp_path / "a.json"
    file.write_text(json.dumps([record(0), record(1) | {"metadata": {"video_id": "a"}}]))
    assert main([str(file), "--out", str(tmp_path / "b.json")]) == 1
    assert "a.json, record 1: metadata.fps" in capsys.readouterr().err
    assert main([str(file), "--out", str(file)]) == 1
    assert "is one of the files to choose from" in capsys.readouterr().err and not (tmp_path / "b.json").exists()
    for folder in (str(tmp_path), "."):
        assert main([str(file), "--out", folder]) == 1
        assert f"error: --out {folder} is a folder. Give the JSON file of the subset" in capsys.readouterr().err
    request = record(0) | {"conversations": record(0)["conversations"][:1], "evidence": {}}
    file.with_suffix(".jsonl").write_text(json.dumps(request) + "\n")
    assert main([str(file.with_suffix(".jsonl")), "--out", str(tmp_path / "b.json")]) == 1
    assert "It is a request for a caption: take captioned.json of medgrpo" in capsys.readouterr().err
