# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""One decoding and one processing per prompt, with the pixels of stock verl."""

import asyncio
import os
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from drawn_inputs import draw_frame
from PIL import Image
from verl.utils.dataset.rl_dataset import RLHFDataset

from data_preprocess.media.frames import FrameError
from data_preprocess.media.token_count import pixel_budget
from recipe.medgrpo.model_inputs import media_cache
from recipe.medgrpo.model_inputs.media_cache import MediaCache, MediaOptions
from recipe.medgrpo.trainer import dataset

KWARGS = {"do_resize": False, "do_sample_frames": False, "return_tensors": "pt", "return_metadata": True}


def video(frames, fps=0.5):
    return {"type": "video", "video": frames, "sample_fps": fps, "raw_fps": fps, **pixel_budget()}


def messages(*content):
    return [{"role": "user", "content": [*content, {"type": "text", "text": "When?"}]}]


async def read(prompt, memory_gb):
    """As verl's agent loop does for each sample; each bound has a cache of its own."""
    config = {"media": {"memory_gb": memory_gb}}
    return await dataset.MedGRPODataset.process_multi_modal_info(prompt, image_patch_size=14, config=config)


def test_pixels_and_times_are_those_of_stock_verl(frames):
    image = {"type": "image", "image": frames[0], "min_pixels": 4 * 784, "max_pixels": 16 * 784}
    prompt = messages(video(frames), image, video(frames[:2], 3.0))
    found = asyncio.run(read(prompt, 0.01))
    expected = asyncio.run(RLHFDataset.process_multi_modal_info(prompt, image_patch_size=14, config=None))
    assert len(found) == len(expected) == 3 and found[2] is expected[2] is None
    assert [np.array_equal(a, b) for a, b in zip(found[0], expected[0], strict=True)] == [True]
    for (ours, mine), (stock, theirs) in zip(found[1], expected[1], strict=True):
        assert ours.dtype == torch.uint8 and torch.equal(ours.float(), stock) and mine == theirs


def test_samples_of_a_group_share_one_decoding_off_the_loop(frames, monkeypatch):
    threads, original = [], MediaCache._decode_video

    def decode(*args):
        threads.append(threading.current_thread().name)
        return original(*args)

    monkeypatch.setattr(MediaCache, "_decode_video", decode)

    async def group():
        return await asyncio.gather(*(read(messages(video(frames)), 0.02) for _ in range(8)))

    found = asyncio.run(group())
    assert len({id(videos[0][0]) for _, videos, _ in found}) == 1
    assert len(threads) == 1 and threads[0].startswith("media")
    asyncio.run(group())
    assert len(threads) == 1


def test_a_cancelled_sample_leaves_its_siblings_their_clip(frames):
    """Every decoder is busy, so the clip still waits when one of its two askers goes."""
    cache, free = media_cache.cache_of(MediaOptions(0.03)), threading.Event()
    busy = [cache._clips.submit(free.wait, 10) for _ in range(cache._clips._max_workers)]

    async def two():
        first, second = (asyncio.ensure_future(read(messages(video(frames)), 0.03)) for _ in range(2))
        await asyncio.sleep(0.2)
        first.cancel()
        await asyncio.sleep(0.1)
        free.set()
        return await second

    _, [(clip, _)], _ = asyncio.run(two())
    assert len(clip) == 6 and all(future.result() for future in busy)


def test_processor_runs_once_for_a_shared_clip_and_alike(frames, monkeypatch):
    from transformers import Qwen2VLImageProcessor, Qwen2VLVideoProcessor

    processor, runs = Qwen2VLVideoProcessor(), []
    original = Qwen2VLVideoProcessor._preprocess
    monkeypatch.setattr(
        Qwen2VLVideoProcessor, "_preprocess", lambda self, *a, **k: (runs.append(1), original(self, *a, **k))[1]
    )
    cache = MediaCache(MediaOptions(memory_gb=0.1))
    clips = [cache.submit(video(frames[:n], 0.5 * n), 14).result() for n in (4, 3)]
    for chosen in (clips[:1], clips, clips[::-1]):
        values, metadata = [list(part) for part in zip(*chosen, strict=True)]
        shared = processor(videos=values, video_metadata=metadata, **KWARGS)
        assert len(runs) <= 2
        runs_before = len(runs)
        stock = processor(videos=[value.clone().float() for value in values], video_metadata=metadata, **KWARGS)
        assert len(runs) == runs_before + 1  # nobody else's tensors are kept
        runs.pop()
        assert torch.equal(shared["pixel_values_videos"], stock["pixel_values_videos"])
        assert torch.equal(shared["video_grid_thw"], stock["video_grid_thw"])
        assert shared["video_metadata"] == stock["video_metadata"]
    other = Qwen2VLVideoProcessor(image_mean=[0.0, 0.0, 0.0])
    values, metadata = [list(part) for part in zip(*clips, strict=True)]
    assert not torch.equal(
        other(videos=values, video_metadata=metadata, **KWARGS)["pixel_values_videos"],
        processor(videos=values, video_metadata=metadata, **KWARGS)["pixel_values_videos"],
    )
    image = cache.submit({"type": "image", "image": frames[0]}, 14).result()
    for_images = Qwen2VLImageProcessor()
    first, second = (for_images(images=[image], do_resize=False, return_tensors="pt") for _ in range(2))
    assert first["pixel_values"] is second["pixel_values"]
    stock = for_images(images=[image.copy()], do_resize=False, return_tensors="pt")
    assert torch.equal(first["pixel_values"], stock["pixel_values"])


