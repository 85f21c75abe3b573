# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Whole source videos are held out, whatever the order of the records."""

import random

from hypothesis import given
from hypothesis import strategies as st

from data_preprocess.common.holdout import validation_videos

videos = st.lists(st.tuples(st.sampled_from("ABC"), st.integers(0, 30).map(str)), min_size=1)


@given(pairs=videos, ratio=st.floats(0.01, 0.99), seed=st.integers(0, 5), shuffle=st.randoms())
def test_split_ignores_order_and_repeats(pairs, ratio, seed, shuffle):
    chosen = validation_videos(pairs, ratio, seed)
    again = pairs + pairs
    shuffle.shuffle(again)
    assert validation_videos(again, ratio, seed) == chosen


@given(pairs=videos, ratio=st.floats(0.01, 0.99), seed=st.integers(0, 5))
def test_every_source_is_on_both_sides(pairs, ratio, seed):
    chosen = validation_videos(pairs, ratio, seed)
    for source in {source for source, _ in pairs}:
        names = {name for other, name in pairs if other == source}
        held = {name for other, name in chosen if other == source}
        assert held <= names
        if len(names) >= 2:
            assert 1 <= len(held) <= len(names) - 1
            assert abs(len(held) - ratio * len(names)) <= 1


def test_share_and_seed():
    pairs = [("A", str(number)) for number in range(200)]
    random.Random(0).shuffle(pairs)
    first, second = (validation_videos(pairs, 0.15, seed) for seed in (0, 1))
    assert len(first) == len(second) == 30
    assert first != second
    assert validation_videos(pairs, 0.0) == set()
    assert validation_videos(pairs, 1.0) == set(pairs)
    assert validation_videos([("A", "only")], 0.15) == set()


def test_a_patient_of_the_cholec_sets_is_held_out_whoever_else_is_in_the_file():
    everybody = {("cholec", str(number)) for number in (*range(1, 81), 92, 96, 103, 110, 111)}
    chosen = validation_videos(everybody, 0.15)
    assert len(chosen) == 13
    for some in (sorted(everybody)[:20], sorted(everybody)[40:45]):
        assert validation_videos(some, 0.15) & set(some) == chosen & set(some)
