# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Every family: the same prompt and positions in verl's and vLLM's real processors."""

import shutil

import numpy as np
import pytest
from PIL import Image
from verl.workers.rollout.utils import qwen2_5_vl_dedup_image_tokens

from data_preprocess.media.token_count import pixel_budget, video_size
from recipe.medgrpo.cpu import tiny_model
from recipe.medgrpo.model_inputs import encode, prompt_length, prompt_templates
from recipe.medgrpo.preflight.positions import Checker

FPS = (0.1, 0.25, 0.5, 1, 1.5, 2, 3, 4, 24, 29.97, 60)


@pytest.fixture(scope="module", params=tiny_model.FAMILIES)
def family(request):
    return request.param


@pytest.fixture(scope="module")
def patch(family):
    return tiny_model.patch_size(family)


@pytest.fixture(scope="module")
def checker(family, drawn, tmp_path_factory):
    out = tmp_path_factory.mktemp(family)
    tiny_model.build(out, drawn / "train.parquet", layers=1, family=family)
    return Checker(str(out))


@pytest.fixture(scope="module")
def frames(tmp_path_factory):
    folder = tmp_path_factory.mktemp("frames")
    rng = np.random.default_rng(0)
    paths = [str(folder / f"{i}.png") for i in range(9)]
    for path in paths:
        Image.fromarray(rng.integers(0, 255, (100, 160, 3), dtype=np.uint8)).save(path)
    return paths


@pytest.fixture(scope="module")
def video(patch):
    def item(frames, fps):
        return {"type": "video", "video": frames, "sample_fps": fps, "raw_fps": fps, **pixel_budget(patch=patch)}

    return item


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
def test_prompt_and_positions_are_vllms(fps, n, frames, checker, video, patch):
    messages, full, inputs = check([video(frames[:n], fps), text("Where is it?")], checker)
    size = video_size(n, 100, 160, **pixel_budget(patch=patch), patch=patch)
    assert inputs["video_grid_thw"].tolist() == [[size.grid_t, size.grid_h, size.grid_w]]
    assert prompt_length.prompt_length(messages, size.num_tokens, checker.processor) == len(full)


def test_several_media(frames, checker, video, patch):
    token = (2 * patch) ** 2
    image = {"type": "image", "image": frames[8], "min_pixels": 4 * token, "max_pixels": 16 * token}
    first, second = video(frames[:4], 0.5), video(frames[4:7], 3)
    check([first, text("or"), image, text("or"), second, text("?")], checker)
    check([image, first, second, text("?")], checker)
    check([image, text("?")], checker)


def test_clips_of_one_step_without_text_between(frames, checker, video):
    first, second = video(frames[:2], 1), video(frames[2:4], 1)
    check([first, second, text("?")], checker)
    check([first, second, video(frames[4:8], 1), text("?")], checker)


def test_without_the_patch_vllm_reads_another_prompt(family, frames, checker, video, patch):
    """Once this fails for the families with times as text, verl sends their clips rightly and
    collapse_qwen3_vl_videos can go.
    """
    processor, vllm_processor = checker.processor, checker.vllm_processor
    messages = [{"role": "user", "content": [video(frames[:4], 1), text("Where?")]}]
    images, videos = encode.load_media(messages, patch)
    full = encode.encode(processor, messages, images, videos)["input_ids"][0].tolist()
    sent = qwen2_5_vl_dedup_image_tokens.__wrapped__(full, processor)
    items = vllm_processor.info.parse_mm_data({"video": videos})
    found = vllm_processor(sent, items, hf_processor_mm_kwargs=encode.MM_PROCESSOR_KWARGS)
    assert (len(found["prompt_token_ids"]) > len(full)) == (family in tiny_model.TIMES_AS_TEXT)


@pytest.mark.parametrize("family", ["qwen3_5"], indirect=True)
def test_no_thoughts_are_asked_for(checker, tmp_path):
    """Qwen3.5 from 4B on opens every answer with ``<think>`` unless told not to; a checkpoint hands that on."""
    from transformers import AutoProcessor
    from verl.utils import hf_processor

    base = shutil.copytree(checker.model, tmp_path / "base")
    closed = "{%- if enable_thinking is defined and enable_thinking is false %}</think>{%- endif %}"
    (base / "chat_template.jinja").write_text(tiny_model.CHAT_TEMPLATE + "<think>" + closed)
    turns = [{"role": "user", "content": [text("Where?")]}]
    processor = hf_processor(str(base))
    for step in range(2):
        found = processor.apply_chat_template(turns, add_generation_prompt=True, tokenize=False)
        assert found.endswith("assistant<think></think>")
        checkpoint = shutil.copytree(base, tmp_path / f"checkpoint {step}")
        processor.save_pretrained(checkpoint)
        processor = hf_processor(str(checkpoint))
    assert processor.chat_template.count("set enable_thinking") == 1
    other = AutoProcessor.from_pretrained(base)
    prompt_templates.use_chat_template(other)
    assert other.chat_template == processor.chat_template == other.tokenizer.chat_template
