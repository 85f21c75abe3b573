# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
import math

import pytest

from reward_score.errors import BadGroundTruth


@pytest.mark.parametrize("task", ["vs", "rc"])
def test_the_reference_itself_is_one_and_a_worse_caption_is_less(score, references, task):
    same = score(task, references[task])
    assert (same["score"], same["raw"], same["similarity"], same["judge"], same["format"]) == (1, 1, 1, 1, 1)
    assert same["judge_action"] == 5
    other = score(task, "The nurse washes her hands at the sink.")
    vague = score(task, "Something is done with a tool in this video.")
    assert 0 < vague["score"] < 0.5 and 0 < other["score"] < 0.5


def test_the_mix_is_half_and_half(score):
    result = score("vs", "A grasper holds the gallbladder.")
    assert result["score"] == pytest.approx((result["similarity"] + result["judge"]) / 2)


@pytest.mark.parametrize("empty", ["", "  \n", "...", "-- ??"])
def test_an_empty_caption_is_zero_and_not_judged(score, empty):
    result = score("rc", empty)
    assert (result["score"], result["parsed"], result["similarity"], result["judge"]) == (0, 0, 0, 0)
    assert math.isnan(result["judge_context"])


def test_the_length_factor_begins_at_four_references_or_a_hundred_words(score):
    reference = "the hook dissects the cystic duct " * 10
    for words, factor in ((240, 1), (480, 0.5)):
        assert score("vs", " ".join(f"w{i}" for i in range(words)), reference)["format"] == factor
    assert score("rc", " ".join(f"w{i}" for i in range(200)))["format"] == 0.5
    assert score("rc", "-".join(f"w{i}" for i in range(200)))["format"] == 0.5
    assert score("rc", "".join(f"w{i}" for i in range(650)))["format"] < 0.5


def test_a_long_reference_in_any_spelling_is_one_against_itself(score):
    for text in ("laparoscopic-cholecystectomy " * 300, "胆囊切除术" * 2000, "a" * 9000, "of " * 1500):
        assert score("vs", text, text)["score"] == 1


def test_an_empty_reference_is_an_error(score):
    with pytest.raises(BadGroundTruth, match="caption is empty"):
        score("vs", "A grasper.", "  ")
