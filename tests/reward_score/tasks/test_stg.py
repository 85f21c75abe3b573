# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
import pytest

from reward_score.errors import BadGroundTruth
from reward_score.tasks import stg

BOX = [10, 10, 20, 20]
GRID = {f"{i}.0": BOX for i in range(10)}


def answer(boxes):
    return " ".join(f"{time} seconds: {box}" for time, box in boxes.items())


@pytest.mark.parametrize(
    ("text", "boxes"),
    [
        ("1 seconds: [1, 2, 3, 4]", {"1.0": [1, 2, 3, 4]}),
        ("1.0 seconds: [1, 2, 3, 4] 2.0 seconds: [5, 6, 7]", {"1.0": [1, 2, 3, 4], "2.0": [1, 2, 3, 4]}),
        ("1.0 seconds: [a]", {}),
        ("1.0 seconds: [1,2,3,4] 1.0 seconds: [5,6,7,8]", {"1.0": [5, 6, 7, 8]}),
        ("1.0 seconds: [1, 2, 3, 4", []),
        ("[[1, 2, 3, 4]] [[5,6,7,8]] [[1,2]]", [[1, 2, 3, 4], [5, 6, 7, 8]]),
        ("[[1.5, 2, 3, 4]]", []),
        ("[[1,2,\x1c3,\u00a04]]", [[1, 2, 3, 4]]),
        ("1.0 second: [1, 2, 3, 4]", []),
    ],
)
def test_parse(text, boxes):
    assert stg.parse(text) == boxes


def test_format_needs_every_reference_time_in_the_official_form(score):
    reference = answer(GRID)
    assert score("stg", reference, reference)["format"] == 1
    surplus = score("stg", reference + " 99.0 seconds: [1, 2, 3, 4]", reference)
    assert surplus["format"] == surplus["concise"] / 2 < 0.5 and surplus["raw"] == 10 / 11 * surplus["concise"]
    assert score("stg", "Boxes: " + reference, reference)["format"] == 0.5
    assert score("stg", answer({"0.0": BOX}), reference)["format"] == 0.5
    listed = score("stg", " ".join(f"[{BOX}]" for _ in GRID), reference)
    assert (listed["format"], listed["raw"]) == (0.5, 1)
    assert score("stg", f"[{BOX}]" * 10, "", GRID)["raw"] == 1 > 10 * score("stg", f"[{BOX}]" * 100, "", GRID)["raw"]


def test_a_malformed_entry_has_no_box_in_the_reward_though_it_inherits_one_in_the_metric(score):
    text = answer({"0.0": BOX}) + " " + " ".join(f"{i}.0 seconds: [x]" for i in range(1, 10))
    found = score("stg", text, "", GRID)
    assert (found["raw"], found["format"]) == (0.1 * found["concise"], 0.5 * found["concise"])
    assert stg.metric(text, GRID)["mean_iou"] == 1


def test_of_several_boxes_at_one_time_the_worst_counts(score):
    good, bad = answer({"0.0": BOX}), answer({"0.0": [90, 90, 99, 99]})
    twice, *both = (score("stg", text, "", {"0.0": BOX})["raw"] for text in (f"{good} {good}", bad + good, good + bad))
    assert twice < 0.5 and both == [0, 0]


def test_an_answer_may_hold_the_boxes_without_area_of_its_reference(score):
    for absent in ([0, 0, 0, 0], [5, 5, 5, 9]):
        boxes = {**GRID, "3.0": absent}
        assert score("stg", answer(boxes), answer(boxes), boxes)["score"] == 1
        assert score("stg", answer({t: box for t, box in boxes.items() if t != "3.0"}), "", boxes)["score"] == 1
        guessed = score("stg", answer(GRID), "", boxes)
        assert (guessed["raw"], guessed["format"]) == (0.9, 1)
    assert score("stg", answer({**GRID, "3.0": [0, 0, 0, 0]}), "", GRID)["format"] == 0.5


def test_corners_beyond_any_frame_are_refused(score):
    huge = {"1.0": [0, 0, 10**400, 10]}
    with pytest.raises(BadGroundTruth, match="beyond any frame"):
        stg.metric("1.0 seconds: [0, 0, 1, 1]", huge)
    with pytest.raises(BadGroundTruth, match="beyond any frame"):
        score("stg", "1.0 seconds: [0, 0, 1, 1]", "", huge)


def test_references_in_every_shape_by_times_of_one_decimal(score):
    struc_info = [{"bbox_dict": {"1.0": BOX, "2.25": BOX, "3.50": BOX}}]
    for text in ("2.2", "2.25"):
        assert score("stg", answer({"1.0": BOX, text: BOX, "3.5": BOX}), "", struc_info)["raw"] == 1
    text = answer({"1.0": BOX})
    bare = {"1.0": BOX}
    for struc_info in ([{"bbox_dict": bare}], {"bbox_dict": bare}, bare, [bare], [{"bbox_dict": {}}], {}, None):
        assert score("stg", text, text, struc_info)["raw"] == 1


def test_boxes_without_an_area_are_no_references(score):
    struc_info = {"1.0": BOX, "2.0": [0, 0, 0, 0], "3.0": [5, 5]}
    assert score("stg", answer({"1.0": BOX}), "", struc_info)["raw"] == 1
    with pytest.raises(BadGroundTruth, match="no reference box"):
        score("stg", answer({"1.0": BOX}), "", {"2.0": [0, 0, 0, 0]})


def test_metric_carries_boxes_forward():
    found = stg.metric("0.0 seconds: [10, 10, 20, 20]", [{"bbox_dict": GRID}])
    assert found["mean_iou"] == 1
    assert stg.metric("1.0 seconds: [10, 10, 20, 20]", GRID)["mean_iou"] == pytest.approx(0.9)


def test_metric_where_the_official_code_breaks():
    assert stg.metric("0.0 seconds: [nan, 10, 20, 20]", {"0.0": BOX})["mean_iou"] == 0
    assert stg.metric("0.0 seconds: [inf, 0, inf, 20]", {"0.0": BOX})["mean_iou"] == 0
    assert stg.metric("[[" + "9" * 400 + ", 0, 1, 1]]", {"0.0": BOX})["mean_iou"] == 0
    with pytest.raises(BadGroundTruth, match="'object' is not a time"):
        stg.metric("", {"object": "knife"})
    with pytest.raises(BadGroundTruth, match="dict of time to box"):
        stg.metric("", [[BOX]])
