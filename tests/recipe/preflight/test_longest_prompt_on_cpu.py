# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""The longest training sample is found, processed by the real processor, and refused where it does not fit."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hydra import compose, initialize_config_module

from recipe.medgrpo.preflight import longest_prompt
from recipe.medgrpo.preflight.longest_prompt import ProbeError, check_longest, find_longest

TASKS = ("tag", "stg", "vs", "rc")


@pytest.fixture
def configured(drawn, tiny_model):
    def call(*overrides, train=drawn / "train.parquet"):
        own = (f"data.train_files='{train}'", "data.val_files=v", "medgrpo.reward.artifact=a")
        sizes = ("data.max_prompt_length=256", "data.max_response_length=32")
        with initialize_config_module(config_module="recipe.medgrpo.config", version_base=None):
            return compose("medgrpo", [*own, *sizes, f"actor_rollout_ref.model.path='{tiny_model}'", *overrides])

    return call


@pytest.fixture(scope="module")
def processor(tiny_model):
    from transformers import AutoProcessor

    return AutoProcessor.from_pretrained(tiny_model)


def rewritten(drawn, path, change):
    table = pq.read_table(drawn / "train.parquet")
    rows = table.to_pylist()
    change(rows)
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), path)
    return path


def test_the_longest_row_of_the_rewarded_tasks_is_found(drawn, tmp_path, configured, processor):
    def change(rows):
        chosen = {task: next(index for index, row in enumerate(rows) if row["ability"] == task) for task in TASKS}
        rows[chosen["stg"]]["extra_info"]["num_tokens"] = 900
        rows[chosen["vs"]]["extra_info"]["num_tokens"] = 1100
        found.update(chosen)

    found = {}
    file = rewritten(drawn, tmp_path / "longer.parquet", change)
    files = [str(drawn / "train.parquet"), str(file)]
    data = configured().data
    assert find_longest(files, data, processor).where == f"{file}, row {found['vs']}"
    data.tasks = ["tag", "stg"]
    assert find_longest(files, data, processor).media_tokens == 900
    data.tasks = ["mcq"]
    assert find_longest(files, data, processor) is None


def test_words_count_too(drawn, tmp_path, configured, processor):
    def change(rows):
        row = next(row for row in rows if row["ability"] == "tag")
        row["prompt"][-1]["content"] += " seconds" * 400
        row["extra_info"]["num_tokens"] -= 1

    file = str(rewritten(drawn, tmp_path / "wordy.parquet", change))
    longest = find_longest([file], configured().data, processor)
    assert longest.row["prompt"][-1]["content"].endswith("seconds seconds")
    # Exactly what the processor would make of it, but for the token that the row does not admit.
    assert longest.length == longest_prompt.process(longest.row, processor, configured().data)[0] - 1


def test_a_sample_that_fits_is_processed_and_told(configured, capsys):
    check_longest(configured())
    assert "longest sample: " in capsys.readouterr().out


@pytest.mark.parametrize(
    "override, key",
    [
        ("data.max_prompt_length=20", "data.max_prompt_length leaves 20 "),
        ("actor_rollout_ref.rollout.max_model_len=60", "rollout.max_model_len leaves 28 "),
        ("actor_rollout_ref.actor.ppo_max_token_len_per_gpu=62", "ppo_max_token_len_per_gpu leaves 30 "),
    ],
)
def test_a_limit_that_is_too_small_is_named(configured, override, key):
    with pytest.raises(ProbeError, match="train.parquet, row [0-9]+: its prompt has [0-9]+ tokens") as error:
        check_longest(configured(override))
    assert key in str(error.value)


def test_sequence_parallel_ranks_share_a_sequence(configured):
    shared = "actor_rollout_ref.actor.fsdp_config.ulysses_sequence_parallel_size=4"
    small = "actor_rollout_ref.actor.ppo_max_token_len_per_gpu=62"
    assert (
        longest_prompt.limits(configured(small, shared))["actor_rollout_ref.actor.ppo_max_token_len_per_gpu"]
        == 4 * 62 - 32
    )