def test_a_changed_file_is_decoded_anew_and_never_another_clips(frames, tmp_path):
    cache = MediaCache(MediaOptions(memory_gb=0.1))
    first = cache.submit(video(frames), 14).result()[0]
    draw_frame(frames[2], 99)
    os.utime(frames[2], ns=(1, 1))
    second = cache.submit(video(frames), 14).result()[0]
    assert not torch.equal(first, second) and cache.stats["decoded"] == 2
    fps = cache.submit(video(frames, 1.0), 14).result()[1]["fps"]
    assert fps == 1.0 and cache.stats["decoded"] == 3
    order = cache.submit(video(frames[::-1]), 14).result()[0]
    assert torch.equal(order[0], second[4]) and cache.stats["decoded"] == 4


def test_memory_stays_within_its_bound(tmp_path):
    paths = [[draw_frame(tmp_path / f"{i}_{j}.png", 10 * i + j) for j in range(2)] for i in range(12)]
    one = MediaCache(MediaOptions()).submit(video(paths[0]), 14).result()[0].nbytes
    bound = 3.5 * one
    cache = MediaCache(MediaOptions(memory_gb=bound / 2**30))
    held_before = len(media_cache._HELD)
    for clip in paths:
        cache.submit(video(clip), 14).result()
        assert cache.nbytes <= bound
    assert len(cache._entries) == 3 == len(media_cache._HELD) - held_before and cache.stats["evicted"] == 9
    cache.submit(video(paths[-1]), 14).result()
    assert cache.stats["decoded"] == 12
    nothing = MediaCache(MediaOptions(memory_gb=0))
    assert nothing.submit(video(paths[0]), 14).result()[0].nbytes == one and nothing.nbytes == 0


def test_disk_cache_survives_the_process_and_damage(frames, tmp_path):
    options = MediaOptions(disk=str(tmp_path / "clips"))
    first, metadata = MediaCache(options).submit(video(frames), 14).result()
    (file,) = (tmp_path / "clips").rglob("*.npz")
    assert not list((tmp_path / "clips").rglob("*.tmp"))
    again = MediaCache(options)
    second, times = again.submit(video(frames), 14).result()
    assert torch.equal(first, second) and times == metadata and again.stats["decoded"] == 0
    file.write_bytes(file.read_bytes()[:1000])
    damaged = MediaCache(options)
    assert torch.equal(damaged.submit(video(frames), 14).result()[0], first) and damaged.stats["decoded"] == 1
    assert MediaCache(options).submit(video(frames), 14).result()[0].shape == first.shape
    # Fewer frames in the header of the array: the ZIP's checksum is then never compared.
    data, shape = file.read_bytes(), f"'shape': ({len(first)}, ".encode()
    assert data.count(shape) == 1
    file.write_bytes(data.replace(shape, f"'shape': ({len(first) - 2}, ".encode()))
    damaged = MediaCache(options)
    assert torch.equal(damaged.submit(video(frames), 14).result()[0], first) and damaged.stats["decoded"] == 1


def test_frames_by_address(frames):
    cache = MediaCache(MediaOptions())
    plain, addressed = (
        cache.submit(video(names), 14).result()[0] for names in (frames, [f"file://{f}" for f in frames])
    )
    assert torch.equal(plain, addressed)


@pytest.mark.parametrize("disk", [False, True])
def test_many_threads(frames, tmp_path, disk):
    cache = MediaCache(MediaOptions(memory_gb=0.0001, disk=str(tmp_path / "d") if disk else None))
    clips = [video(frames[:n], fps) for n in range(1, 6) for fps in (0.5, 1.0)]
    expected = [MediaCache(MediaOptions()).submit(clip, 14).result() for clip in clips]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda i: (i % 10, cache.submit(clips[i % 10], 14).result()), range(200)))
    for i, (value, metadata) in found:
        assert torch.equal(value, expected[i][0]) and metadata == expected[i][1]


@pytest.mark.parametrize("damage", ["missing", "empty", "truncated", "other size", "no fps"])
def test_damage_is_a_typed_error_that_names_the_file(frames, tmp_path, damage):
    item = video(frames)
    if damage == "missing":
        os.unlink(frames[2])
    elif damage == "no fps":
        item["sample_fps"] = None
    elif damage == "other size":
        Image.new("RGB", (64, 64)).save(frames[2])
    else:
        with open(frames[2], "rb") as file:
            whole = file.read()
        with open(frames[2], "wb") as file:
            file.write(b"" if damage == "empty" else whole[: len(whole) // 2])
    cache = MediaCache(MediaOptions())
    name = r"0\.png" if damage == "no fps" else r"2\.png"
    for _ in range(2):  # a failure is not kept: the file may be back
        with pytest.raises(FrameError, match=name):
            cache.submit(item, 14).result()
    if damage == "missing":
        draw_frame(frames[2], 2)
        assert len(cache.submit(item, 14).result()[0]) == 6


def test_video_file_has_the_times_asked_for(tmp_path):
    cv2 = pytest.importorskip("cv2")
    path = str(tmp_path / "a.mp4")
    writer = cv2.VideoWriter(path, cv2.VideoWriter_fourcc(*"mp4v"), 10, (140, 90))
    for i in range(40):
        writer.write(np.full((90, 140, 3), 5 * i, np.uint8))
    writer.release()
    item = {"type": "video", "video": path, "sample_fps": 2.0, **pixel_budget()}
    clip, metadata = MediaCache(MediaOptions()).submit(item, 14).result()
    assert len(clip) == 8 and metadata["fps"] == 2.0 and metadata["total_num_frames"] == 8
    np.testing.assert_allclose(clip.float().mean(dim=(1, 2, 3)), 25 * np.arange(8), atol=5)
