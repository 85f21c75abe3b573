# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Each clip is decoded once and processed once per prompt, whoever asks and however often.

verl 0.9.1 decodes a prompt's media for each of its n samples and runs the model's processor three times on each. Here
the decoded clip (uint8, at its final size), and what the processor makes of it, stay in a cache with a memory bound.
"""

from __future__ import annotations

import functools
import hashlib
import logging
import os
import threading
import weakref
import zipfile
from collections import OrderedDict
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from data_preprocess.common.atomic_file import whole_file
from data_preprocess.media import mp4
from data_preprocess.media.frames import FrameError, read_frame
from recipe.medgrpo.model_inputs.pixels import NAMES, Pixels, Source

logger = logging.getLogger(__name__)

#: Keys of a row's media entry that decide its pixels and times, in addition to its paths.
SPEC = ("sample_fps", "raw_fps", "min_pixels", "max_pixels", "total_pixels", "resized_height", "resized_width")
SPEC += ("video_start", "video_end")


@dataclass(frozen=True)
class MediaOptions:
    """``data.media`` (docs/time.md).

    Args:
        memory_gb: GiB of the cache in each process; 0 keeps nothing.
        disk: folder of decoded clips that outlives the run, or None.
        deadline_s: seconds that decoding one video file, or one picture, may take.
    """

    memory_gb: float = 2.0
    disk: str | None = None
    deadline_s: float = 60.0

    @classmethod
    def of(cls, data_config: Mapping | None) -> MediaOptions:
        return cls(**((data_config or {}).get("media") or {}))


@dataclass
class _Entry:
    """A decoded medium: an image, or (frames, metadata); and what processors made of it."""

    key: str
    value: Image.Image | tuple[torch.Tensor, dict]
    source: Source
    cache: MediaCache
    features: dict = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.pixels = self.value[0] if isinstance(self.value, tuple) else self.value
        clip = isinstance(self.value, tuple)
        self.nbytes = self.pixels.nbytes if clip else self.pixels.width * self.pixels.height * 3


# id of the pixels that a cache holds -> entry. The entry keeps the pixels alive, so an id here is never reused.
_HELD: dict[int, _Entry] = {}


class MediaCache:
    """Decoded media by content of the request, least recently used out first. Safe for threads."""

    def __init__(self, options: MediaOptions):
        self.options = options
        self.stats = {"decoded": 0, "evicted": 0}
        self.nbytes = 0
        self._bound = int(options.memory_gb * 2**30)
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._in_flight: dict[str, Future] = {}
        self._lock = threading.Lock()
        workers = min(8, os.cpu_count() or 1)
        self._clips = ThreadPoolExecutor(workers, thread_name_prefix="media")
        self._frames = ThreadPoolExecutor(workers, thread_name_prefix="frames")

    def submit(self, item: Mapping, patch_size: int) -> Future:
        """Future of a content part ``{"type": "video" | "image", ...}`` of a message. All askers share it: do not
        write.

        It is a PIL image, or uint8 frames (T, 3, H, W) and their metadata.
        """
        item, done = {key: value for key, value in item.items() if value is not None}, Future()
        try:
            key = _key(item, patch_size)
        except FrameError as error:
            done.set_exception(error)
            return done
        with self._lock:
            if key in self._entries:
                self._entries.move_to_end(key)
                done.set_result(self._entries[key].value)
                return done
            if key not in self._in_flight:
                self._in_flight[key] = self._clips.submit(self._load, key, item, patch_size)
            return self._in_flight[key]

    def _load(self, key: str, item: Mapping, patch_size: int):
        try:
            value = self._from_disk(key) if self.options.disk else None
            if value is None:
                value = decode_image(item, patch_size) if "image" in item else self._decode_video(item, patch_size)
                self.stats["decoded"] += 1
                if self.options.disk and isinstance(value, tuple):
                    self._to_disk(key, value)
            with self._lock:
                self._keep(_Entry(key, value, Source(item, patch_size, self.options), cache=self))
            return value
        finally:
            with self._lock:
                self._in_flight.pop(key, None)

    def _keep(self, entry: _Entry) -> None:
        if entry.nbytes > self._bound:
            return
        self._entries[entry.key] = entry
        _HELD[id(entry.pixels)] = entry
        self.nbytes += entry.nbytes
        self._shrink()

    def _shrink(self) -> None:
        while self.nbytes > self._bound:
            _, entry = self._entries.popitem(last=False)
            del _HELD[id(entry.pixels)]
            self.nbytes -= entry.nbytes
            self.stats["evicted"] += 1

    def add_features(self, entry: _Entry, key: tuple, features: dict) -> None:
        """Keep what a processor made of ``entry`` for as long as the entry itself."""
        with self._lock:
            if _HELD.get(id(entry.pixels)) is entry:
                entry.features[key] = features
                size = sum(value.nbytes for value in features.values())
                entry.nbytes += size
                self.nbytes += size
                self._entries.move_to_end(entry.key)
                self._shrink()

    # ---- decoding --------------------------------------------------------------------------------------------------

    def _decode_video(self, item: Mapping, patch_size: int) -> tuple[torch.Tensor, dict]:
        from qwen_vl_utils import fetch_video

        video = item["video"]
        if not item.get("sample_fps", 0) > 0:
            raise FrameError(f"{_name(video)}: the row states no sample_fps, so its frames have no times")
        if isinstance(video, str):
            times = {"start": item.get("video_start", 0.0), "end": item.get("video_end")}
            path, deadline_s = video.removeprefix("file://"), self.options.deadline_s
            frames = mp4.decode(path, item["sample_fps"], deadline_s=deadline_s, **times)
            pictures = [Image.fromarray(frame) for frame in frames]
            item = {**item, "raw_fps": item["sample_fps"]}
        else:
            pictures = self._read_frames(video)
        spec = {key: item[key] for key in SPEC if key in item}
        try:
            frames, metadata = fetch_video(
                {"type": "video", "video": pictures, **spec}, image_patch_size=patch_size, return_video_metadata=True
            )
        except ValueError as error:
            raise FrameError(f"{_name(video)}: {error}") from error
        # Whole numbers from 0 to 255, which qwen_vl_utils hands out as float32.
        return frames.to(torch.uint8), metadata

    def _read_frames(self, paths: list[str]) -> list[Image.Image]:
        if not len(paths):
            raise FrameError("a clip without frames")
        # A path may stand several times in a list; it is read once.
        distinct = list(dict.fromkeys(paths))
        read = functools.partial(read_frame, deadline_s=self.options.deadline_s)
        pictures = dict(zip(distinct, self._frames.map(read, distinct), strict=True))
        size = pictures[paths[0]].size
        for path, picture in pictures.items():
            if picture.size != size:
                raise FrameError("{} is {}x{} pixels, the clip's first frame {}x{}".format(path, *picture.size, *size))
        return [pictures[path] for path in paths]

    # ---- disk ------------------------------------------------------------------------------------------------------

    def _file(self, key: str) -> Path:
        return Path(self.options.disk) / key[:2] / f"{key}.npz"

    def _from_disk(self, key: str) -> tuple[torch.Tensor, dict] | None:
        try:
            with np.load(self._file(key)) as saved:
                frames, fps, total = torch.from_numpy(saved["frames"]), float(saved["fps"]), float(saved["total"])
                if str(saved["digest"]) != _digest(frames, fps, total):
                    raise ValueError("its digest is of something else")
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            logger.warning("%s is no decoded clip (%s); made anew", self._file(key), error)
            return None
        return frames, {"fps": fps, "frames_indices": list(range(len(frames))), "total_num_frames": total}

    def _to_disk(self, key: str, value: tuple[torch.Tensor, dict]) -> None:
        file = self._file(key)
        frames, metadata = value
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            with whole_file(file) as part, part.open("wb") as out:
                fps, total = float(metadata["fps"]), float(metadata["total_num_frames"])
                np.savez(out, frames=frames.numpy(), fps=fps, total=total, digest=_digest(frames, fps, total))
        except OSError as error:
            logger.warning("%s could not be written (%s); going on without it", file, error)


def _digest(frames: torch.Tensor, fps: float, total: float) -> str:
    """Of a clip on disk: a ZIP's own checksum is not looked at where the shape says that less is to be read."""
    found = hashlib.sha256(repr((frames.shape, frames.dtype, fps, total)).encode())
    found.update(frames.numpy())
    return found.hexdigest()


