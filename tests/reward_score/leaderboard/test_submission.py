# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
import json

import pytest

from reward_score.errors import BadSubmission
from reward_score.json_file import write_json
from reward_score.leaderboard.submission import (
    check_submission,
    merge,
    mismatches,
    predictions_of,
    read_json,
    require_records,
    sample_id,
    task_of_qa_type,
    write_submission,
)

RECORDS = [
    {"id": f"v{i}&&0&&10&&1.0", "qa_type": "tal", "metadata": {"video_id": f"v{i}", "fps": "1.0"}} for i in range(3)
]


def test_write_and_check(tmp_path):
    path = write_submission(RECORDS, ["1-2 seconds.", "", "é"], tmp_path / "out" / "submission.json")
    rows = json.loads(path.read_text(encoding="utf-8"))
    assert rows[2] == {"id": "v2&&0&&10&&1.0", "qa_type": "tal", "prediction": "é"}
    truth = write_json(tmp_path / "truth.json", RECORDS)
    warnings = check_submission(path, truth)
    assert "the full test set has 6245" in warnings[0] and "fewer than 100" in warnings[0]
    assert warnings[1] == "1 predictions are empty"
    assert check_submission(path) == warnings
    full = write_submission(RECORDS[:1] * 6245, ["1-2 seconds."] * 6245, tmp_path / "submission.json")
    assert check_submission(full) == []


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ({"input_video_start_frame": "5", "input_video_end_frame": "9"}, "v&&5&&9&&0.5"),
        ({"start_frame": "5", "end_frame": "9"}, "v&&5&&9&&0.5"),
        ({"input_video_start_time": "1.5", "input_video_end_time": "9.0"}, "v&&1.5&&9.0&&0.5"),
    ],
)
def test_ids_from_metadata(metadata, expected):
    assert sample_id({"metadata": {"video_id": "v", "fps": "0.5", **metadata}}) == expected
    assert sample_id({"id": "own", "metadata": metadata}) == "own"
    assert sample_id({"id": 0, "metadata": metadata}) == "0"


def test_a_number_is_an_id(tmp_path):
    path = write_json(tmp_path / "s.json", [{"id": 0, "qa_type": "tal", "prediction": ""}])
    assert len(check_submission(path, write_json(tmp_path / "t.json", [{"id": 0, "qa_type": "tal"}]))) == 2


def test_a_file_that_cannot_be_written_whole_leaves_nothing(tmp_path):
    with pytest.raises(TypeError):
        write_json(tmp_path / "s.json", object())
    (tmp_path / "folder").mkdir()
    with pytest.raises(BadSubmission, match="cannot write"):
        write_submission(RECORDS, ["a"] * 3, tmp_path / "folder")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_bad_answers_are_not_written(tmp_path):
    path = tmp_path / "submission.json"
    with pytest.raises(BadSubmission, match="2 answers for 3 records"):
        write_submission(RECORDS, ["a", "b"], path)
    with pytest.raises(BadSubmission, match="item 1 is NoneType"):
        write_submission(RECORDS, ["a", None, "b"], path)
    assert not path.exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: rows[1].pop("id"), "exactly id, qa_type and prediction"),
        (lambda rows: rows[1].update(score=1), "exactly id, qa_type and prediction"),
        (lambda rows: rows.reverse(), "item 0 has id 'v2"),
        (lambda rows: rows[2].update(qa_type="stg"), "item 2 has qa_type 'stg'"),
        (lambda rows: rows.pop(), "2 predictions for 3"),
    ],
)
def test_check_finds_what_would_be_scored_wrongly(tmp_path, change, message):
    path = write_submission(RECORDS, ["a", "b", "c"], tmp_path / "submission.json")
    rows = json.loads(path.read_text())
    change(rows)
    path.write_text(json.dumps(rows))
    truth = write_json(tmp_path / "truth.json", RECORDS)
    with pytest.raises(BadSubmission, match=message):
        check_submission(path, truth)


