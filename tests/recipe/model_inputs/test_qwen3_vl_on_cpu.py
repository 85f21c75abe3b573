# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Qwen3-VL (times as text, factor 32): the same prompt and positions in verl's and vLLM's real processors."""

import numpy as np
import pytest
import torch
from PIL import Image
from verl.workers.rollout.utils import qwen2_5_vl_dedup_image_tokens

from data_preprocess.media.token_count import pixel_budget, video_size
from recipe.medgrpo.cpu import tiny_model
from recipe.medgrpo.model_inputs import encode, prompt_length
from recipe.medgrpo.preflight.positions import Checker

FPS = (0.1, 0.25, 0.5, 1, 1.5, 2, 3, 4, 24, 29.97, 60)


@pytest.fixture(scope="module")
def checker(drawn, tmp_path_factory):
    out = tmp_path_factory.mktemp("qwen3_vl")
    tiny_model.build(out, drawn / "train.parquet", layers=1, family="qwen3_vl")
    return Checker(str(out))


@pytest.fixture(scope="module")
def frames(tmp_path_factory):
    folder = tmp_path_factory.mktemp("frames")
    rng = np.random.default_rng(0)
    paths = [str(folder / f"{i}.png") for i in range(9)]
    for path in paths:
        Image.fromarray(rng.integers(0, 255, (100, 160, 3), dtype=np.uint8)).save(path)
    return paths


def video(frames, fps):
    return {"type": "video", "video": frames, "sample_fps": fps, "raw_fps": fps, **pixel_budget(patch=16)}


def text(words):
    return {"type": "text", "text": words}


def check(content, checker):
    messages, processor = [{"role": "user", "content": content}], checker.processor
    images, videos = encode.load_media(messages, processor.image_processor.patch_size)
    inputs = encode.encode(processor, messages, images, videos)
    ours = encode.positions_of(processor, inputs)
    full = inputs["input_ids"][0].tolist()
    theirs = checker.rollout(full, images, videos)
    assert theirs.ids == full
    np.testing.assert_array_equal(ours[:, 0].numpy(), theirs.positions)
    return messages, full, inputs


@pytest.mark.parametrize("fps", FPS)
@pytest.mark.parametrize("n", [1, 5, 8])
def test_prompt_and_positions_are_vllms(fps, n, frames, checker):
    clip = video(frames[:n], fps)
    messages, full, inputs = check([clip, text("Where is it?")], checker)
    size = video_size(n, 100, 160, **pixel_budget(patch=16), patch=16)
    assert inputs["video_grid_thw"].tolist() == [[size.grid_t, size.grid_h, size.grid_w]]
    assert prompt_length.prompt_length(messages, size.num_tokens, checker.processor) == len(full)


def test_several_media(frames, checker):
    image = {"type": "image", "image": frames[8], "min_pixels": 4 * 1024, "max_pixels": 16 * 1024}
    first, second = video(frames[:4], 0.5), video(frames[4:7], 3)
    check([first, text("or"), image, text("or"), second, text("?")], checker)
    check([image, first, second, text("?")], checker)


def test_clips_of_one_step_without_text_between(frames, checker):
    first, second = video(frames[:2], 1), video(frames[2:4], 1)
    check([first, second, text("?")], checker)
    check([first, second, video(frames[4:8], 1), text("?")], checker)


def test_without_the_patch_vllm_reads_another_prompt(frames, checker):
    """Once this fails, verl sends Qwen3-VL clips rightly and collapse_qwen3_vl_videos can go."""
    processor, vllm_processor = checker.processor, checker.vllm_processor
    messages = [{"role": "user", "content": [video(frames[:4], 1), text("Where?")]}]
    images, videos = encode.load_media(messages, 16)
    full = encode.encode(processor, messages, images, videos)["input_ids"][0].tolist()
    sent = qwen2_5_vl_dedup_image_tokens.__wrapped__(full, processor)
    items = vllm_processor.info.parse_mm_data({"video": videos})
    found = vllm_processor(sent, items, hf_processor_mm_kwargs=encode.MM_PROCESSOR_KWARGS)
    assert list(found["prompt_token_ids"]) != full
    assert torch.tensor(found["prompt_token_ids"]).numel() > len(full)
