# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
import pytest

from reward_score import ScoreConfig, Scorer, make_sample
from reward_score.errors import BadGroundTruth
from reward_score.tasks import tag

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
    others = ("22.0-78.0, 89.0-94.0", "from 22 to 78 seconds and 89 to 94 seconds", "It is 22-78, 89-94 seconds.")
    for fallback in others:
        result = score("tag", fallback)
        assert (result["format"], result["raw"], result["score"]) == (0.5, 1, 0.5)
    for unparsable in ("", "never", "[22.0, 78.0]"):
        result = score("tag", unparsable)
        assert (result["format"], result["parsed"], result["score"]) == (0, 0, 0)


def test_zero_length_references_are_widened_by_half_a_frame(score):
    assert score("tag", "66.0-66.0 seconds.", "66.0-66.0 seconds.", SPANS, fps=0.5)["raw"] == 1
    assert score("tag", "65.0-67.0 seconds.", "66.0-66.0 seconds.", SPANS, fps=0.5)["raw"] == 1
    assert score("tag", "65.5-66.5 seconds.", "66.0-66.0 seconds.", SPANS, fps=1)["raw"] == 1


@pytest.mark.parametrize("fps", [0.1, 0.25, 0.5, 1.0])
def test_zero_length_spans_count_only_where_they_meet_a_zero_length_reference(score, fps):
    period = 1 / fps
    moments = ", ".join(f"{t}-{t}" for t in (40 + period * (i + 0.5) for i in range(int(10 * fps) or 1)))
    assert score("tag", moments + " seconds.", "40.0-50.0 seconds.", fps=fps)["parsed"] == 0
    joined = score("tag", f"40.0-50.0, {moments} seconds.", "40.0-50.0 seconds.", fps=fps)
    assert (joined["raw"], joined["format"]) == (joined["concise"], joined["concise"] / 2) and joined["concise"] < 1
    both = "40.0-50.0, 66.0-66.0 seconds."
    assert score("tag", both, both, fps=fps)["score"] == 1
    off = score("tag", f"{66 + period / 2}-{66 + period / 2} seconds.", "66.0-66.0 seconds.", fps=fps)
    assert (off["raw"], off["format"]) == (pytest.approx(1 / 3), 1)
    assert score("tag", f"{66 + period}-{66 + period} seconds.", "66.0-66.0 seconds.", fps=fps)["parsed"] == 0


def test_a_reference_that_repeats_a_span_may_be_repeated(score):
    text = "1-2, 1-2, 5-6 seconds."
    assert score("tag", text, text)["score"] == score("tag", "1-2, 5-6 seconds.", text)["score"] == 1
    assert score("tag", "1-2, 1-2, 1-2, 5-6 seconds.", text)["score"] < 0.5


def test_an_fps_of_next_to_nothing_does_not_break_the_arithmetic(score):
    assert score("tag", "66.0-66.0 seconds.", "66.0-66.0 seconds.", fps=1e-310)["score"] == 1
    assert score("dvc", "66-66 seconds: a knot", "66-66 seconds: a knot", fps=1e-310)["score"] == 1


def test_references_in_every_shape(score):
    spans = [{"start": 1, "end": 3}]
    for struc_info in ([{"spans": spans}], {"spans": spans}, [{"spans": []}], [{"spans": None}], [], None):
        assert score("tag", "1-3 seconds.", "1.0-3.0 seconds.", struc_info)["raw"] == 1


def test_references_that_cannot_be_read_name_the_row(score):
    with pytest.raises(BadGroundTruth, match="medvidbench/AVOS/tag.*no reference spans"):
        score("tag", "1-2 seconds.", "never")
    with pytest.raises(BadGroundTruth, match="start"):
        score("tag", "1-2 seconds.", "1-2 seconds.", [{"spans": [{"start": "soon", "end": 2}]}])
    for spans in ({"start": 1, "end": 2}, 3, "1-2"):
        with pytest.raises(BadGroundTruth, match="`spans` must be a list"):
            score("tag", "1-2 seconds.", "1-2 seconds.", [{"spans": spans}])
    with pytest.raises(BadGroundTruth, match="finite numbers"):
        score("tag", "1-2 seconds.", "1-2 seconds.", [{"spans": [{"start": 0, "end": 10**400}]}])


def test_metric_without_spans_is_zero_and_times_that_overflow_give_no_nan():
    assert tag.metric("1-2 seconds.", [{"spans": None}], 1.0)["mIoU@0.3"] == 0
    huge = [{"spans": [{"start": 1, "end": 1e308}, {"start": 1, "end": 2}]}]
    found = tag.metric("1-" + "9" * 308 + ", 1-2 seconds.", huge, 30.0)
    assert (found["mIoU@0.3"], found["recall@0.3"]) == (1, 0.5)


def test_metric_ignores_surplus_and_may_rise_with_the_threshold():
    references = [{"spans": [{"start": 0, "end": 10}, {"start": 20, "end": 30}]}]
    found = tag.metric("0-10, 20-24, 50-900 seconds.", references, 1.0)
    assert (found["mIoU@0.3"], found["mIoU@0.5"]) == (pytest.approx(0.7), 1.0)
    assert tag.metric("0-10 seconds.", {"spans": []}, 1.0)["mIoU@0.3"] == 0


@pytest.mark.parametrize(
    ("answer", "reference", "matched", "union"),
    [
        ("20-80 seconds.", "22-78 seconds.", 56 / 60, 56 / 60),
        # Two halves of one span: their union is right, each pair is not.
        ("0-5, 5-10 seconds.", "0-10 seconds.", 0.25, 1.0),
        # Of two spans one is missed: half of the pairs, but a sixth of the time.
        ("0-10 seconds.", "0-10, 20-70 seconds.", 0.5, 1 / 6),
        # Each span in turn takes the free reference it fits best; what is left over finds none.
        ("0-10, 1-10 seconds.", "0-10, 30-40 seconds.", 0.5, None),
        ("0-4, 0-10 seconds.", "0-10, 30-40 seconds.", 0.2, None),
        ("never", "0-10 seconds.", 0.0, 0.0),
    ],
)
def test_raw_by_pairs_or_by_unions(answer, reference, matched, union):
    sample = make_sample("medvidbench/AVOS/tag", answer, reference, None)
    assert tag.rate(sample, 0.5, "matched").raw == pytest.approx(matched)
    assert union is None or tag.rate(sample, 0.5, "union").raw == pytest.approx(union)
    ours = Scorer(ScoreConfig(tag_raw="matched")).score([sample])[0]
    assert ours["raw"] == pytest.approx(matched * ours["concise"])
    assert Scorer(ScoreConfig()).score([sample]) == Scorer(ScoreConfig(tag_raw="union")).score([sample])
