# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Our reward in verl's own reward loop, by both doors: the registered manager, and the function alone."""

import asyncio
from pathlib import Path

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_module
from tensordict import TensorDict
from verl import DataProto
from verl.experimental.reward_loop.reward_loop import RewardLoopWorker
from verl.utils import hf_tokenizer

import reward_score

REPOSITORY = Path(__file__).resolve().parents[2]
ROW = {"data_source": "medvidbench/CoPESD/tag", "ground_truth": "2.0-6.0 seconds.", "answer": "3.0-6.0 seconds."}


def configuration(tiny_model, *overrides):
    with initialize_config_module(config_module="recipe.medgrpo.config", version_base=None):
        return compose(
            "medgrpo",
            [
                "data.train_files=t",
                "data.val_files=v",
                f"actor_rollout_ref.model.path='{tiny_model}'",
                "medgrpo.reward.artifact=null",
                "medgrpo.reward.normalization=none",
                *overrides,
            ],
        )


def trajectory(tokenizer, data_source, answer, padding=5):
    """One answered prompt as verl's agent loop hands it to the reward loop."""
    ids = tokenizer(answer + tokenizer.eos_token)["input_ids"]
    responses = torch.tensor([ids + [tokenizer.pad_token_id] * padding])
    mask = torch.tensor([[1, 1, 1] + [1] * len(ids) + [0] * padding])
    batch = TensorDict({"responses": responses, "attention_mask": mask}, batch_size=1)
    fields = {
        "data_source": data_source,
        "reward_model": {"style": "rule", "ground_truth": ROW["ground_truth"]},
        "extra_info": {"index": 0, "fps": 1.0, "struc_info": "", "question": "When?"},
    }
    fields["tool_extra_fields"] = {}
    return DataProto(
        batch=batch, non_tensor_batch={key: np.array([value], dtype=object) for key, value in fields.items()}
    )


def run(config, tiny_model, data_source=ROW["data_source"], answer=ROW["answer"]):
    async def score():
        return await RewardLoopWorker(config).compute_score(
            trajectory(hf_tokenizer(str(tiny_model)), data_source, answer)
        )

    return asyncio.run(score())


def test_registered_manager(tiny_model):
    result = run(configuration(tiny_model), tiny_model)
    assert result["reward_score"] == pytest.approx(0.75)
    assert set(result["reward_extra_info"]) == set(reward_score.SCORE_KEYS)


def test_function_alone_in_stock_verl(tiny_model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = configuration(tiny_model, "reward.reward_manager.name=naive")
    config.reward.custom_reward_function.path = str(REPOSITORY / "reward_score/__init__.py")
    assert run(config, tiny_model)["reward_score"] == pytest.approx(0.75)


def test_an_unparsable_answer_is_zero_and_a_row_without_reward_is_an_error(tiny_model):
    config = configuration(tiny_model)
    assert run(config, tiny_model, answer="no idea")["reward_score"] == 0.0
    with pytest.raises(reward_score.RewardError, match="nap"):
        run(config, tiny_model, data_source="medvidbench/CoPESD/nap")
