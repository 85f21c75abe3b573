# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""What a text says again, and what only looks like it."""

import pytest

from reward_score import make_sample
from reward_score.tasks.caption import rate
from reward_score.tasks.surplus import distinct

NUMBERS = [
    *("At 8.0 seconds a clip is set.", "Blood pressure is 120/80 mmHg.", "From 8.0 to 96.0 seconds the hook cuts."),
    *("The surgeon closes the 2.5 cm wound with 3-0 Vicryl sutures.", "1,000 ml of saline, 0.9 percent", "A 1:2 ratio"),
]


@pytest.mark.parametrize("text", NUMBERS)
def test_decimals_and_ratios_are_whole(text):
    assert distinct(text, "A clip.") == (text, 0)
    rating = rate(make_sample("medvidbench/AVOS/vs", text, "A clip.", None), 0.5)
    assert (rating.pairs[0].candidate, rating.concise) == (text, 1)


@pytest.mark.parametrize("text", ["12.5 12.5 12.5", "1.0 2.0 3.0 4.0 5.0 6.0", "-".join(map(str, range(40)))])
def test_numbers_one_after_another_are_a_repetition(text):
    kept, surplus = distinct(text, "A clip.")
    assert len(kept) < 12 and surplus >= len(text) - 12
