# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""The balanced order of rows: shares, coverage, determinism."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recipe.medgrpo.trainer.balanced_order import balanced_order

SOURCES = ["b/A/tag"] * 900 + ["b/B/tag"] * 90 + ["b/B/stg"] * 10


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0])
def test_every_stretch_holds_the_shares(alpha):
    order = balanced_order(SOURCES, alpha, seed=0)
    weights = {name: n**alpha for name, n in Counter(SOURCES).items()}
    assert set(order) == set(range(len(SOURCES)))
    for start in range(0, len(order) - 100, 50):
        found = Counter(SOURCES[i] for i in order[start : start + 100])
        for name, weight in weights.items():
            assert abs(found[name] - 100 * weight / sum(weights.values())) < 2, (start, name, found)


def test_alpha_one_visits_every_row_once():
    assert sorted(balanced_order(SOURCES, 1.0, seed=3)) == list(range(len(SOURCES)))


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=60), st.floats(0, 1), st.integers(0, 5))
def test_rows_of_a_source_return_only_after_all_others(sources, alpha, seed):
    order = balanced_order(sources, alpha, seed)
    assert set(order) == set(range(len(sources))) and order == balanced_order(sources, alpha, seed)
    visits = Counter(order)
    for name in set(sources):
        counts = [visits[i] for i, source in enumerate(sources) if source == name]
        assert max(counts) - min(counts) <= 1


def test_the_seed_matters_and_a_bad_alpha_is_named():
    assert balanced_order(SOURCES, 0.0, seed=0) != balanced_order(SOURCES, 0.0, seed=1)
    with pytest.raises(ValueError, match="data.balance must be between"):
        balanced_order(SOURCES, 1.5, seed=0)
