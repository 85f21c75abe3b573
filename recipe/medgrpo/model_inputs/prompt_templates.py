# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Wordings of the task around a question: rows hold the bare problem, ``data.template`` and ``--template`` choose.

Med-R1's are the published code's, and think-after, which it lacks, is this project's; ``r1`` is the wording of Med-R1's
README. In the model's turn the image comes first, then the question, then the task.
"""

QUESTION = "{question}"
_LETTER = "single-letter choice (A, B, C, D,...)"

_OPENING = "{question} Your task: 1. "
_ONLY_TAGS = "No extra information or text outside of these tags."

TEMPLATES = {
    "medr1_think": f"{_OPENING}Think through the question step by step, enclose your reasoning process in "
    f"<think>...</think> tags. 2. Then provide the correct {_LETTER} inside <answer>...</answer> tags. 3. {_ONLY_TAGS}",
    "medr1_nothink": f"{_OPENING}Provide the correct {_LETTER} inside <answer>...</answer> tags. "
    "2. No extra information or text outside of this tag.",
    "medr1_think_after": f"{_OPENING}First provide the correct {_LETTER} inside <answer>...</answer> tags. "
    f"2. Then explain the reasoning for this choice inside <think>...</think> tags. 3. {_ONLY_TAGS}",
    "medr1_eval_think": "{question} Think through the question step by step in <think>...</think> tags. "
    f"Then provide the correct {_LETTER} inside <answer>...</answer> tags.",
    "medr1_eval_nothink": f"{{question}} Provide the correct {_LETTER} inside <answer>...</answer> tags.",
    "medr1_eval_zero_shot": f"{{question}} Provide the correct {_LETTER}.",
    "r1": "{question} First output the thinking process in <think> </think> and final choice (A, B, C, D ...) in "
    "<answer> </answer> tags.",
}


#: For models that think before they answer unless told not to, as Qwen3.5 from 4B on.
NO_THINKING = "{%- set enable_thinking = false %}"


def use_chat_template(processor, chat_template: str | None = None) -> None:
    """Give a processor this turn format, as verl does with model.custom_chat_template, or its own without thinking.

    Answers are short, and supervised ones have no thoughts: none are asked for that nobody taught or has room for.
    """
    own = processor.chat_template or ""
    if chat_template is None and "enable_thinking" in own and not own.startswith(NO_THINKING):
        chat_template = NO_THINKING + own
    if chat_template is not None:
        processor.chat_template = processor.tokenizer.chat_template = chat_template


class UnknownTemplate(ValueError):
    """No such prompt template; the message lists those that exist."""


def apply_template(messages: list[dict], name: str | None) -> list[dict]:
    """Messages whose last user turn, a text, has the template, if any, around it; media marks stay in front."""
    if name is None:
        return messages
    if name not in TEMPLATES:
        raise UnknownTemplate(f"prompt template {name!r} is unknown; known: {', '.join(TEMPLATES)}")
    last = max(index for index, turn in enumerate(messages) if turn["role"] == "user")
    text = messages[last]["content"].strip()
    question = text.removeprefix("<image>")
    # Not str.format: a question may hold braces.
    content = text[: len(text) - len(question)] + TEMPLATES[name].replace(QUESTION, question.strip())
    return [*messages[:last], {**messages[last], "content": content}, *messages[last + 1 :]]
