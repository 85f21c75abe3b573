# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Rules that need no model, the page for reviewers, and what they say."""

import json
import math

import pytest

from data_preprocess.common.errors import InputError
from recipe.medgrpo.captions import review
from recipe.medgrpo.captions.request import Request
from recipe.medgrpo.captions.validate import Pair, broken_rule, record_with

GOOD = "The hook dissects the gallbladder while a grasper retracts it."


@pytest.mark.parametrize(
    ("caption", "reason"),
    [
        (GOOD, ""),
        ("I'm sorry, but I cannot describe the hook in this video at all.", "says"),
        ("According to the annotations the hook dissects the gallbladder here.", "says 'annotations'"),
        ("The hook dissects.", "3 words"),
        (" ".join(["hook"] * 251) + ".", "251 words"),
        ("The hook dissects the gallbladder while a grasper retracts", "ends in the middle"),
        ("From 20 to 45 seconds the hook dissects the gallbladder with care.", "names 45 s in a clip of 29 s"),
        ("The nurse washes the hands of a patient under running water.", "mentions none of the annotations"),
    ],
)
def test_rules_of_a_summary(desk, caption, reason):
    assert broken_rule(Request(desk.record()), [caption]).startswith(reason)
    assert bool(broken_rule(Request(desk.record()), [caption])) is bool(reason)


def test_a_region_must_be_named_and_each_event_told(desk):
    region = Request(desk.record("region_caption"))
    assert broken_rule(region, ["The hook touches the liver bed."]) == ""
    assert "mentions none" in broken_rule(region, ["The grasper touches the liver bed."])
    dense = Request(desk.record("dense_captioning"))
    assert broken_rule(dense, ["The dissection begins.", "The packaging ends."]) == ""
    assert "2 words" in broken_rule(dense, ["The dissection begins.", "Packaging ends."])


def test_a_dense_record_has_segments_and_lines(desk):
    pair = Pair(Request(desk.record("dense_captioning")), {"gpt": ["The hook cuts.", "The bag closes."]})
    record = record_with(pair, "gpt")
    assert record["qa_type"] == "dense_captioning_gpt" and "evidence" not in record
    assert record["conversations"][1]["value"] == (
        "0.0-12.0 seconds: dissection: The hook cuts.\n12.0-29.0 seconds: packaging: The bag closes."
    )
    assert record["struc_info"] == [[{"start": 0.0, "end": 12.0, "caption": "The hook cuts."},
                                     {"start": 12.0, "end": 29.0, "caption": "The bag closes."}]]  # fmt: skip
    nursing = Pair(Request(desk.record("dense_captioning", data_source="NurViD")), pair.captions)
    assert list(record_with(nursing, "gpt")["struc_info"][0]) == ["dc_segments"]
    assert len(pair.request.record["conversations"]) == 1


def pairs(desk, count):
    for number in range(count):
        request = Request(desk.record(id=str(number)))
        yield Pair(request, {"gpt": [GOOD], "gemini": ["<b>A hook dissects.</b>"]}, 0.8)


def test_the_page_shows_what_is_kept_and_needs_no_network(desk):
    some = list(pairs(desk, 5))
    some[0].reasons = {"gpt": "x", "gemini": "y"}
    some[1].reasons = {"gemini": "y"}
    assert review.write_page(some, desk.root / "a.html", 3, seed=1) == 3
    assert review.write_page(some, desk.root / "b.html", 10) == 4
    page = (desk.root / "b.html").read_text()
    assert page.count('type="radio"') == 2 * 7 and page.count("<img") == 6 * 4
    assert "&lt;b&gt;A hook" in page and "<b>A hook" not in page and "http" not in page
    assert f'name="{some[1].request.key}/gpt"' in page and f'name="{some[0].request.key}/gpt"' not in page


def test_a_rejection_drops_the_caption_with_its_note(desk):
    some = list(pairs(desk, 2))
    name = f"{some[0].request.key}/gpt"
    saved = desk.root / "review.json"
    saved.write_text(json.dumps({"captions": {name: {"verdict": "reject", "note": "no hook"}}}))
    done = list(review.apply_reviews(some, [review.read_review(saved)]))
    assert [pair.reasons for pair in done] == [{"gpt": "rejected by a reviewer: no hook"}, {}]


def test_cohens_kappa_by_hand():
    def verdicts(text):
        return {str(place): {"verdict": review.VERDICTS[sign == "r"]} for place, sign in enumerate(text) if sign != "-"}

    # 6 of 8 agree; accept 5/8 and 5/8, reject 3/8 and 3/8: chance 34/64, kappa (0.75 - 0.53125) / 0.46875.
    found = review.agreement(verdicts("aaaarr" + "ar" + "a"), verdicts("aaaarr" + "ra" + "-"))
    assert found == (8, 0.75, pytest.approx(0.21875 / 0.46875))
    assert math.isnan(review.agreement(verdicts("aa"), verdicts("aa")).kappa)
    assert review.agreement(verdicts("a-"), verdicts("-a")).both == 0


@pytest.mark.parametrize("content", ["[]", "{}", '{"captions": {"a": {"verdict": "maybe"}}}', "no json"])
def test_another_file_is_no_review(tmp_path, content):
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(InputError, match=r"a\.json"):
        review.read_review(tmp_path / "a.json")
