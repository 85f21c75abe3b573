# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Answers inside ``<think>`` and ``<answer>`` tags: which text counts as the answer, and whether the form is kept.

Three forms, after Med-R1: ``think`` (reasoning, then answer), ``nothink`` (answer alone), ``think_after`` (answer, then
reasoning). The rules are the published code's to the letter, loopholes included; `exactly_one_of_each` closes them.
"""

import re
from typing import Literal

Form = Literal["think", "nothink", "think_after"]

OPEN, CLOSE = "<answer>", "</answer>"
_FORMS = {
    "think": (re.compile(r"<think>.*?</think>\s*<answer>.*?</answer>", re.DOTALL), "</answer>"),
    "nothink": (re.compile(r"\s*<answer>.*?</answer>", re.DOTALL), "</answer>"),
    "think_after": (re.compile(r"\s*<answer>.*?</answer>\s*<think>.*?</think>", re.DOTALL), "</think>"),
}
_TAGS = {
    "think": ("<think>", "</think>", OPEN, CLOSE),
    "nothink": (OPEN, CLOSE),
    "think_after": ("<think>", "</think>", OPEN, CLOSE),
}
_WORD = re.compile(r"<answer>\s*(\w+)\s*</answer>")


def has_form(text: str, form: Form) -> bool:
    """Whether the whole text has this form; surplus tags inside pass (see `exactly_one_of_each`)."""
    pattern, end = _FORMS[form]
    # A text that ends otherwise cannot match, but the pattern would take quadratic time to find out.
    return text.endswith(end) and pattern.fullmatch(text) is not None


def exactly_one_of_each(text: str, form: Form) -> bool:
    """Whether each tag of the form occurs once."""
    return all(text.count(tag) == 1 for tag in _TAGS[form])


def first_answer(text: str) -> str | None:
    """Text in the first pair of answer tags that stand on one line, as Med-R1's reward reads it; None without one."""
    start = text.find(OPEN)
    while start >= 0:
        inside = start + len(OPEN)
        end = text.find(CLOSE, inside)
        if end < 0:
            return None
        if text.find("\n", inside, end) < 0:
            return text[inside:end]
        start = text.find(OPEN, inside)
    return None


def answer_word(text: str) -> str | None:
    """The single word in answer tags, as Med-R1's evaluation reads it; None without one."""
    found = _WORD.search(text)
    return found[1] if found else None


def final_text(text: str) -> str:
    """What a lenient reader takes for the answer: the last answer tags' content, else all but the reasoning."""
    start = text.rfind(OPEN)
    if start >= 0:
        return text[start + len(OPEN) :].split(CLOSE, 1)[0].strip()
    head, opened, rest = text.partition("<think>")
    if not opened:
        return text.rpartition("</think>")[2].strip()
    # Reasoning that never ends holds no answer.
    return (head + (rest.rpartition("</think>")[2] if "</think>" in rest else "")).strip()


def reasoning(text: str) -> str:
    """Text between the first think tags; what stands outside the answer tags if there are none."""
    _, opened, rest = text.partition("<think>")
    if opened:
        return rest.partition("</think>")[0].strip()
    return text.partition(OPEN)[0].strip()
