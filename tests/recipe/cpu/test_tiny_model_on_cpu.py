# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Models with a released one's widths: that model but for its layers, and a tokenizer that fills its vocabulary."""

import json

import torch
from transformers import AutoTokenizer, Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

from recipe.medgrpo.cpu import tiny_model


def test_with_all_layers_it_is_the_released_model():
    text, vision = tiny_model.LIKE["qwen2.5-vl-7b"]
    config = Qwen2_5_VLConfig(
        text_config=text | {"num_hidden_layers": 28}, vision_config=vision | {"depth": 32}, tie_word_embeddings=False
    )
    with torch.device("meta"):
        model = Qwen2_5_VLForConditionalGeneration(config)
    # The count of Qwen/Qwen2.5-VL-7B-Instruct on its model page: 8.29 B.
    assert model.num_parameters() == 8_292_166_656


def test_few_layers_at_given_widths(drawn, tmp_path, monkeypatch):
    text, vision = tiny_model.LIKE["qwen2.5-vl-7b"]
    narrow = text | {"vocab_size": 3000, "hidden_size": 256, "intermediate_size": 96}
    narrow |= {"num_attention_heads": 2, "num_key_value_heads": 1}
    small = vision | {"hidden_size": 160, "intermediate_size": 64, "num_heads": 2, "out_hidden_size": 256}
    monkeypatch.setitem(tiny_model.LIKE, "narrow", (narrow, small))
    file = drawn / "train.parquet"
    _, tokens = tiny_model.build(tmp_path / "like", file, layers=3, like="narrow")
    config = json.loads((tmp_path / "like/config.json").read_text())
    assert config["dtype"] == "bfloat16" and config["vision_config"]["depth"] == 3
    assert {key: config["text_config"][key] for key in narrow if key != "rope_parameters"} == {
        key: narrow[key] for key in narrow if key != "rope_parameters"
    }
    # As many tokens as the model has, and those of the drawn world are what they are without the others.
    tiny_model.build(tmp_path / "plain", file, layers=1)
    filled, plain = (AutoTokenizer.from_pretrained(tmp_path / name) for name in ("like", "plain"))
    assert tokens == len(filled) == 3000
    text = "<|im_start|>user\nWhen is the grasper seen? 3.0-4.0 seconds."
    assert filled.tokenize(text) == plain.tokenize(text)
    assert filled.decode(filled(text).input_ids) == text
