# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Qwen2-VL on single images: the tiny model is a real one, and trainer, transformers and vLLM agree on its prompts."""

import shutil

import pyarrow.parquet as pq
import pytest
import torch
from configuration import composed
from omegaconf import OmegaConf

from data_preprocess import omnimedvqa
from data_preprocess.synthetic import imaging
from recipe.medgrpo.cpu import tiny_model
from recipe.medgrpo.model_inputs import encode, prompt_length
from recipe.medgrpo.model_inputs.prompt_templates import apply_template
from recipe.medgrpo.preflight import positions
from recipe.medgrpo.trainer import dataset
from reward_score.errors import BadOption


@pytest.fixture(scope="module")
def rows_file(tmp_path_factory):
    root = tmp_path_factory.mktemp("imaging")
    imaging.generate(root / "world", images_per_modality=5)
    omnimedvqa.main(["--root", str(root / "world"), "--out", str(root / "data")])
    return root / "data" / "train.parquet"


@pytest.fixture(scope="module")
def qwen2_vl(rows_file, tmp_path_factory):
    out = tmp_path_factory.mktemp("qwen2_vl")
    tiny_model.build(out, rows_file, layers=2, family="qwen2_vl")
    return out


@pytest.fixture(scope="module")
def processor(qwen2_vl):
    from verl.utils import hf_processor

    return hf_processor(str(qwen2_vl))


def test_positions_are_transformers_own(qwen2_vl, processor, rows_file):
    from transformers import AutoModelForImageTextToText

    model = AutoModelForImageTextToText.from_pretrained(qwen2_vl)
    for row in pq.read_table(rows_file).slice(0, 3).to_pylist():
        messages = encode.with_media(apply_template(row["prompt"], "medr1_think"), row)
        inputs = encode.encode(processor, messages, *encode.load_media(messages, 14))
        ours, _ = processor.get_rope_index(input_ids=inputs["input_ids"], image_grid_thw=inputs["image_grid_thw"])
        theirs, _ = model.model.get_rope_index(
            inputs["input_ids"], image_grid_thw=inputs["image_grid_thw"],
            mm_token_type_ids=(inputs["input_ids"] == processor.image_token_id).int(),
        )  # fmt: skip
        assert torch.equal(ours, theirs)
        assert inputs["input_ids"].eq(processor.image_token_id).sum() == row["extra_info"]["num_tokens"] == 9


def test_trainer_and_vllm_see_the_same_prompt(qwen2_vl, rows_file):
    with positions.in_background({"model": str(qwen2_vl), "files": [str(rows_file)], "tasks": ["mcq"]}) as found:
        assert "agree on 8 rows" in found()


def test_a_base_model_starts_with_the_presets_turn_format(qwen2_vl, rows_file, tmp_path):
    base = shutil.copytree(qwen2_vl, tmp_path / "base")
    (base / "chat_template.jinja").unlink()
    files = [f"data.train_files='{rows_file}'", "data.val_files=v", f"actor_rollout_ref.model.path='{base}'"]
    config = composed("preset=zhu_grpo_scratch", *files)
    with positions.check_before_training(config) as found:
        assert "agree on 8 rows" in found()


@pytest.fixture
def read(rows_file, processor):
    """``read(train, **options)``: the rows as RL reads them, of a configuration whose training file this is."""

    def call(train=rows_file, **more):
        own = {"tasks": ["mcq"], "balance": None, "template": None, "image_key": "images", "max_prompt_length": 1024}
        config = OmegaConf.create(own | {"filter_overlong_prompts": False, "train_files": str(train)} | more)
        return dataset.MedGRPODataset(str(rows_file), processor.tokenizer, config, processor)

    return call


def text_of(message):
    return "".join(part["text"] for part in message["content"] if part["type"] == "text")


def test_training_and_validation_have_their_own_wording(rows_file, read):
    both = {"template": "medr1_think", "val_template": "medr1_eval_think", "filter_overlong_prompts": True}
    for train, words in ((rows_file, "Your task: 1. Think"), ("other", "(A, B, C, D,...) inside")):
        rows = read(train, **both)
        assert len(rows) == pq.read_table(rows_file).num_rows
        [message] = rows[0]["raw_prompt"]
        assert words in text_of(message) and message["content"][0]["type"] == "image"
        assert ("Your task" in text_of(message)) == (train != "other")


def test_prompts_that_grow_too_long_by_their_wording_are_left_out(rows_file, processor, read):
    rows = pq.read_table(rows_file).to_pylist()
    built = [(encode.with_media(row["prompt"], row), row["extra_info"]["num_tokens"]) for row in rows]
    longest = max(prompt_length.prompt_length(messages, media, processor) for messages, media in built)

    limits = {"max_prompt_length": longest, "filter_overlong_prompts": True}
    assert len(read(**limits)) == len(rows) > len(read(template="medr1_think", **limits))


def test_one_modality_is_trained_and_all_are_tested(rows_file, read):
    total = pq.read_table(rows_file).num_rows
    for train, expected in ((rows_file, total // 8), ("other", total)):
        assert len(read(train, only={"modality": ["CT"], "question_type": None})) == expected
    with pytest.raises(BadOption, match="data.only.modality"):
        read(only={"modality": ["PET"]})


def test_a_question_type_is_trained_alone_by_rl_and_sft(rows_file, processor, read):
    whole = pq.read_table(rows_file).to_pylist()
    only = {"modality": None, "question_type": ["Lesion Grading"]}
    expected = [row for row in whole if row["extra_info"]["question_type"] == "Lesion Grading"]
    assert 0 < len(expected) < len(whole)
    assert [row["extra_info"] for row in read(only=only).dataframe] == [row["extra_info"] for row in expected]
    for train, chosen in ((str(rows_file), expected), ("other", whole)):
        config = OmegaConf.create({"max_length": 1024, "truncation": "error", "only": only, "train_files": train})
        learned = dataset.MedGRPOSFTDataset(str(rows_file), processor.tokenizer, config, processor)
        assert list(learned.dataframe["extra_info"]) == [row["extra_info"] for row in chosen]
        assert learned.messages == [row["messages"] for row in chosen] and len(learned) == len(chosen)
        assert learned[len(learned) - 1]["loss_mask"].any()


def test_sft_learns_the_tagged_letter_alone(rows_file, processor):
    config = OmegaConf.create({"max_length": 1024, "template": "medr1_nothink", "truncation": "error"})
    rows = dataset.MedGRPOSFTDataset(str(rows_file), processor.tokenizer, config, processor)
    item = rows[0]
    learned = processor.tokenizer.decode(item["input_ids"][item["loss_mask"].bool()])
    truth = pq.read_table(rows_file).to_pylist()[0]["reward_model"]["ground_truth"]
    assert learned == f"<answer>{truth}</answer><|im_end|>"
    assert "Your task: 1. Provide" in processor.tokenizer.decode(item["input_ids"])