def decode_image(item: Mapping, patch_size: int) -> Image.Image:
    """The image of a content part, at its final size."""
    from qwen_vl_utils import fetch_image

    image = item["image"]
    if isinstance(image, str):
        image = read_frame(image.removeprefix("file://"))
    limits = {key: item[key] for key in SPEC if key in item}
    try:
        return fetch_image({"image": image, **limits}, image_patch_size=patch_size)
    except (OSError, ValueError) as error:
        raise FrameError(f"{_name(item['image'])}: {error}") from error


def _key(item: Mapping, patch_size: int) -> str:
    """Digest of the files (path, time of change, size) and of the pixel and time limits."""
    media = item["image"] if "image" in item else item["video"]
    found = [patch_size, *((key, item[key]) for key in SPEC if key in item)]
    if isinstance(media, Image.Image):
        try:
            found.append((media.mode, media.size, hashlib.sha256(media.tobytes()).hexdigest()))
        except OSError as error:
            raise FrameError(f"an image given as bytes is broken ({error})") from error
    else:
        for path in [media] if isinstance(media, str) else media:
            path = path.removeprefix("file://")
            try:
                stat = os.stat(path)
            except OSError as error:
                raise FrameError(f"{path} cannot be read ({error.strerror})") from error
            found.append((path, stat.st_mtime_ns, stat.st_size))
    return hashlib.sha256(repr(("image" in item, *found)).encode()).hexdigest()


