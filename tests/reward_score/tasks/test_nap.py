# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
import pytest

from reward_score.errors import BadGroundTruth
from reward_score.tasks import nap


def test_reward_is_an_exact_match_but_for_case_spacing_and_hyphens(score):
    for answer in ("tying", " Tying\n", "TYING"):
        result = score("nap", answer)
        assert (result["score"], result["format"]) == (1, 1)
    assert score("nap", "clipping and_cutting", "clipping-and-cutting", source="CholecT50")["score"] == 1
    # CoPESD's older label names become the current ones.
    assert score("nap", "dissect flap with knife", "dissect flap tissue with knife", source="CoPESD")["score"] == 1


def test_marks_around_the_label_halve_the_format(score):
    for answer in ("tying.", "'tying'", "**tying**", "- tying", "“tying”", "tying。", "tying…", "{tying}"):
        assert (score("nap", answer)["raw"], score("nap", answer)["score"]) == (1, 0.5)


def test_another_label_is_parsed_and_wrong_other_text_is_not_parsed(score):
    assert (score("nap", "cutting")["parsed"], score("nap", "cutting")["score"]) == (1, 0)
    for answer in ("", "the next step is tying", "cutting tying suturing", "knot"):
        assert (score("nap", answer)["parsed"], score("nap", answer)["score"]) == (0, 0)


def test_labels_come_from_the_action_list_first(score):
    struc_info = [{"action_list": ["knotting", "tying"]}]
    assert score("nap", "knotting", struc_info=struc_info)["parsed"] == 1
    assert score("nap", "cutting", struc_info=struc_info)["parsed"] == 0


def test_an_empty_reference_is_an_error(score):
    with pytest.raises(BadGroundTruth, match="label is empty"):
        score("nap", "tying", " ")


def test_class_lists():
    assert nap.class_list("AVOS", None) == ["cutting", "tying", "suturing"]
    assert nap.class_list("EgoSurgery", None) == nap.class_list("about", None) == []
    procedure = nap.procedure_of("NurViD", "a clip of SUBCUTANEOUS INJECTION INSULIN")
    assert procedure == "Subcutaneous Injection"
    assert "Aspirate medication" in nap.class_list("NurViD", procedure)
    everything = nap.class_list("NurViD", nap.procedure_of("NurViD", "what next?"))
    assert everything == sorted(set(everything)) and len(everything) > 100


def test_metric_maps_foreign_text_to_the_nearest_label(encoder):
    found = nap.metric("AVOS", ["a knot is tied", "", "Tying"], ["tying"] * 3, ["q"] * 3, encoder.nearest)
    assert [one["via"] for one in found] == ["nearest"] * 3
    assert found[0]["correct"] == found[2]["correct"] == 1


def test_metric_with_a_single_reference_and_with_references_that_are_no_label():
    found = nap.metric("Other", ["", "banana"], ["stop", "stop"], ["", ""], nearest=None)
    assert [one["correct"] for one in found] == [1, 1]
    found = nap.metric("AVOS", ["tying"] * 3, ["", "TYING", "unknown"], [""] * 3, nearest=None)
    assert not any(one["scored"] for one in found)
