# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Pixels that are made anew by the trainer are those that the processor made for the rollout, to the last bit."""

import io
import pickle
import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch
from torch.utils.data import DataLoader
from transfer_queue.utils.serial_utils import decode as decode_from_queue
from transfer_queue.utils.serial_utils import encode as encode_for_queue

from data_preprocess.media.token_count import pixel_budget
from recipe.medgrpo.model_inputs import encode, media_cache, pixels

KWARGS = {"do_resize": False, "do_sample_frames": False, "return_tensors": "pt"}
OPTIONS = media_cache.MediaOptions(memory_gb=0.05)


@pytest.fixture
def anew(monkeypatch):
    """Empties this process's caches, as if another process went on."""

    def forget():
        media_cache._cache.cache_clear()
        monkeypatch.setattr(media_cache, "_HELD", {})

    return forget


def items(frames):
    clips = ({"video": frames[:n], "sample_fps": 0.5 * n, "raw_fps": 0.5 * n, **pixel_budget()} for n in (4, 3))
    return [{"type": "video"} | clip for clip in clips]


def processed(frames, options=OPTIONS):
    """What the processors make of two clips and of a picture, and the decoded media."""
    from transformers import Qwen2VLImageProcessor, Qwen2VLVideoProcessor

    parts = [*items(frames), {"type": "image", "image": frames[0]}]
    images, videos = encode.load_media([{"role": "user", "content": parts}], 14, options)
    values, metadata = map(list, zip(*videos, strict=True))
    inputs = dict(Qwen2VLVideoProcessor()(videos=values, video_metadata=metadata, **KWARGS))
    inputs |= Qwen2VLImageProcessor()(images=images, do_resize=False, return_tensors="pt")
    return inputs, images, videos


@pytest.mark.parametrize("device", [None, "cpu"])
def test_what_is_made_anew_is_what_was_made_before(frames, anew, device):
    inputs, *_ = processed(frames)
    small = encode_for_queue([pixels.without_pixels(inputs)])
    assert (
        sum(len(memoryview(part)) for part in small) < sum(inputs[name].nbytes for name in pixels.NAMES.values()) / 100
    )
    anew()
    [arrived] = decode_from_queue(small)
    found = pixels.with_pixels(arrived, device)
    assert found.keys() == inputs.keys() and all(torch.equal(found[name], inputs[name]) for name in inputs)


def test_all_answers_to_a_medium_share_what_is_made_of_it(frames, anew):
    inputs, *_ = processed(frames)
    sent = [pickle.loads(pickle.dumps(pixels.without_pixels(inputs))) for _ in range(3)]
    anew()
    made = [pixels.with_pixels(one, None)["pixel_values"] for one in sent]
    assert len({one.data_ptr() for one in made}) == 1


@pytest.mark.parametrize("memory_gb", [0.05, 0])
def test_media_that_come_along_are_not_decoded_again(frames, anew, monkeypatch, memory_gb):
    inputs, images, videos = processed(frames, media_cache.MediaOptions(memory_gb))
    held = pixels.without_pixels(inputs)
    assert all(isinstance(held[name], pixels.Pixels) == bool(memory_gb) for name in pixels.NAMES.values())
    buffer = io.BytesIO()
    torch.save(pixels.with_media(inputs, images, videos), buffer)
    anew()
    monkeypatch.setattr(media_cache.MediaCache, "submit", None)
    buffer.seek(0)
    found = pixels.with_pixels(torch.load(buffer, weights_only=False), None)
    assert all(torch.equal(found[name], inputs[name]) for name in inputs)


class Rows(torch.utils.data.Dataset):
    def __init__(self, frames):
        self.frames = frames

    def __len__(self):
        return 2

    def __getitem__(self, index):
        inputs, images, videos = processed(self.frames)
        sent = pixels.with_media(inputs, images, videos)
        # What is sent from a worker lies in shared memory from then on: the cache must not.
        return sent, any(frames.is_shared() for frames, _ in videos)


def test_a_loader_worker_sends_bytes_and_keeps_its_cache_out_of_shared_memory(frames):
    rows = list(DataLoader(Rows(frames), num_workers=1, collate_fn=lambda rows: rows[0]))
    assert [shared for _, shared in rows] == [False, False]
    inputs, *_ = processed(frames)
    for row, _ in rows:
        assert [clip.dtype for clip, _ in row["pixel_values_videos"].media] == [torch.uint8] * 2
        found = pixels.with_pixels(row, None)
        assert all(torch.equal(found[name], inputs[name]) for name in inputs)


def test_what_no_cache_holds_goes_as_it_is():
    inputs = {"pixel_values": torch.ones(2, 3), "image_grid_thw": torch.ones(1, 3)}
    assert pixels.without_pixels(inputs) == inputs == pixels.with_pixels(inputs, None)
    assert pixels.with_pixels(None, None) is None


def test_transfer_queues_storage_imports_nothing_for_it(frames, tmp_path):
    inputs, *_ = processed(frames)
    file = tmp_path / "sent"
    file.write_bytes(pickle.dumps(pixels.without_pixels({"pixel_values_videos": inputs["pixel_values_videos"]})))
    code = f"import pickle, sys; pickle.load(open({str(file)!r}, 'rb')); print('torch' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.strip() == "False", result.stderr


def test_pixels_stay_behind_and_are_made_for_the_model(tiny_model, drawn):
    import pyarrow.parquet as pq
    from verl.experimental.agent_loop.agent_loop import AgentLoopWorker
    from verl.utils import hf_processor, hf_tokenizer
    from verl.utils.model import extract_multi_modal_inputs

    processor = hf_processor(str(tiny_model))
    parts = {"processor": processor, "tokenizer": hf_tokenizer(str(tiny_model))}
    worker = SimpleNamespace(**parts, distillation_enabled=False)
    [row] = pq.read_table(drawn / "train.parquet").slice(0, 1).to_pylist()
    messages = encode.with_media(row["prompt"], row)
    images, videos = encode.load_media(messages, 14)
    ids = torch.as_tensor(encode.encode(processor, messages, images, videos)["input_ids"])
    output = SimpleNamespace(
        multi_modal_data={"videos": videos},
        mm_processor_kwargs=encode.MM_PROCESSOR_KWARGS,
        mm_processor_output=["the pixels again, for SGLang"],
    )
    compute = AgentLoopWorker._compute_multi_modal_inputs
    sent, stock = compute(worker, output, ids), compute.__wrapped__(worker, output, ids)
    reason = "verl sends no float32 pixels: send_no_pixels and make_pixels can go"
    assert stock["pixel_values_videos"].dtype == torch.float32, reason
    assert isinstance(sent["pixel_values_videos"], pixels.Pixels) and sent.keys() == stock.keys()
    assert output.mm_processor_output is None
    # Two answers to one clip, and the padding of a dropped one.
    made = extract_multi_modal_inputs([sent, sent, {}])
    expected = extract_multi_modal_inputs.__wrapped__([stock, stock, {}])
    assert made.keys() == expected.keys() and all(torch.equal(made[name], expected[name]) for name in expected)