def test_rows_that_will_be_left_out_do_not_count(configured):
    check_longest(configured("data.max_prompt_length=20", "data.filter_overlong_prompts=true"))


def test_data_of_another_model_are_refused(configured, drawn, tmp_path):
    def change(rows):
        for row in rows:
            row["extra_info"]["num_tokens"] += 1

    train = rewritten(drawn, tmp_path / "other.parquet", change)
    with pytest.raises(ProbeError, match="--patch"):
        check_longest(configured(train=train))


def test_estimate_counts_the_published_model_exactly(tmp_path):
    from recipe.medgrpo.preflight.estimate import Model

    text = dict(hidden_size=3584, num_hidden_layers=28, intermediate_size=18944, num_attention_heads=28)
    text |= dict(num_key_value_heads=4, vocab_size=152064, tie_word_embeddings=False)
    vision = dict(depth=32, hidden_size=1280, out_hidden_size=3584, intermediate_size=3420, num_heads=16)
    (tmp_path / "config.json").write_text(
        json.dumps({"model_type": "qwen2_5_vl", "text_config": text, "vision_config": vision})
    )
    model = Model.of(str(tmp_path))
    assert model.parameters == 8_292_166_656
    # Attention 3584 -> 3584, 512, 512 and back; the three matrices of the gated layer.
    widths = 2 * (3584 + 3584) + 2 * (3584 + 512) + 3 * (3584 + 18944)
    assert model.trainable(64) == 64 * 28 * widths
    assert model.kv_width == 2 * 4 * 128


def test_estimate_says_what_a_run_needs(configured, drawn, tiny_model, capsys):
    from recipe.medgrpo.cli import main

    needed = ["data.val_files=v", "medgrpo.reward.artifact=a", f"actor_rollout_ref.model.path='{tiny_model}'"]
    assert main(["estimate", "--gpu-memory", "80", f"data.train_files='{drawn}/train.parquet'", *needed]) == 0
    out = capsys.readouterr().out
    assert "optimizer (Adam" in out and "media tokens: mean" in out and "sequences of full length" in out
    assert "data.train_files: /nowhere is missing" in failure(["data.train_files=/nowhere", *needed], capsys)
    assert "no usable config.json" in failure(
        [f"data.train_files='{drawn}/train.parquet'", *needed[:2], "actor_rollout_ref.model.path=/nowhere"], capsys
    )


def failure(overrides, capsys) -> str:
    from recipe.medgrpo.cli import main

    assert main(["estimate", "--gpu-memory", "80", *overrides]) == 2
    return capsys.readouterr().err


def test_estimate_answers_to_each_option(configured, tiny_model):
    from recipe.medgrpo.preflight.estimate import Model, cache_sequences, memory

    model = Model.of(str(tiny_model))
    fsdp = "actor_rollout_ref.actor.fsdp_config"
    plain = memory(model, configured(), 80)
    gpus = configured().trainer.n_gpus_per_node
    doubled = memory(model, configured("trainer.nnodes=2"), 80)
    optimizer = "optimizer (Adam, fp32, sharded)"
    assert plain["update"][optimizer] == pytest.approx(8 * model.parameters / gpus / 2**30)
    assert doubled["update"][optimizer] == pytest.approx(plain["update"][optimizer] / 2)
    lora = memory(model, configured("actor_rollout_ref.model.lora_rank=1"), 80)
    assert lora["update"][optimizer] < plain["update"][optimizer] / 10
    offloaded = memory(model, configured(f"{fsdp}.param_offload=true", f"{fsdp}.optimizer_offload=true"), 80)
    assert offloaded["rollout"]["the actor's state beside it"] == 0 < plain["rollout"]["the actor's state beside it"]
    half = configured("actor_rollout_ref.rollout.tensor_model_parallel_size=2", "trainer.n_gpus_per_node=2")
    assert cache_sequences(model, half, 1.0)[1] == half.data.train_batch_size * half.actor_rollout_ref.rollout.n
