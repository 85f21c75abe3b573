# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Splits that verl and vLLM would refuse late are refused at once, with the values that work."""

import json

import pytest

from recipe.medgrpo.preflight.errors import SetupError
from recipe.medgrpo.preflight.parallel import check_parallel, check_sft_parallel


@pytest.fixture(params=["nested", "flat"])
def model(request, tmp_path) -> str:
    """The heads of Qwen2.5-VL-7B, in today's form of config.json and in the published one's."""
    text = {"hidden_size": 3584, "num_attention_heads": 28, "num_key_value_heads": 4}
    text = text if request.param == "flat" else {"text_config": text}
    content = {"model_type": "qwen2_5_vl", "vision_config": {"num_heads": 16}} | text
    (tmp_path / "config.json").write_text(json.dumps(content))
    return str(tmp_path)


KEYS = {
    "SP": "actor_rollout_ref.actor.fsdp_config.ulysses_sequence_parallel_size",
    "TP": "actor_rollout_ref.rollout.tensor_model_parallel_size",
    "GPUS": "trainer.n_gpus_per_node",
    "BATCH": "data.train_batch_size",
    "PACKED": "actor_rollout_ref.model.use_remove_padding",
}


@pytest.fixture
def check(model, composed):
    return lambda **options: check_parallel(
        composed("medgrpo", *(f"{KEYS[name]}={value}" for name, value in options.items())), model
    )


@pytest.mark.parametrize("model_type", ["qwen2", "llava"])
def test_a_model_without_the_heads_of_a_qwen_is_refused(composed, tmp_path, model_type):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": model_type}))
    with pytest.raises(SetupError, match="no usable config.json of a vision-language model"):
        check_parallel(composed("medgrpo"), str(tmp_path))


def test_sft_is_checked_too(model, composed):
    key = "engine.ulysses_sequence_parallel_size"
    check_sft_parallel(composed("sft", f"model.path='{model}'", f"{key}=4", "trainer.n_gpus_per_node=8"))
    with pytest.raises(SetupError, match="SP .*: 8 does not fit 28 attention heads; these work: 1, 2, 4$"):
        check_sft_parallel(composed("sft", f"model.path='{model}'", f"{key}=8", "trainer.n_gpus_per_node=8"))
    six = ["trainer.n_gpus_per_node=6", f"{key}=2", "data.train_batch_size=63"]
    check_sft_parallel(composed("sft", f"model.path='{model}'", *six))
    with pytest.raises(
        SetupError, match="data.train_batch_size=63 cannot be shared evenly by 6 ranks, .*multiple of 6"
    ):
        check_sft_parallel(composed("sft", f"model.path='{model}'", *six, f"{key}=1"))


def test_what_divides_is_accepted(check):
    for options in ({}, {"SP": 4}, {"TP": 4, "SP": 2}, {"GPUS": 6}, {"GPUS": 4, "TP": 2}):
        check(**options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"SP": 8}, "SP .*: 8 does not fit 28 attention heads; these work: 1, 2, 4$"),
        ({"TP": 8}, "TP .*: 8 does not fit 28 attention heads; these work: 1, 2, 4$"),
        ({"GPUS": 6, "SP": 4}, "SP .*: 4 does not fit 6 GPUs; these work: 1, 2$"),
        ({"GPUS": 5}, "384 answers .* by 5 ranks, .*; numbers of GPUs that work: 1, 2, 3, 4$"),
        ({"GPUS": 0}, "trainer.n_gpus_per_node=0: .*N_GPUS"),
        ({"TP": 0}, "TP .*: 0 does not fit"),
        ({"SP": 0}, "SP .*: 0 does not fit"),
        ({"GPUS": 8, "BATCH": 3, "SP": 2, "PACKED": False}, "SP=2 needs training without padding"),
    ],
)
def test_what_does_not_is_refused_with_what_would(check, options, message):
    with pytest.raises(SetupError, match=message):
        check(**options)


def test_delta_nets_are_split_too(composed, tmp_path, monkeypatch):
    text = {"num_attention_heads": 16, "num_key_value_heads": 4, "linear_num_key_heads": 2}
    content = {"model_type": "qwen3_5", "text_config": text, "vision_config": {"num_heads": 16}}
    (tmp_path / "config.json").write_text(json.dumps(content))
    with pytest.raises(SetupError, match="TP .*: 4 does not fit 2 key heads of the delta nets; these work: 1, 2$"):
        check_parallel(composed("medgrpo", f"{KEYS['TP']}=4"), str(tmp_path))
    config = composed("medgrpo", f"{KEYS['SP']}=4")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(SetupError, match="SP=4: delta nets need flash-linear-attention"):
        check_parallel(config, str(tmp_path))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name)
    check_parallel(config, str(tmp_path))
