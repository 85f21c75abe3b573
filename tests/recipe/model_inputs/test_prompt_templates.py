# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Prompt templates: the published wordings, and where the question and its image stand."""

import pytest

from recipe.medgrpo.model_inputs.prompt_templates import TEMPLATES, UnknownTemplate, apply_template

# Med-R1's code, spec/medical_vqa.md section 1.2.
PUBLISHED = {
    "medr1_think": "{Question} Your task: 1. Think through the question step by step, enclose your reasoning process "
    "in <think>...</think> tags. 2. Then provide the correct single-letter choice (A, B, C, D,...) inside "
    "<answer>...</answer> tags. 3. No extra information or text outside of these tags.",
    "medr1_nothink": "{Question} Your task: 1. Provide the correct single-letter choice (A, B, C, D,...) inside "
    "<answer>...</answer> tags. 2. No extra information or text outside of this tag.",
    "medr1_think_after": "{Question} Your task: 1. First provide the correct single-letter choice (A, B, C, D,...) "
    "inside <answer>...</answer> tags. 2. Then explain the reasoning for this choice inside <think>...</think> tags. "
    "3. No extra information or text outside of these tags.",
    "medr1_eval_think": "{Question} Think through the question step by step in <think>...</think> tags. Then provide "
    "the correct single-letter choice (A, B, C, D,...) inside <answer>...</answer> tags.",
    "medr1_eval_nothink": "{Question} Provide the correct single-letter choice (A, B, C, D,...) inside "
    "<answer>...</answer> tags.",
    "medr1_eval_zero_shot": "{Question} Provide the correct single-letter choice (A, B, C, D,...).",
    "r1": "{Question} First output the thinking process in <think> </think> and final choice (A, B, C, D ...) in "
    "<answer> </answer> tags.",
}


def user(text):
    return {"role": "user", "content": text}


@pytest.mark.parametrize("name", PUBLISHED)
def test_wordings_are_the_published_ones(name):
    [turn] = apply_template([user("<image>What {is} it? A)CT, B)MRI")], name)
    assert turn["content"] == "<image>" + PUBLISHED[name].replace("{Question}", "What {is} it? A)CT, B)MRI")


def test_there_are_no_others():
    assert TEMPLATES.keys() == PUBLISHED.keys()


def test_only_the_last_user_turn_changes_and_nothing_in_place():
    messages = [{"role": "system", "content": "S"}, user("<image>Q"), {"role": "assistant", "content": "A"}]
    changed = apply_template(messages, "medr1_eval_zero_shot")
    assert changed[1]["content"].startswith("<image>Q Provide") and messages[1]["content"] == "<image>Q"
    assert (changed[0], changed[2]) == (messages[0], messages[2])
    assert apply_template(messages, None) is messages


def test_an_unknown_name_is_an_error():
    with pytest.raises(UnknownTemplate, match="medr1_think"):
        apply_template([user("Q")], "medr1")
