# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""SFT rows against the RL rollout's path, and what vLLM's multimodal processor makes of the same clip."""

import doctest
from types import SimpleNamespace

import pyarrow.parquet as pq
import pytest
import torch
from omegaconf import OmegaConf
from verl.experimental.agent_loop import AgentLoopWorker
from verl.utils import hf_processor, hf_tokenizer

from recipe.medgrpo.model_inputs import encode
from recipe.medgrpo.trainer import dataset

SFT = {"pad_mode": "no_padding", "max_length": 512, "truncation": "error"}


@pytest.fixture(scope="module")
def parts(drawn, tiny_model):
    file = str(drawn / "train.parquet")
    processor, tokenizer = hf_processor(str(tiny_model)), hf_tokenizer(str(tiny_model))
    sft = dataset.MedGRPOSFTDataset(file, tokenizer, OmegaConf.create(SFT), processor)
    return sft, pq.read_table(file).to_pylist(), processor, tokenizer


def rl_prompt(row, processor, tokenizer):
    """Prompt ids, processor output and positions as verl's agent loop makes them."""
    from verl.utils.tokenizer.continuous_token_wiring import create_continuous_token_builder

    builder = create_continuous_token_builder(
        tokenizer,
        hf_model_type="qwen2_5_vl",
        chat_template_kwargs={},
        mm_processor_kwargs=encode.MM_PROCESSOR_KWARGS,
        processor=processor,
    )
    messages = encode.with_media(row["prompt"], row)
    images, videos = encode.load_media(messages, processor.image_processor.patch_size)
    inputs = {}
    return builder.build_initial_tokens(messages, images=images, videos=videos, mm_inputs_out=inputs), inputs, videos


def test_sft_row_is_the_rollouts_prompt_and_the_answer(parts):
    sft, rows, processor, tokenizer = parts
    seen = set()
    for index, row in enumerate(rows):
        fps = row["extra_info"]["fps"]
        if (fps, row["ability"]) in seen:
            continue
        seen.add((fps, row["ability"]))
        item = sft[index]
        prompt, inputs, _ = rl_prompt(row, processor, tokenizer)
        n = len(prompt)
        assert item["input_ids"][:n].tolist() == prompt
        answer = row["reward_model"]["ground_truth"]
        assert tokenizer.decode(item["input_ids"][n:]) == answer + "<|im_end|>"
        assert item["loss_mask"].tolist() == [0] * n + [1] * (len(item["input_ids"]) - n)
        torch.testing.assert_close(item["multi_modal_inputs"]["second_per_grid_ts"], torch.tensor([2 / fps]))
        ids, worker = item["input_ids"][None], SimpleNamespace(processor=processor)
        rl_positions = AgentLoopWorker._compute_position_ids(worker, ids, torch.ones_like(ids), dict(inputs))
        assert torch.equal(item["position_ids"], rl_positions[0])
        torch.testing.assert_close(
            item["multi_modal_inputs"]["pixel_values_videos"].make(), torch.as_tensor(inputs["pixel_values_videos"])
        )
    assert {fps for fps, _ in seen} == {0.5, 1.0, 2.0, 3.0}


def test_rl_rows_are_those_of_the_rewarded_tasks(drawn, tiny_model, tmp_path):
    file = str(drawn / "train.parquet")
    config = OmegaConf.create({"tasks": ["tag", "stg"], "cache_dir": str(tmp_path), "balance": None})
    config.train_files = file
    tokenizer, processor = hf_tokenizer(str(tiny_model)), hf_processor(str(tiny_model))
    config.filter_overlong_prompts = False
    found = dataset.MedGRPODataset(file, tokenizer, config, processor)
    assert set(found.dataframe["ability"]) == {"tag", "stg"}
    # Lengths by arithmetic: the same rows as those whose real prompt fits.
    lengths = [len(rl_prompt(row, processor, tokenizer)[0]) for row in found.dataframe]
    config.filter_overlong_prompts, config.max_prompt_length = True, sorted(lengths)[len(lengths) // 2]
    short = dataset.MedGRPODataset(file, tokenizer, config, processor)
    kept = [row for row, n in zip(found.dataframe, lengths, strict=True) if n <= config.max_prompt_length]
    assert 0 < len(kept) < len(lengths) and list(short.dataframe) == kept
    config.tasks = ["unheard-of"]
    with pytest.raises(ValueError, match=r"train\.parquet.*no row has a task of data\.tasks"):
        dataset.MedGRPODataset(str(drawn / "train.parquet"), tokenizer, config, processor)


def test_the_example_runs(parts, drawn, tmp_path, monkeypatch):
    _, _, processor, tokenizer = parts
    monkeypatch.chdir(drawn)
    options = {"tasks": ["tag", "stg"], "cache_dir": str(tmp_path), "balance": None, "filter_overlong_prompts": False}
    names = {"processor": processor, "tokenizer": tokenizer, "config": OmegaConf.create({"data": options})}
    names["MedGRPODataset"] = dataset.MedGRPODataset
    example = doctest.DocTestParser().get_doctest(dataset.MedGRPODataset.__doc__, names, "example", None, 0)
    assert doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(example) == (0, 2)


def test_too_long_row_names_its_file_and_the_remedy(parts):
    sft, *_ = parts
    sft.max_length, kept = 16, sft.max_length
    try:
        with pytest.raises(ValueError, match=r"train\.parquet.*row 0: \d+ tokens, data\.max_length is 16; raise it"):
            sft[0]
    finally:
        sft.max_length = kept
