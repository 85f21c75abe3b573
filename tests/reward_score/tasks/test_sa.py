# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
import pytest

from reward_score.errors import BadGroundTruth
from reward_score.tasks import sa


@pytest.mark.parametrize(
    ("text", "scores"),
    [
        ("A: 2/5, B: 3/5", {"A": 2, "B": 3}),
        ("Scores:\nA:2/5,B : 3/5", {"A": 2, "B": 3}),
        ("A: 2/5\nB: 3/5", {"A": 2}),
        ("A: 2/50, A: 4/5", {"A": 4}),
        ("**A**: 1/5", {"**A**": 1}),
        (": 1/5, A: 1.5/5, B: 1 / 5, C 2/5", {}),
        ("A: " + "9" * 5000 + "/5", {"A": int("9" * 18)}),
    ],
)
def test_parse(text, scores):
    assert sa.parse(text) == scores


def test_the_mean_reads_scores_that_run_into_each_other_like_the_official_evaluator():
    assert sa.mean_score("A: 40/55/5") == (40 + 5) / 2
    assert sa.mean_score("A: 2/50/5, B: x/52/5, 1/5/53/5") == (2 + 0 + 52 + 1 + 53) / 5
    assert sa.mean_score("A: " + "1" * 20_000) is None


def test_reward_is_the_share_of_aspects_exactly_right(score, references):
    result = score("sa", references["sa"].replace("Time and motion: 1", "Time and motion: 2"))
    assert (result["raw"], result["format"]) == (pytest.approx(5 / 6), 1)

    result = score("sa", "Respect for tissue: 2/5")
    assert (result["raw"], result["format"]) == (pytest.approx(1 / 6), 0.5)
    assert score("sa", references["sa"].replace(",", "\n"))["raw"] == pytest.approx(1 / 6)
    assert score("sa", references["sa"].upper())["raw"] == 0
    assert score("sa", "expert")["parsed"] == 0


def test_references_from_structure_or_text(score, references):
    struc_info = [{"skill_level": "N", "skill_scores": {"Respect for tissue": 4}}]
    assert score("sa", "Respect for tissue: 4/5", references["sa"], struc_info)["score"] == 1
    for struc_info in ([], [{"skill_level": "N"}], {"skill_scores": {"Respect for tissue": 2}}):
        assert score("sa", references["sa"], references["sa"], struc_info)["raw"] == 1
    with pytest.raises(BadGroundTruth):
        score("sa", "", "not assessed")


@pytest.mark.parametrize(
    ("label", "level"),
    [("N", "novice"), ("Expert", "expert"), ("highly skilled", "intermediate"), ("", "intermediate")],
)
def test_metric_reads_the_level_from_label_or_text(label, level):
    # "highly skilled" contains "i" before any longer word of the list.
    assert sa.metric("A: 1/5", [{"skill_level": label}], "A: 3/5")["gt_level"] == level


@pytest.mark.parametrize("value", ["2", None, [2]])
def test_structures_that_cannot_be_read_are_refused_where_they_count(score, value):
    struc_info = [{"skill_level": "N", "skill_scores": {"A": value, "B": 3}}]
    with pytest.raises(BadGroundTruth, match="skill_scores must be numbers"):
        sa.metric("A: 1/5", struc_info, "")
    with pytest.raises(BadGroundTruth, match="skill_scores must be numbers"):
        score("sa", "A: 1/5", "", struc_info)
    # The official code never looks at what the prediction lacks.
    assert sa.metric("B: 3/5", struc_info, "")["aspects_correct"] == {"B": 1}
    with pytest.raises(BadGroundTruth, match="list of dicts"):
        sa.metric("A: 1/5", struc_info[0], "")
