# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Rows that training would stumble over in the middle of an epoch are found before it, to the token."""

import pytest
from hydra import compose, initialize_config_module

from recipe.medgrpo.preflight import estimate, longest_prompt
from recipe.medgrpo.preflight.longest_prompt import EstimateError, check_lengths


@pytest.fixture
def composed(drawn, tiny_model):
    """``composed("sft" or "medgrpo", *overrides)`` on the drawn world and its model."""

    def call(name, *overrides):
        key = "model.path" if name == "sft" else "actor_rollout_ref.model.path"
        own = [f"data.train_files='{drawn}/train.parquet'", f"{key}='{tiny_model}'"]
        if name == "medgrpo":
            own += ["data.val_files=v", "medgrpo.reward.artifact=a"]
        with initialize_config_module(config_module="recipe.medgrpo.config", version_base=None):
            return compose(name, [*own, *overrides])

    return call


def test_sft_rows_are_counted_as_sft_sees_them(composed, tiny_model):
    from verl.utils import hf_processor

    from recipe.medgrpo.trainer.dataset import MedGRPOSFTDataset

    config = composed("sft")
    processor = hf_processor(str(tiny_model))
    rows = MedGRPOSFTDataset(config.data.train_files, processor.tokenizer, config.data, processor=processor)
    longest = max(len(rows[i]["input_ids"]) for i in range(len(rows)))
    check_lengths(composed("sft", f"data.max_length={longest}"), str(tiny_model), sft=True)
    too_low = composed("sft", f"data.max_length={longest - 1}")
    with pytest.raises(EstimateError, match=rf"row \d+: {longest}, .*--max-clip-tokens \d+.*data.max_length.*SFT_ARGS"):
        check_lengths(too_low, str(tiny_model), sft=True)
    halved = composed(
        "sft", f"data.max_token_len_per_gpu={(longest - 1) // 2}", "engine.ulysses_sequence_parallel_size=2"
    )
    with pytest.raises(EstimateError, match="data.max_token_len_per_gpu"):
        check_lengths(halved, str(tiny_model), sft=True)


def test_rl_prompts_are_counted_as_the_probe_counts_them(composed, tiny_model):
    from transformers import AutoProcessor

    config = composed("medgrpo")
    processor = AutoProcessor.from_pretrained(tiny_model)
    longest = longest_prompt.find_longest([config.data.train_files], config.data, processor)
    check_lengths(composed("medgrpo", f"data.max_prompt_length={longest.length}"), str(tiny_model))
    short = f"data.max_prompt_length={longest.length - 1}"
    with pytest.raises(
        EstimateError, match=rf"[1-9]\d* of \d+ rows .*: {longest.length}, {longest.media_tokens} of them"
    ):
        check_lengths(composed("medgrpo", short), str(tiny_model))
    # Such rows are left out; then the other limits must hold those that stay.
    check_lengths(composed("medgrpo", short, "data.filter_overlong_prompts=true"), str(tiny_model))
    window = "actor_rollout_ref.rollout.max_model_len=" + str(512 + longest.length // 2)
    with pytest.raises(EstimateError, match="max_model_len leaves"):
        check_lengths(composed("medgrpo", short, "data.filter_overlong_prompts=true", window), str(tiny_model))


def test_the_commands_fail(call, drawn, tiny_model, capsys):
    own = [f"data.train_files='{drawn}/train.parquet'", f"model.path='{tiny_model}'"]
    assert call(estimate, "--sft-steps", *own, "data.train_batch_size=8") == 0
    assert int(capsys.readouterr().out.splitlines()[-1]) > 0
    with pytest.raises(EstimateError, match="rows have more tokens"):
        call(estimate, "--sft-steps", *own, "data.max_length=20")
    own = [own[0], "data.val_files=v", "medgrpo.reward.artifact=a", "actor_rollout_ref.model.path=/not/yet"]
    assert call(estimate, "--base", tiny_model, *own) == 0
    with pytest.raises(EstimateError, match="rows have more tokens"):
        call(estimate, "--base", tiny_model, *own, "data.max_prompt_length=20")


def test_a_turn_format_of_the_configurations_own_counts(composed, tiny_model):
    wordy = "actor_rollout_ref.model.custom_chat_template='" + "seconds " * 600 + "'"
    with pytest.raises(EstimateError, match=r"(\d+) of \1 rows"):
        check_lengths(composed("medgrpo", wordy, "data.max_prompt_length=500"), str(tiny_model))
