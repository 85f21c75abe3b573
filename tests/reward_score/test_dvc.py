# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
import pytest

from reward_score import dvc
from reward_score.errors import BadGroundTruth

EVENTS = [
    {"start": 0.0, "end": 10.0, "caption": "cutting: The scissors cut the skin."},
    {"start": 10.0, "end": 20.0, "caption": "tying: The hand ties a knot."},
]
TEXT = "0.0-10.0 seconds: cutting: The scissors cut the skin.\n10.0-20.0 seconds: tying: The hand ties a knot."


@pytest.mark.parametrize(
    ("text", "events"),
    [
        ("1-2 seconds: a\n3.5-4 seconds: b\nc", [(1, 2, "a"), (3.5, 4, "b c")]),
        ("Sure! 1-2 second: a", [(1, 2, "a")]),
        ("- 1-2 seconds: a\n- 3-4 seconds: b", [(1, 2, "a - 3-4 seconds: b")]),
        ("1-2 seconds: \n3-4 seconds: b", [(1, 2, "3-4 seconds: b")]),
        ("1-2 seconds: a\n1-2 seconds: b", [(1, 2, "a")]),
        ("1 - 2 seconds: a", []),
        ("Time Range: 1 – 2 seconds **Description:** A b.", [(1, 2, "A b")]),
        ("1-2 seconds - A b.\n3-4 seconds - C", [(1, 2, "A b"), (3, 4, "C")]),
        ("1-2 seconds -", []),
    ],
)
def test_parse(text, events):
    assert dvc.parse(text) == events


def test_flatten_cuts_overlaps_and_then_drops_reversed_and_empty_spans():
    assert dvc.flatten([(5, 1), (7, 7)]) == [(5, 1), (7, 7)]
    assert dvc.flatten([(0, 10), (5, 15), (3, 3), (20, 18)]) == [(0, 3), (3, 5), (5, 10), (10, 15)]


def test_the_reference_itself_is_one(score):
    for struc_info in ([EVENTS], [EVENTS[:1], EVENTS[1:]], [{"dc_segments": EVENTS}], EVENTS, None):
        result = score("dvc", TEXT, TEXT, struc_info)
        assert (result["score"], result["raw"], result["format"]) == (1, 1, 1)


def test_overlapping_equal_and_zero_length_references_can_still_be_answered_fully(score):
    text = "0-10 seconds: a b\n5-15 seconds: c d\n30-30 seconds: e f"
    events = [{"start": s, "end": e, "caption": c} for s, e, c in [(0, 10, "a b"), (5, 15, "c d"), (30, 30, "e f")]]
    assert score("dvc", text, text, [*events, {"start": 0, "end": 10, "caption": "second"}])["raw"] == 1


def test_half_temporal_half_captions(score):
    result = score("dvc", TEXT.replace("knot", "bow").replace("20.0", "16.0"), TEXT, EVENTS)
    temporal = (1 + 1 + 0.5) / 3
    captions = (result["similarity"] + result["judge"]) / 2
    assert captions < 1
    assert result["raw"] == pytest.approx((temporal + captions) / 2)


def test_format_factor(score):
    assert score("dvc", "Here they are:\n" + TEXT, TEXT, EVENTS)["format"] == 0.5
    assert score("dvc", TEXT.replace("\n", "\n\n"), TEXT, EVENTS)["format"] == 0.5
    assert score("dvc", "nothing happens", TEXT, EVENTS)["score"] == 0


def test_references_that_cannot_be_read(score):
    with pytest.raises(BadGroundTruth, match="no reference events"):
        score("dvc", TEXT, "none", [])
    with pytest.raises(BadGroundTruth, match="finite numbers"):
        score("dvc", TEXT, TEXT, [{"start": None, "end": 2, "caption": "a"}])


def test_metric_leaves_unparsable_records_out():
    assert dvc.metric("nothing", EVENTS, 1.0)["f1"] is None
    assert dvc.metric(TEXT, [{"start": 0, "end": 1}], 1.0)["f1"] is None
    assert dvc.metric(TEXT, EVENTS, 1.0)["f1"] == 1


def test_metric_drops_times_that_overflow():
    assert dvc.metric("9" * 400 + "-5 seconds: a", EVENTS, 1.0)["f1"] is None
