# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""The inputs with which vLLM measures its vision tower's memory on a GPU, through the recipe's model class.

A CPU run skips that measurement (skip_mm_profiling); a GPU run begins with it.
"""

import pytest

from recipe.medgrpo import plugin


@pytest.fixture(scope="module")
def profiled(tiny_model):
    """``profiled(length)``: vLLM's budget and dummy inputs for prompts of at most so many tokens."""
    plugin.register_vllm()
    from vllm import ModelRegistry
    from vllm.config import ModelConfig
    from vllm.multimodal import MULTIMODAL_REGISTRY

    def call(length):
        config = ModelConfig(model=str(tiny_model), dtype="float32", max_model_len=length)
        model_class, _ = ModelRegistry.resolve_model_cls(config.architectures, config)
        assert model_class.__name__ == "TimedQwen2_5_VLForConditionalGeneration"
        processor = MULTIMODAL_REGISTRY.create_processor(config)
        most = processor.info.get_mm_max_tokens_per_item(length, {"image": 1, "video": 1})
        inputs = {
            kind: MULTIMODAL_REGISTRY.get_dummy_mm_inputs(config, mm_counts={kind: 1}, processor=processor)
            for kind in most
        }
        return most, inputs

    return call


def test_dummy_media_pass_the_processor(profiled):
    most, inputs = profiled(4096)
    for kind, grid in (("image", "image_grid_thw"), ("video", "video_grid_thw")):
        (item,) = inputs[kind]["mm_kwargs"][kind]
        (place,) = inputs[kind]["mm_placeholders"][kind]
        # What the tower is given is what the prompt has room for, and at most what was promised.
        assert 0 < place.length == item[grid].data.prod() // 4 <= most[kind]
    assert most["image"] == inputs["image"]["mm_placeholders"]["image"][0].length
    # At the one frame per second of the dummy's metadata. Without metadata the processor would assume 24.
    assert inputs["video"]["mm_kwargs"]["video"][0]["second_per_grid_ts"].data == 2.0
