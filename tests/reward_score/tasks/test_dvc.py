# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
import pytest

from reward_score.errors import BadGroundTruth
from reward_score.tasks import dvc

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


@pytest.mark.parametrize("fps", [0.1, 0.25, 0.5, 1.0])
def test_zero_length_events_count_only_where_they_meet_a_zero_length_reference(score, fps):
    moment = {"start": 66.0, "end": 66.0, "caption": "a knot is tied"}
    assert score("dvc", "45.0-45.0 seconds: a", "", [{**moment, "start": 40.0, "end": 50.0}], fps=fps)["parsed"] == 0
    assert score("dvc", "66.0-66.0 seconds: a knot is tied", "", [moment], fps=fps)["score"] == 1
    joined = score("dvc", "66.0-66.0 seconds: a knot is tied\n5.0-5.0 seconds: a", "", [moment], fps=fps)
    concise = joined["concise"]
    assert (joined["rule"], joined["format"]) == (pytest.approx(2 / 3 * concise), pytest.approx(concise / 2))


def words(number):
    return " ".join(f"w{i}" for i in range(number))


def test_words_beyond_the_limit_are_surplus(score):
    assert score("dvc", TEXT.replace("a knot.", words(90)), TEXT, EVENTS)["concise"] == 1
    assert score("dvc", TEXT.replace("a knot.", words(200)), TEXT, EVENTS)["concise"] < 0.4
    # An event without a partner may be as long as the longest reference.
    told = [{**EVENTS[0], "caption": words(100)}, EVENTS[1]]
    assert score("dvc", TEXT + "\n50-60 seconds: " + words(300), TEXT, told)["concise"] == 1


def test_an_event_more_does_not_hide_one_that_is_too_long(score):
    long = "0.0-10.0 seconds: " + words(400)
    assert score("dvc", long + "\n90-99 seconds: x", TEXT, EVENTS)["score"] < score("dvc", long, TEXT, EVENTS)["score"]


def test_repeated_times_cost_unless_the_reference_repeats_them(score):
    twice = TEXT + "\n0.0-10.0 seconds: cutting: The scissors cut the skin."
    found = score("dvc", twice, TEXT, EVENTS)
    assert found["rule"] == pytest.approx(4 / 5 * found["concise"]) and found["format"] < 0.5
    assert score("dvc", twice, twice)["score"] == 1
    assert score("dvc", twice, TEXT, [*EVENTS, EVENTS[0]])["score"] == 1


def test_references_that_cannot_be_read(score):
    with pytest.raises(BadGroundTruth, match="no reference events"):
        score("dvc", TEXT, "none", [])
    with pytest.raises(BadGroundTruth, match="finite numbers"):
        score("dvc", TEXT, TEXT, [{"start": None, "end": 2, "caption": "a"}])


def test_metric_leaves_out_unparsable_records_and_times_that_overflow():
    assert dvc.metric("nothing", EVENTS, 1.0)["f1"] is None
    assert dvc.metric(TEXT, [{"start": 0, "end": 1}], 1.0)["f1"] is None
    assert dvc.metric(TEXT, EVENTS, 1.0)["f1"] == 1
    assert dvc.metric("9" * 400 + "-5 seconds: a", EVENTS, 1.0)["f1"] is None
    # Finite seconds, but not as frames.
    assert dvc.metric("8.6-" + "9" * 308 + " seconds: cut.", EVENTS, 2.0)["f1"] is None
    assert dvc.metric(TEXT, [{"start": 0, "end": 1e308, "caption": "a"}], 30.0)["f1"] is None
    with pytest.raises(BadGroundTruth, match="event .*finite numbers"):
        dvc.metric(TEXT, [{"start": 0, "end": 10**400, "caption": "a"}], 30.0)
