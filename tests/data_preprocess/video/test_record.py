# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Records of every released shape are read; every bad field is named with what was found in it."""

import json

import pytest

from data_preprocess.common.errors import RecordError
from data_preprocess.video.record import parse_record, split_unit

BOX = [8, 8, 40, 32]


def turns(*pairs, keys=("from", "value")):
    return [dict(zip(keys, pair, strict=True)) for pair in pairs]


def test_a_plain_record(bench):
    record = parse_record(bench.record())
    assert (record.source, record.task, record.qa_type) == ("AVOS", "tag", "tal")
    assert (record.question, record.answer) == ("When is the cutting?", "0.0-1.0 seconds.")
    assert (record.fps, record.video_id, record.region) == (1.0, "a", None)
    assert json.loads(record.struc_info) == bench.record()["struc_info"]


@pytest.mark.parametrize("roles", [("human", "gpt"), ("user", "assistant"), ("human", "assistant")])
@pytest.mark.parametrize("keys", [("from", "value"), ("role", "content")])
def test_roles(bench, roles, keys):
    conversation = turns((roles[0], "<video>\n Q? "), (roles[1], " A "), keys=keys)
    record = parse_record(bench.record(conversations=conversation))
    assert (record.question, record.answer) == ("Q?", "A")


@pytest.mark.parametrize("question", ["<video>\nQ?", "<video>Q?", "  <video>\n\nQ?", "Q?"])
def test_the_placeholder_is_taken_off(bench, question):
    record = parse_record(bench.record(conversations=turns(("human", question), ("gpt", "A"))))
    assert record.question == "Q?"


@pytest.mark.parametrize("fps", ["0.5", "1", 2, 0.25, " 3.0 ", "29.97"])
def test_fps_as_text_or_number(bench, fps):
    assert parse_record(bench.record(metadata={"fps": fps, "video_id": "a"})).fps == float(fps)


@pytest.mark.parametrize(
    "extent",
    [
        {"input_video_start_time": "1.5", "input_video_end_time": "8.0"},
        {"input_video_start_frame": "15", "input_video_end_frame": "120"},
        {"start_frame": "15", "end_frame": "120"},
        {},
    ],
)
def test_clip_extents_pass_through(bench, extent):
    metadata = {"fps": "1.0", "video_id": "a", **extent}
    assert json.loads(parse_record(bench.record(metadata=metadata)).metadata) == metadata


def test_source_falls_back_to_dataset_name(bench):
    assert parse_record(bench.record(data_source=None, dataset_name="Cholec80_CVS")).source == "Cholec80-CVS"
    assert parse_record(bench.record(data_source="New/Set")).source == "New_Set"


@pytest.mark.parametrize(
    ("qa_type", "info"),
    [
        ("tal", [{"spans": [{"start": 0, "end": 1}]}, {"spans": []}]),
        ("tal", {"spans": [{"start": 0, "end": 1}]}),
        ("stg", [{"bbox_dict": {"8.0": BOX, "0.0": BOX}, "start": 0, "end": 8}]),
        ("stg", {"bbox_dict": {"8.0": BOX}}),
        ("stg", {"8.0": BOX, "0.0": [0, 0, 0, 0]}),
        ("dense_captioning_gpt", [[{"start": 0, "end": 1, "caption": "c"}]]),
        ("dense_captioning_gpt", [{"dc_segments": [{"start": 0, "end": 1, "caption": "ç"}]}]),
        ("dense_captioning_gemini", [{"start": 0, "end": 1, "caption": "c"}]),
        ("cvs_assessment", [{"cvs_scores": {"two_structures": 0, "other": None}}]),
        ("skill_assessment", [{"skill_level": "N", "skill_scores": {"Respect for tissue": 1}}]),
        ("next_action", "cutting"),
    ],
)
def test_struc_info_keeps_shape_and_key_order(bench, qa_type, info):
    record = parse_record(bench.record(qa_type=qa_type, struc_info=info))
    assert json.dumps(json.loads(record.struc_info)) == json.dumps(info)
    assert all(any(box) for box in record.boxes)


def test_boxes_come_from_the_answer_where_nothing_else_has_them(bench):
    answer = "1.0 seconds: [10, 10.5, 400, 40] 2.0 seconds: [0, 0, 0, 0] 3.0 seconds: [ 1,2,3,4 ]"
    record = bench.record(qa_type="stg", conversations=turns(("human", "Q"), ("gpt", answer)))
    assert parse_record(record | {"struc_info": []}).boxes == [[10, 10.5, 400, 40], [1, 2, 3, 4]]
    assert parse_record(record | {"struc_info": [{"bbox_dict": {"1.0": BOX}}]}).boxes == [BOX]


@pytest.mark.parametrize("info", [None, [], {}, ""])
def test_no_struc_info(bench, info):
    assert parse_record(bench.record() | {"struc_info": info}).struc_info == ""


def test_region(bench):
    assert parse_record(bench.region_record()).region == ("/root/data/AVOS/a/1.jpg", BOX)


