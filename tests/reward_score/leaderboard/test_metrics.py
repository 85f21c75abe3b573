# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
import json
import random
from pathlib import Path

import pytest

from reward_score.errors import BadGroundTruth, BadSubmission
from reward_score.judge import LexicalJudge
from reward_score.leaderboard.metrics import METRIC_NAMES, score_files, score_records
from reward_score.leaderboard.submission import merge
from reward_score.tasks import dvc

VECTORS = json.loads((Path(__file__).parents[2] / "data" / "leaderboard_vectors.json").read_text(encoding="utf-8"))
TOLERANCE = 2e-6
TASKS = {"tal": "tag", "next_action": "nap", "skill_assessment": "sa", "cvs_assessment": "cvs"}


def close(got, expected):
    if expected is None or got is None:
        return got is expected
    if isinstance(expected, dict):
        got = {str(key): value for key, value in got.items()}
        return got.keys() == expected.keys() and all(close(got[key], value) for key, value in expected.items())
    if isinstance(expected, list):
        return len(got) == len(expected) and all(map(close, got, expected))
    return abs(got - expected) <= TOLERANCE if isinstance(expected, int | float) else got == expected


def ground_truth(records):
    """Records in the released schema: the turns in `conversations`, nothing of the prediction."""
    kept, items = ("id", "qa_type", "data_source", "dataset_name", "metadata", "struc_info"), []
    for record in records:
        human = {"from": "human", "value": "<video>\n" + record["question"]}
        turns = [human, {"from": "gpt", "value": record["answer"]}]
        items.append({name: record[name] for name in kept if name in record} | {"conversations": turns})
    return items


@pytest.fixture(scope="module")
def results(encoder):
    found = {}
    for task, content in VECTORS.items():
        predictions = [record["prediction"] for record in content["records"]]
        found[task] = score_records(merge(predictions, ground_truth(content["records"])), encoder=encoder)
    return found


@pytest.mark.parametrize("task", VECTORS)
def test_every_record(results, task):
    for record, got in zip(VECTORS[task]["records"], results[task].records, strict=True):
        for name, expected in record["expected"].items():
            if name in ("margin", "parsed_kind"):
                continue
            if name == "judge_pairs":
                value = dvc.judge_pairs(record["prediction"], record["struc_info"])
            elif name == "scored" and name not in got:
                value = got.get("mean_iou", got.get("f1")) is not None
            else:
                value = got[name]
            assert close(value, expected), (record["case"], name, value, expected)


@pytest.mark.parametrize("task", VECTORS)
def test_aggregates(results, task):
    expected, got = VECTORS[task]["aggregate"], results[task]
    for name in METRIC_NAMES:
        assert (name in got.metrics) == (name in expected)
        if name in expected:
            assert got.metrics[name] == pytest.approx(expected[name], abs=TOLERANCE)
            assert f"{got.metrics[name]:.4f}" == f"{expected['leaderboard_printed'][name]:.4f}"
    task = TASKS.get(task, task)
    assert got.counts == {task: {"records": expected["n_records"], "scored": expected["n_scored"]}}
    assert close(got.per_source[task], expected["per_source"])


@pytest.mark.parametrize("form", ["submission", "results"])
def test_all_tasks_in_one_shuffled_file(tmp_path, encoder, form):
    records = [record for content in VECTORS.values() for record in content["records"]]
    random.Random(1).shuffle(records)
    if form == "submission":
        rows = [{name: record[name] for name in ("id", "qa_type", "prediction")} for record in records]
    else:
        rows = {str(i): {"question": r["question"], "answer": r["prediction"]} for i, r in enumerate(records)}
    (tmp_path / "predictions.json").write_text(json.dumps(rows))
    (tmp_path / "truth.json").write_text(json.dumps(ground_truth(records)))
    result = score_files(tmp_path / "predictions.json", tmp_path / "truth.json", encoder=encoder)
    aggregates = [content["aggregate"] for content in VECTORS.values()]
    expected = {name: one[name] for one in aggregates for name in METRIC_NAMES if name in one}
    assert result.metrics == pytest.approx(expected, abs=TOLERANCE)
    assert list(result.metrics) == list(METRIC_NAMES)
    assert result.ignored == result.mismatched == []


def record(qa_type, prediction, answer, struc_info=(), source="AVOS", fps="1.0"):
    item = {"qa_type": qa_type, "data_source": source, "metadata": {"fps": fps}, "struc_info": list(struc_info)}
    return item | {"prediction": prediction, "answer": answer, "question": ""}


def score(*records, judge=None):
    return score_records(merge([item["prediction"] for item in records], list(records)), judge)


