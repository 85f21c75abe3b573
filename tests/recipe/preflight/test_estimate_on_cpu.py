# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""``medgrpo estimate``: what is counted of a model, how it answers to options, and rows that end it."""

import json

import pyarrow.parquet as pq
import pytest

from recipe.medgrpo.cli import main
from recipe.medgrpo.cpu.tiny_model import build
from recipe.medgrpo.preflight import activations, estimate
from recipe.medgrpo.preflight.errors import SetupError

#: The published architectures of Qwen2.5-VL: 7B and 3B.
TEXT = {
    "7b": {"hidden_size": 3584, "num_hidden_layers": 28, "intermediate_size": 18944, "num_attention_heads": 28,
           "num_key_value_heads": 4, "vocab_size": 152064, "tie_word_embeddings": False},
    "3b": {"hidden_size": 2048, "num_hidden_layers": 36, "intermediate_size": 11008, "num_attention_heads": 16,
           "num_key_value_heads": 2, "vocab_size": 151936, "tie_word_embeddings": True},
}  # fmt: skip


@pytest.fixture(scope="module", params=["7b"])
def published(request, tmp_path_factory) -> str:
    folder, text = tmp_path_factory.mktemp(request.param), TEXT[request.param]
    vision = {"depth": 32, "hidden_size": 1280, "intermediate_size": 3420, "num_heads": 16}
    vision["out_hidden_size"] = text["hidden_size"]
    rope = {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [16, 24, 24]}
    content = {"model_type": "qwen2_5_vl", "text_config": text | {"rope_parameters": rope}, "vision_config": vision}
    content["tie_word_embeddings"] = text["tie_word_embeddings"]
    (folder / "config.json").write_text(json.dumps(content))
    return str(folder)


def test_the_published_model_is_counted_exactly(published):
    model = activations.meta_model(published)
    # Attention 3584 -> 3584, 512, 512 and back; the three matrices of the gated layer.
    widths = 2 * (3584 + 3584) + 2 * (3584 + 512) + 3 * (3584 + 18944)
    assert estimate.count_parameters(model) == (8_292_166_656, 8_292_166_656)
    assert estimate.count_parameters(model, lora_rank=64) == (8_292_166_656, 64 * 28 * widths)