@pytest.mark.parametrize(
    ("changes", "field", "reason"),
    [
        ({"qa_type": None}, "qa_type", "is missing"),
        ({"qa_type": 7}, "qa_type", "is 7"),
        ({"data_source": None}, "data_source", "is missing, and so is dataset_name"),
        ({"metadata": None}, "metadata", "is missing"),
        ({"metadata": "x"}, "metadata", 'is "x"'),
        ({"metadata": {"fps": "1"}}, "metadata.video_id", "is missing"),
        ({"metadata": {"video_id": "a"}}, "metadata.fps", "is missing"),
        ({"metadata": {"video_id": "a", "fps": "0"}}, "metadata.fps", 'is "0"'),
        ({"metadata": {"video_id": "a", "fps": ""}}, "metadata.fps", 'is ""'),
        ({"metadata": {"video_id": "a", "fps": "nan"}}, "metadata.fps", 'is "nan"'),
        ({"metadata": {"video_id": "a", "fps": "inf"}}, "metadata.fps", 'is "inf"'),
        ({"metadata": {"video_id": "a", "fps": "-1"}}, "metadata.fps", 'is "-1"'),
        ({"metadata": {"video_id": "a", "fps": 10**400}}, "metadata.fps", "is 1000"),
        ({"metadata": {"video_id": "a", "fps": [1]}}, "metadata.fps", "is [1]"),
        ({"metadata": {"video_id": "a", "fps": True}}, "metadata.fps", "is true"),
        ({"video": None}, "video", "is missing"),
        ({"video": []}, "video", "is []"),
        ({"video": "/root/data/AVOS/a/1.jpg"}, "video", 'is "/root/data/AVOS/a/1.jpg"'),
        ({"video": ["/root/data/AVOS/a/1.jpg", 3]}, "video[1]", "is 3"),
        ({"conversations": None}, "conversations", "is missing"),
        ({"conversations": []}, "conversations", "is []"),
        ({"conversations": ["Q"]}, "conversations[0]", 'is "Q"'),
        ({"conversations": turns(("system", "S"))}, "conversations[0].from", 'is "system"'),
        ({"conversations": turns(("human", None))}, "conversations[0].value", "is missing"),
        ({"conversations": turns(("human", "Q"), ("gpt", "A"), ("human", "Q"))}, "conversations[2]", "second question"),
        ({"conversations": turns(("gpt", "A"))}, "conversations", "hold no question"),
        ({"conversations": turns(("human", "<video>\n"), ("gpt", "A"))}, "conversations", "hold no question"),
        ({"conversations": turns(("human", "Q"), ("gpt", " "))}, "conversations", "hold no answer"),
        (
            {"conversations": turns(("human", "<video> is <video>?"), ("gpt", "A"))},
            "conversations",
            "inside the question",
        ),
        (
            {"conversations": turns(("human", "Q"), ("gpt", "<image>"))},
            "conversations",
            "hold <image> inside the answer",
        ),
        (
            {"qa_type": "stg", "struc_info": [{"bbox_dict": {"0.0": [1, 2, 3]}}]},
            'struc_info.bbox_dict["0.0"]',
            "is [1, 2, 3]",
        ),
        (
            {"qa_type": "stg", "struc_info": [{"bbox_dict": {"0.0": [1, 2, 3, 10**400]}}]},
            'struc_info.bbox_dict["0.0"]',
            "is [1, 2, 3, 1000",
        ),
        ({"is_RC": True}, "RC_info", "is missing"),
    ],
)
def test_bad_fields(bench, changes, field, reason):
    with pytest.raises(RecordError) as caught:
        parse_record(bench.record(**changes) | {key: None for key, value in changes.items() if value is None})
    assert caught.value.field == field
    assert reason in caught.value.reason
    assert len(caught.value.remedy) > 10


@pytest.mark.parametrize(
    ("info", "field", "reason"),
    [
        ({"start_frame": "/root/data/AVOS/a/9.jpg"}, "RC_info.start_frame", 'is "/root/data/AVOS/a/9.jpg"'),
        ({"start_frame": None}, "RC_info.start_frame", "is missing"),
        ({"start_frame_bbox": None}, "RC_info.start_frame_bbox", "is missing"),
        ({"start_frame_bbox": [1, 2, "3", 4]}, "RC_info.start_frame_bbox", 'is [1, 2, "3", 4]'),
        ({"start_frame_bbox": [1, 2, float("nan"), 4]}, "RC_info.start_frame_bbox", "is [1, 2, NaN, 4]"),
    ],
)
def test_bad_regions(bench, info, field, reason):
    with pytest.raises(RecordError) as caught:
        parse_record(bench.region_record(**info))
    assert (caught.value.field, caught.value.reason) == (field, reason)


@pytest.mark.parametrize(("raw", "shown"), [("text", '"text"'), (None, "missing"), ([1], r"\[1\]"), (3, "3")])
def test_no_object(raw, shown):
    with pytest.raises(RecordError, match=f"record: is {shown}. Every entry of the array is an object"):
        parse_record(raw)


def test_the_split_goes_by_the_group_where_there_is_one():
    raw = {"data_source": "CholecT50", "metadata": {"video_id": "VID12"}}
    assert split_unit(raw) == ("CholecT50", "VID12")
    raw["metadata"]["split_group"] = "cholec/12"
    assert split_unit(raw) == ("cholec", "12")
    raw["metadata"]["split_group"] = " cholec/12\n"
    assert split_unit(raw) == ("cholec", "12")
    for wrong in ("cholec", "a/b/c", "a/", 12):
        raw["metadata"]["split_group"] = wrong
        with pytest.raises(RecordError, match="split_group"):
            split_unit(raw)
