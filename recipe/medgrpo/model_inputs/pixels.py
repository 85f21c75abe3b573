# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Pixels on their way to the trainer: what they are made of, not four bytes for each of their numbers.

verl 0.9.1 sends what the processor makes of a clip with every answer, in float32. Here the files and the processor's
call travel (in RL), or the decoded frames (out of SFT's loader workers, which decode ahead). The trainer repeats the
call. Only the standard library is imported at the top, because TransferQueue's storage unpickles this too.
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

    from recipe.medgrpo.model_inputs.media_cache import MediaOptions

#: What processors call their media -> their output for the model.
NAMES = {"images": "pixel_values", "videos": "pixel_values_videos"}


@dataclass(frozen=True)
class Source:
    """A medium before it is decoded: a content part of a message, as :meth:`MediaCache.submit` takes it."""

    item: Mapping
    patch_size: int
    options: MediaOptions

    def decode(self) -> Future:
        """The decoded medium, from this process's cache if it is there."""
        from recipe.medgrpo.model_inputs.media_cache import cache_of

        return cache_of(self.options).submit(self.item, self.patch_size)


class Pixels:
    """Stands in for a tensor of pixels until :meth:`make` is called. A plain class, because TransferQueue's encoder
    would turn a data class into a dict.

    Args:
        kind: "images" or "videos".
        processor: pickled, as is ``call``, because on its way TransferQueue's storage reads all else.
        call: its keyword arguments and the sources of the media.
        has_sources: whether the sources are known.
        media: the decoded media, if they come along.
    """

    def __init__(self, kind: str, processor: bytes, call: bytes, has_sources: bool, media: list | None = None) -> None:
        self.kind, self.processor, self.call = kind, processor, call
        self.has_sources, self.media = has_sources, media

    def carrying(self, media: list) -> Pixels:
        """The same with the decoded media."""
        return Pixels(self.kind, self.processor, self.call, self.has_sources, media)

    @classmethod
    def of(cls, processor, kind: str, options: Mapping, sources: Sequence[Source] | None) -> Pixels:
        return cls(kind, pickle.dumps(processor), pickle.dumps((dict(options), sources)), sources is not None)

    def make(self, device: str | None = None) -> torch.Tensor:
        """The pixels, made on ``device``; None: on the CPU, and shared with whoever asks for the same again."""
        options, sources = pickle.loads(self.call)
        media = self.media or [future.result() for future in [source.decode() for source in sources]]
        if self.kind == "videos":
            media, options["video_metadata"] = map(list, zip(*media, strict=True))
        if device is not None:
            options["device"] = device
        return _processor(self.processor)(**{self.kind: media}, **options)[NAMES[self.kind]]


@lru_cache
def _processor(pickled: bytes) -> Any:
    """One for all that asks: what the cache shares is known by the processor that made it."""
    return pickle.loads(pickled)


def without_pixels(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """A processor's ``inputs`` with :class:`Pixels` wherever the cache knows what they are made of."""
    made_from = ((name, value, getattr(value, "made_from", None)) for name, value in inputs.items())
    return {name: known if known and known.has_sources else value for name, value, known in made_from}


def with_media(inputs: Mapping[str, Any], images: list | None, videos: list | None) -> dict[str, Any]:
    """As :func:`without_pixels`, with or without a cache: the decoded media come along."""
    from torch.utils.data import get_worker_info

    if videos is not None and get_worker_info() is not None:
        # A tensor that a loader's worker sends moves into shared memory; the cache's own must not stay there.
        videos = [(frames.clone(), metadata) for frames, metadata in videos]
    media = {"images": images, "videos": videos}
    made_from = ((name, value, getattr(value, "made_from", None)) for name, value in inputs.items())
    return {name: known.carrying(media[known.kind]) if known else value for name, value, known in made_from}


def with_pixels(inputs: Mapping[str, Any] | None, device: str | None) -> dict[str, Any] | None:
    """The reverse of the two others."""
    if inputs is None:
        return None
    return {name: value.make(device) if isinstance(value, Pixels) else value for name, value in inputs.items()}
