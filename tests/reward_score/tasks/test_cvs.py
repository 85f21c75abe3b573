# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
import pytest

from reward_score.errors import BadGroundTruth
from reward_score.tasks import cvs


@pytest.mark.parametrize(
    ("text", "scores"),
    [
        ("Two structures: 2, Cystic plate: 1", {"two_structures": 2, "cystic_plate": 1}),
        ("TWO STRUCTURES:2,hepatocystic triangle: 0.5", {"two_structures": 2, "hepatocystic_triangle": 0}),
        ("Two structures: 1; Cystic plate: 2", {"two_structures": 1}),
        ("Cystic plate: 1, Cystic plate: 2", {"cystic_plate": 2}),
        ("**Cystic plate**: 1, Two structure: 1, 0, 1, 2", {}),
        ("Cystic plate: " + "9" * 5000, {"cystic_plate": int("9" * 18)}),
    ],
)
def test_parse(text, scores):
    assert cvs.parse(text) == scores


def test_reward_is_the_share_of_components_exactly_right(score, references):
    result = score("cvs", "Two structures: 2, Cystic plate: 0, Hepatocystic triangle: 0")
    assert (result["raw"], result["format"]) == (pytest.approx(2 / 3), 1)
    one = score("cvs", "Two structures: 2")
    assert (one["raw"], one["format"]) == (pytest.approx(1 / 3), 0.5)
    assert score("cvs", "good view")["score"] == 0


def test_references_from_structure_or_text(score, references):
    struc_info = [{"cvs_scores": {"two_structures": 1, "total": 1}}]
    assert score("cvs", "Two structures: 1", references["cvs"], struc_info)["raw"] == 1
    assert score("cvs", references["cvs"], references["cvs"], [{"cvs_scores": {"total": 1}}])["raw"] == 1
    with pytest.raises(BadGroundTruth):
        score("cvs", "", "not assessed")
    with pytest.raises(BadGroundTruth, match="cvs_scores must be numbers"):
        score("cvs", references["cvs"], "", [{"cvs_scores": {"cystic_plate": "2", "two_structures": 1}}])


@pytest.mark.parametrize("struc_info", [{"cvs_scores": {}}, [{"cvs_scores": {"cystic_plate": "2"}}], [3]])
def test_metric_refuses_what_breaks_the_official_code(struc_info):
    with pytest.raises(BadGroundTruth):
        cvs.metric("", struc_info, "")
