# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""``medgrpo estimate``: what is counted of a model, how it answers to options, and rows that end it."""

import json

import pytest

from recipe.medgrpo.cli import main
from recipe.medgrpo.preflight import estimate
from recipe.medgrpo.preflight.errors import SetupError


def test_the_published_model_is_counted_exactly(tmp_path):
    text = dict(hidden_size=3584, num_hidden_layers=28, intermediate_size=18944, num_attention_heads=28)
    text |= dict(num_key_value_heads=4, vocab_size=152064, tie_word_embeddings=False)
    vision = dict(depth=32, hidden_size=1280, out_hidden_size=3584, intermediate_size=3420, num_heads=16)
    (tmp_path / "config.json").write_text(
        json.dumps({"model_type": "qwen2_5_vl", "text_config": text, "vision_config": vision})
    )
    # Attention 3584 -> 3584, 512, 512 and back; the three matrices of the gated layer.
    widths = 2 * (3584 + 3584) + 2 * (3584 + 512) + 3 * (3584 + 18944)
    assert estimate.count_parameters(str(tmp_path)) == (8_292_166_656, 8_292_166_656)
    assert estimate.count_parameters(str(tmp_path), lora_rank=64) == (8_292_166_656, 64 * 28 * widths)


def test_memory_answers_to_each_option(composed):
    def memory(*overrides, trained=10**9):
        return estimate.memory(10**9, trained, composed("medgrpo", *overrides), 80)

    fsdp, plain = "actor_rollout_ref.actor.fsdp_config", memory("trainer.n_gpus_per_node=4")
    optimizer, state = "optimizer (Adam, fp32, sharded)", "the actor's state next to it"
    assert plain["update"][optimizer] == pytest.approx(8 * 10**9 / 4 / 2**30)
    doubled = memory("trainer.n_gpus_per_node=4", "trainer.nnodes=2")
    assert doubled["update"][optimizer] == pytest.approx(plain["update"][optimizer] / 2)
    assert memory(trained=10**8)["update"][optimizer] == pytest.approx(memory()["update"][optimizer] / 10)
    offloaded = memory(f"{fsdp}.param_offload=true", f"{fsdp}.optimizer_offload=true")
    assert offloaded["rollout"][state] == 0 < plain["rollout"][state]
    half = memory("actor_rollout_ref.rollout.gpu_memory_utilization=0.5")
    assert half["rollout"]["vLLM (gpu_memory_utilization)"] == 40


def test_it_says_what_a_run_needs(drawn, tiny_model, capsys):
    def failure(*overrides):
        assert main(["estimate", *overrides]) == 2
        return capsys.readouterr().err

    train, path = f"data.train_files='{drawn}/train.parquet'", "actor_rollout_ref.model.path"
    needed, model = ["data.val_files=v", "medgrpo.reward.artifact=a"], f"{path}='{tiny_model}'"
    assert main(["estimate", "--gpu-memory", "80", train, *needed, model]) == 0
    out = capsys.readouterr().out
    assert "optimizer (Adam" in out and "media tokens: mean" in out and "of 80; activations" in out
    assert main(["estimate", "--gpu-memory", "0.001", train, *needed, model]) == 0
    assert "more than a GPU has" in capsys.readouterr().out
    assert "data.train_files: /nowhere is missing" in failure("data.train_files=/nowhere", *needed, model)
    assert "no usable config.json" in failure(train, *needed, f"{path}=/nowhere")


def test_rows_that_are_too_long_end_it(call, drawn, tiny_model, capsys):
    train = f"data.train_files='{drawn}/train.parquet'"
    own = [train, f"model.path='{tiny_model}'"]
    assert call(estimate, "--sft-steps", *own, "data.train_batch_size=8") == 0
    assert int(capsys.readouterr().out.splitlines()[-1]) > 0
    with pytest.raises(SetupError, match="rows have more tokens"):
        call(estimate, "--sft-steps", *own, "data.max_length=20")
    own = [train, "data.val_files=v", "medgrpo.reward.artifact=a", "actor_rollout_ref.model.path=/not/yet"]
    assert call(estimate, "--base", tiny_model, *own) == 0
    with pytest.raises(SetupError, match="rows have more tokens"):
        call(estimate, "--base", tiny_model, *own, "data.max_prompt_length=20")