@pytest.fixture(scope="module", params=["qwen2_5_vl", "qwen3_5"])
def model_of_family(request, drawn, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    build(folder, drawn / "train.parquet", family=request.param)
    return folder


def test_activations_are_those_of_a_real_forward(model_of_family):
    """The same count on a model with weights, whole: frames, text, recomputed layers."""
    import torch
    from transformers import AutoModelForImageTextToText

    text, grid = 800, torch.tensor([[8, 16, 32]])
    patches = int(grid.prod())
    tokens = text + patches // 4
    model = AutoModelForImageTextToText.from_pretrained(
        model_of_family, dtype=torch.bfloat16, attn_implementation="sdpa"
    )
    model.train()
    model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    model.enable_input_require_grads()
    ids = torch.cat([torch.full((patches // 4,), model.config.video_token_id), torch.arange(text) % 900])[None]
    width = 6 * model.config.vision_config.patch_size**2
    media = {"pixel_values_videos": torch.rand(patches, width, dtype=torch.bfloat16), "video_grid_thw": grid}
    places = torch.arange(tokens).expand(3, 1, -1)
    _, real = activations.saved_bytes(
        model, lambda: model(input_ids=ids, position_ids=places, use_cache=False, **media).logits
    )
    measured = activations.activation_bytes(activations.meta_model(str(model_of_family)), tokens, patches)
    assert measured["language model"] + measured["vision tower"] == pytest.approx(real, rel=0.1)


def test_memory_answers_to_each_option(tiny_model, composed):
    model = activations.meta_model(str(tiny_model))

    def memory(*overrides):
        return estimate.memory(model, composed("medgrpo", "trainer.n_gpus_per_node=4", *overrides), 80)

    actor, plain = "actor_rollout_ref.actor", memory()
    fsdp, options = f"{actor}.fsdp_config", "actor_rollout_ref.model"
    optimizer, state = "optimizer (Adam, fp32, sharded)", "the actor's state next to it"
    vision, logits = "vision tower's activations", "logits"
    parameters, _ = estimate.count_parameters(model)
    assert plain["update"][optimizer] == pytest.approx(8 * parameters / 4 / 2**30)
    assert memory("trainer.nnodes=2")["update"][optimizer] == pytest.approx(plain["update"][optimizer] / 2)
    assert memory(f"{options}.lora_rank=1")["update"][optimizer] < plain["update"][optimizer] / 10
    offloaded = memory(f"{fsdp}.param_offload=true", f"{fsdp}.optimizer_offload=true")
    assert offloaded["rollout"][state] == 0 < plain["rollout"][state]
    served = memory("actor_rollout_ref.rollout.gpu_memory_utilization=0.5")["rollout"]
    assert served["vLLM: weights (bf16)"] + served["vLLM: caches and buffers"] == pytest.approx(40)
    assert memory(f"{options}.use_remove_padding=false")["update"][logits] == 6 * plain["update"][logits]
    assert memory(f"{fsdp}.ulysses_sequence_parallel_size=2")["update"][vision] > 1.9 * plain["update"][vision]
    halved = memory(f"{actor}.ppo_max_token_len_per_gpu=8192")["update"]
    assert halved[logits] == plain["update"][logits] / 2
    kept = "language model's activations (16384 tokens)"
    assert memory(f"{options}.enable_gradient_checkpointing=false")["update"][kept] > 3 * plain["update"][kept]


OFFLOAD = ["actor.fsdp_config.param_offload=true", "actor.fsdp_config.optimizer_offload=true"]
LESS = [*OFFLOAD, "model.lora_rank=64", "actor.ppo_max_token_len_per_gpu=8704"]
#: The settings that docs/install.md gives for fewer GPUs: architecture, GPUs, GiB of each, overrides.
SMALL = [("7b", 8, 80, []), ("3b", 1, 80, LESS), ("3b", 2, 24, [*LESS, "rollout.gpu_memory_utilization=0.5"])]


@pytest.mark.parametrize(("published", "gpus", "gib", "options"), SMALL, indirect=["published"])
def test_documented_settings_fit(published, gpus, gib, options, composed):
    given = [f"actor_rollout_ref.{option}" for option in options]
    checkpointing = "actor_rollout_ref.model.enable_gradient_checkpointing=true"
    config = composed("medgrpo", f"trainer.n_gpus_per_node={gpus}", checkpointing, *given)
    phases = estimate.memory(activations.meta_model(published), config, gib)
    assert estimate.check_memory(phases, config, gib) == []


def test_what_cannot_fit_is_refused_with_what_is_left_to_change(published, composed):
    def check(gib, *overrides):
        config = composed("medgrpo", "trainer.n_gpus_per_node=2", *overrides)
        return estimate.check_memory(estimate.memory(model, config, gib), config, gib)

    model = activations.meta_model(published)
    with pytest.raises(SetupError, match="optimizer take 62 GiB of each GPU, which has 24: LORA=64, more GPUs"):
        check(24)
    with pytest.raises(SetupError, match=r"smaller than the model's weights \(15.4 GiB\): raise .*utilization"):
        check(24, "actor_rollout_ref.model.lora_rank=8")
    update, rollout = check(80)
    assert "LORA=64" in update and "ppo_max_token_len_per_gpu down to" in update and "OFFLOAD=1" in rollout
    tight = ("actor_rollout_ref.model.lora_rank=8", "actor_rollout_ref.actor.ppo_max_token_len_per_gpu=8704")
    tight += ("data.max_prompt_length=8192", "data.max_response_length=512")
    tight += tuple(f"actor_rollout_ref.{option}" for option in OFFLOAD)
    (update,) = check(24, *tight, "actor_rollout_ref.rollout.gpu_memory_utilization=0.7")
    assert "LORA" not in update and "down to" not in update and "more GPUs" in update


def test_it_says_what_a_run_needs(drawn, tiny_model, capsys):
    def failure(*overrides):
        assert main(["estimate", *overrides]) == 2
        return capsys.readouterr().err

    train, path = f"data.train_files='{drawn}/train.parquet'", "actor_rollout_ref.model.path"
    needed = ["data.val_files=v", "medgrpo.reward.artifact=a", "data.train_batch_size=16"]
    model = f"{path}='{tiny_model}'"
    assert main(["estimate", "--gpu-memory", "80", train, *needed, model]) == 0
    out = capsys.readouterr().out
    assert "optimizer (Adam" in out and "media tokens: mean" in out and "no less than" in out
    assert main(["estimate", "--gpu-memory", "1", train, *needed, model]) == 0
    assert "more than a GPU has, in the phase update" in capsys.readouterr().out
    assert main(["estimate", "--gpu-memory", "0.001", train, *needed, model]) == 2
    assert "weights, gradients and optimizer take" in capsys.readouterr().err
    assert "SP (ulysses_sequence_parallel_size): 3 does not fit 8 GPUs and 2 attention heads" in failure(
        train, *needed, model, "actor_rollout_ref.actor.fsdp_config.ulysses_sequence_parallel_size=3"
    )
    assert "data.train_files: /nowhere is missing" in failure("data.train_files=/nowhere", *needed, model)
    assert "no usable config.json" in failure(train, *needed, f"{path}=/nowhere")
    assert failure("data.tasks=null", train, *needed, model).endswith("then all that are rewarded\n")
    lacking = failure("judge=local", "data.train_files=[]", model)
    for key in ("data.train_files", "data.val_files", "reward.reward_model.model_path"):
        assert f"{key}: give {key}=" in lacking


@pytest.mark.parametrize("given", ["medgrpo.reward.reward_tasks=all", "data.tasks=tag", "data.tasks=[tag]"])
def test_tasks_may_be_given_as_text(drawn, tiny_model, capsys, given):
    tasks = pq.read_table(drawn / "train.parquet")["ability"].to_pylist()
    rows = len(tasks) if given.endswith("all") else tasks.count("tag")
    paths = [f"data.train_files='{drawn}/train.parquet'", f"actor_rollout_ref.model.path='{tiny_model}'"]
    needed = [*paths, "data.val_files=v", "medgrpo.reward.artifact=a", "data.train_batch_size=8"]
    assert main(["estimate", *needed, given]) == 0
    assert f"over {rows} rows" in capsys.readouterr().out


def test_rows_that_are_too_long_end_it(call, drawn, tiny_model, capsys):
    train = f"data.train_files='{drawn}/train.parquet'"
    own = [train, f"model.path='{tiny_model}'", "data.train_batch_size=8"]
    assert call(estimate, "--sft-steps", *own) == 0
    assert int(capsys.readouterr().out.splitlines()[-1]) > 0
    with pytest.raises(SetupError, match="rows have more tokens"):
        call(estimate, "--sft-steps", *own, "data.max_length=20")
    with pytest.raises(SetupError, match="weights, gradients and optimizer take .*an SFT checkpoint that you have"):
        call(estimate, "--sft-steps", "--gpu-memory", "0.001", *own)
    own = [train, "data.val_files=v", "medgrpo.reward.artifact=a", "actor_rollout_ref.model.path=/not/yet"]
    own.append("data.train_batch_size=16")
    assert call(estimate, "--base", tiny_model, *own) == 0
    with pytest.raises(SetupError, match="rows have more tokens"):
        call(estimate, "--base", tiny_model, *own, "data.max_prompt_length=20")
