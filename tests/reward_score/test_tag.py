# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
import pytest

from reward_score import tag
from reward_score.errors import BadGroundTruth

SPANS = [{"action": "tying", "spans": [{"start": 66.0, "end": 66.0}]}]


@pytest.mark.parametrize(
    ("text", "spans"),
    [
        ("1.1-3.0 seconds.", [(1.1, 3.0)]),
        ("22.0-78.0, 89.0-94.0 seconds.", [(22, 78), (89, 94)]),
        ("from 3 s to 5 seconds", []),
        ("from 3s to 5 seconds", [(3, 5)]),
        ("3.001 to 5.004", [(3.0, 5.0)]),
        ("00:00:10 to 00:00:25", [(10, 0), (10, 25)]),
        ("2024-05-06, from 3 to 5", [(2024, 5)]),
        ("13.0–47.7 seconds.", []),
        ("-5-9 seconds", [(5, 9)]),
        ("1-2-3", [(1, 2)]),
        ("", []),
    ],
)
def test_parse(text, spans):
    assert tag.parse(text) == spans


def test_format_factor(score):
    assert score("tag", "22.0-78.0, 89.0-94.0 seconds.")["format"] == 1
    assert score("tag", "22-78, 89-94 seconds")["format"] == 1
    for fallback in (
        "22.0-78.0, 89.0-94.0",
        "from 22 to 78 seconds and 89 to 94 seconds",
        "It is 22-78, 89-94 seconds.",
    ):
        result = score("tag", fallback)
        assert (result["format"], result["raw"], result["score"]) == (0.5, 1, 0.5)
    for unparsable in ("", "never", "[22.0, 78.0]"):
        result = score("tag", unparsable)
        assert (result["format"], result["parsed"], result["score"]) == (0, 0, 0)


def test_zero_length_references_are_widened_by_half_a_frame(score):
    assert score("tag", "66.0-66.0 seconds.", "66.0-66.0 seconds.", SPANS, fps=0.5)["raw"] == 1
    assert score("tag", "65.0-67.0 seconds.", "66.0-66.0 seconds.", SPANS, fps=0.5)["raw"] == 1
    assert score("tag", "65.5-66.5 seconds.", "66.0-66.0 seconds.", SPANS, fps=1)["raw"] == 1


def test_references_in_every_shape(score):
    spans = [{"start": 1, "end": 3}]
    for struc_info in ([{"spans": spans}], {"spans": spans}, [{"spans": []}], [], None):
        assert score("tag", "1-3 seconds.", "1.0-3.0 seconds.", struc_info)["raw"] == 1


def test_references_that_cannot_be_read_name_the_row(score):
    with pytest.raises(BadGroundTruth, match="medvidbench/AVOS/tag.*no reference spans"):
        score("tag", "1-2 seconds.", "never")
    with pytest.raises(BadGroundTruth, match="start"):
        score("tag", "1-2 seconds.", "1-2 seconds.", [{"spans": [{"start": "soon", "end": 2}]}])


def test_metric_ignores_surplus_and_may_rise_with_the_threshold():
    references = [{"spans": [{"start": 0, "end": 10}, {"start": 20, "end": 30}]}]
    found = tag.metric("0-10, 20-24, 50-900 seconds.", references, 1.0)
    assert (found["mIoU@0.3"], found["mIoU@0.5"]) == (pytest.approx(0.7), 1.0)
    assert tag.metric("0-10 seconds.", {"spans": []}, 1.0)["mIoU@0.3"] == 0