@pytest.mark.parametrize(
    ("item", "message"),
    [
        (record("tal", "1-2 seconds.", "", fps="fast"), "record 0 .AVOS, tag.*fps 'fast'"),
        (record("dense_captioning_gpt", "", "", fps=None), "fps None"),
        (record("stg", "", "", fps="0.5fps"), "record 0 .AVOS, stg.*fps '0.5fps'"),
        (record("tal", "", "", fps=10**400), "fps 1"),
        (record("skill_assessment", "A: 1/5", "") | {"struc_info": {"skill_level": "N"}}, "list of dicts"),
        (record("cvs_assessment", "", "") | {"struc_info": {"cvs_scores": {}}}, "list of dicts"),
        (record("stg", "", "") | {"struc_info": {"object": [1, 2, 3, 4]}}, "not a time"),
        (record("tal", "", "", [{"spans": [{"start": "a", "end": 1}]}]), "finite numbers"),
    ],
)
def test_references_that_break_the_official_code_name_the_record(item, message):
    with pytest.raises(BadGroundTruth, match=message):
        score(item)


def test_a_nan_in_one_box_does_not_spoil_the_others():
    boxes = [{"bbox_dict": {"1.0": [0, 0, 10, 10]}}]
    good = record("stg", "1.0 seconds: [0, 0, 10, 10]", "", boxes)
    assert score(good, good | {"prediction": "1.0 seconds: [nan, 0, 10, 10]"}).metrics == {"STG_mIoU": 0.5}


def test_files_of_different_length_and_other_forms_are_refused(tmp_path):
    truth, predictions = tmp_path / "truth.json", tmp_path / "p.json"
    truth.write_text(json.dumps([record("tal", "", "")] * 2))
    for content, message in (
        ([{"prediction": ""}, {"prediction": 3}], "item 1 is int, must be text"),
        ({"a": {"answer": ""}}, "keyed by index"),
        ([{"id": "a"}], "item 0 needs a text"),
        ("text", "must be a list"),
    ):
        predictions.write_text(json.dumps(content))
        with pytest.raises(BadSubmission, match=message):
            score_files(predictions, truth)
    predictions.write_text("{")
    with pytest.raises(BadSubmission, match="no JSON"):
        score_files(predictions, truth)
    with pytest.raises(BadSubmission, match="cannot read"):
        score_files(tmp_path / "none.json", truth)


@pytest.mark.parametrize(
    ("truth", "message"),
    [
        ({}, "truth.json must be a JSON array"),
        ([3], "truth.json: record 0 is int"),
        ([], "1 predictions for 0 records of .*truth.json; both"),
        ([record("tal", "", "") | {"metadata": "x"}], "truth.json: record 0: metadata: .* dictionary"),
        ([record("tal", "", "", fps="fast")], "truth.json: record 0 .AVOS, tag.: .*fps 'fast'"),
    ],
)
def test_errors_name_the_ground_truth_file(tmp_path, truth, message):
    (tmp_path / "p.json").write_text(json.dumps([{"id": "a", "qa_type": "tal", "prediction": ""}]))
    (tmp_path / "truth.json").write_text(json.dumps(truth))
    with pytest.raises((BadSubmission, BadGroundTruth), match=message):
        score_files(tmp_path / "p.json", tmp_path / "truth.json")


def test_unknown_and_mismatched_qa_types_are_reported(tmp_path):
    (tmp_path / "truth.json").write_text(json.dumps([record("tal", "", ""), record("riddle", "", "")]))
    rows = [{"id": "a", "qa_type": "stg", "prediction": ""}, {"id": "b", "qa_type": "riddle", "prediction": ""}]
    (tmp_path / "p.json").write_text(json.dumps(rows))
    result = score_files(tmp_path / "p.json", tmp_path / "truth.json")
    assert (result.ignored, result.mismatched) == ([1], [0])
    assert result.counts == {"tag": {"records": 1, "scored": 1}}


def test_judge_metrics_leave_out_empty_predictions_and_references():
    caption = "The hook dissects the cystic duct."
    perfect = record("video_summary_gpt", caption, caption)
    result = score(perfect, record("region_caption_gemini", "", caption), judge=LexicalJudge())
    assert result.metrics == {"VS_lexical": 5.0}
    other = record("region_caption_gemini", "The nurse washes her hands.", caption)
    assert 1 <= score(perfect, other, judge=LexicalJudge()).metrics["RC_lexical"] < 5
    assert score(perfect).metrics == {}
    empty = [record("video_summary_gpt", "", caption), record("video_summary_gpt", caption, "")]
    result = score(perfect, *empty, judge=LexicalJudge())
    assert (result.metrics, result.unjudged) == ({"VS_lexical": 5.0}, {})


def test_judged_events_are_averaged_over_thresholds_that_have_pairs_and_weighted_by_source():
    events = [[{"start": 0, "end": 10, "caption": "The hook dissects the cystic duct."}]]
    exact = record("dense_captioning_gpt", "0-10 seconds: The hook dissects the cystic duct.", "", events)
    loose = record("dense_captioning_gpt", "0-4 seconds: The hook dissects the cystic duct.", "", events)
    missed = record("dense_captioning_gpt", "50-60 seconds: x", "", events, source="CoPESD")
    assert score(exact, loose, judge=LexicalJudge()).metrics["DVC_lexical"] == 5
    assert score(exact, missed, judge=LexicalJudge()).metrics["DVC_lexical"] == 2.5