def test_errors_name_the_test_file(tmp_path):
    path = write_submission(RECORDS[:1], ["a"], tmp_path / "submission.json")
    bare = [{"qa_type": "tal", "metadata": {"video_id": "v"}}]
    for content, message in (
        ({}, "truth.json must be a JSON array"),
        ([None], "truth.json: record 0 is NoneType"),
        (bare, "truth.json: record 0 of video 'v' has neither an id"),
        (RECORDS, "1 predictions for 3 records of .*truth.json"),
        (RECORDS[1:2], "item 0 has id 'v0.*truth.json has 'v1"),
    ):
        truth = write_json(tmp_path / "truth.json", content)
        with pytest.raises(BadSubmission, match=message):
            check_submission(path, truth)
    with pytest.raises(BadSubmission, match="a submission is a JSON array"):
        check_submission(write_json(tmp_path / "results.json", {}))
    with pytest.raises(BadSubmission, match="^t.json: record 0 of video 'v' has neither an id"):
        write_submission(bare, ["a"], path, "t.json")


@pytest.mark.parametrize(
    ("keys", "missing"),
    [("12", "0"), ("023", "1"), (["0", "1", "01"], "2"), (["0", "1", "x"], "2"), (["0", "00"], "1"), (["+0"], "0")],
)
def test_a_results_file_must_have_every_index(keys, missing):
    with pytest.raises(BadSubmission, match=f'p: .*keyed by index, .*"{missing}" is missing'):
        predictions_of({key: {"answer": "x"} for key in keys}, "p")


def test_results_are_taken_by_index_whatever_their_order():
    content = {str(i): {"answer": str(i), "qa_type": "stg" if i == 10 else "tal"} for i in reversed(range(12))}
    assert predictions_of(content) == [str(i) for i in range(12)]
    assert mismatches(content, [{"qa_type": "tal"}] * 12) == ([10], {})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"conversations": [None]}, "conversations.0: "),
        ({"conversations": 3}, "conversations: .* list"),
        ({"conversations": [{"from": "gpt", "value": 3}]}, "conversations.0.value: .* string"),
        ({"answer": ["a"]}, "answer: .* string"),
        ({"data_source": {"name": "AVOS"}}, "data_source: .* string"),
        ({"data_source": "", "dataset_name": 3}, "dataset_name: .* string"),
        ({"metadata": ["1.0"]}, "metadata: .* dictionary"),
    ],
)
def test_fields_of_another_type_name_the_record(change, message):
    with pytest.raises(BadSubmission, match=f"^the ground truth: record 1: {message}"):
        merge(["a", "b"], [RECORDS[0], {**RECORDS[1], **change}])


def test_records_that_are_none(tmp_path):
    with pytest.raises(BadSubmission, match="record 1 is NoneType"):
        require_records([{}, None])
    with pytest.raises(BadSubmission, match="record 0 is str"):
        write_submission(["a"], ["b"], tmp_path / "s.json")
    with pytest.raises(BadSubmission, match="record 0: metadata: .* dictionary"):
        write_submission([{"metadata": ["video_id"]}], ["b"], tmp_path / "s.json")


def test_files_that_cannot_be_written_or_are_nested_too_deeply(tmp_path):
    (tmp_path / "file").write_text("[" * 100_000)
    with pytest.raises(BadSubmission, match="no JSON file"):
        read_json(tmp_path / "file")
    with pytest.raises(BadSubmission, match="cannot write"):
        write_submission(RECORDS, ["a"] * 3, tmp_path / "file" / "s.json")


def test_qa_types():
    expected = {"tal": "tag", "STG": "stg", "video_summary_gpt": "vs", "region_caption_gemini": "rc", "dc": "dvc"}
    expected |= {"dense_captioning_gemini": "dvc", "next_action": "nap"}
    expected |= {"skill_assessment": "sa", "cvs_assessment": "cvs"}
    assert {name: task_of_qa_type(name) for name in expected} == expected
    assert task_of_qa_type("riddle") is task_of_qa_type(None) is None
    assert [task_of_qa_type(name) for name in ("tal_v2", "open_TAL", "stg_avos")] == ["tag", "tag", "stg"]