def _name(media) -> str:
    return media if isinstance(media, str) else f"clip of {media[0]}" if isinstance(media, list) else repr(media)


@functools.lru_cache
def _cache(options: MediaOptions, process: int) -> MediaCache:
    return MediaCache(options)


def cache_of(options: MediaOptions) -> MediaCache:
    """The cache of this process; a forked worker gets its own, because threads do not survive a fork."""
    return _cache(options, os.getpid())


def items_of(messages: list[dict]) -> list[dict]:
    """Images and videos of ``messages``, in prompt order."""
    contents = (message["content"] for message in messages if not isinstance(message["content"], str))
    return [part for content in contents for part in content if part.get("type") in ("image", "video")]


def split(items: list[dict], values: list) -> tuple[list | None, list | None]:
    """Decoded ``items`` as verl wants them: images and videos, each None where there are none."""
    images = [value for item, value in zip(items, values, strict=True) if item["type"] == "image"]
    videos = [value for item, value in zip(items, values, strict=True) if item["type"] == "video"]
    return images or None, videos or None


def share_features(call, kind: str):
    """Wrap ``__call__`` of transformers' "images" or "videos" processors: what a cache holds goes through once."""

    @functools.wraps(call)
    def __call__(self, *args, **kwargs):
        items = kwargs.get(kind)
        if args or not isinstance(items, list) or not items or kwargs.get("do_sample_frames") or "device" in kwargs:
            return call(self, *args, **kwargs)
        entries = [_HELD.get(id(item)) for item in items]
        if None in entries:
            return _remember(call(self, **kwargs), self, kind, kwargs)
        from transformers import BatchFeature
        from transformers.video_utils import make_batched_metadata

        del kwargs[kind]
        metadata = kwargs.pop("video_metadata", None)
        wants_metadata = kwargs.get("return_metadata")
        found = [_features(call, self, entry, kind, kwargs) for entry in entries]
        data = found[0] if len(found) == 1 else {key: torch.cat([one[key] for one in found]) for key in found[0]}
        output = _remember(BatchFeature(dict(data)), self, kind, kwargs, [entry.source for entry in entries])
        if kind == "videos" and wants_metadata:
            output["video_metadata"] = make_batched_metadata(items, video_metadata=metadata)
        return output

    return __call__


def _remember(output, processor, kind: str, options: dict, sources: list[Source] | None = None):
    """Have the pixels in a processor's ``output`` say what they are made of."""
    pixels = output.get(NAMES[kind])
    if isinstance(pixels, torch.Tensor):
        options = {key: value for key, value in options.items() if key not in (kind, "video_metadata")}
        pixels.made_from = Pixels.of(processor, kind, options, sources)
    return output


def _features(call, processor, entry: _Entry, kind: str, kwargs: dict) -> dict[str, torch.Tensor]:
    key = (weakref.ref(processor), repr(sorted(kwargs.items(), key=lambda pair: pair[0])))
    with entry.lock:
        if key not in entry.features:
            metadata = {"video_metadata": [entry.value[1]]} if kind == "videos" else {}
            output = call(processor, **{kind: [entry.pixels]}, **metadata, **kwargs)
            features = {name: value for name, value in output.items() if name != "video_metadata"}
            entry.cache.add_features(entry, key, features)
            return features
        return entry.features[key]
