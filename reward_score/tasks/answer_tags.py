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
_TAG = re.compile(r"<\s{0,3}(/?)\s{0,3}(answer|think)\s{0,3}>", re.IGNORECASE)
_WORD = re.compile(r"<answer>\s*(\w+)\s*</answer>")


def has_form(text: str, form: Form) -> bool:
    """Whether the whole text has this form; surplus tags inside pass (see `exactly_one_of_each`)."""
    pattern, end = _FORMS[form]
    # A text that ends otherwise cannot match, but the pattern would take quadratic time to find out.
    return text.endswith(end) and pattern.fullmatch(text) is not None


def exactly_one_of_each(text: str, form: Form) -> bool:
    """Whether each tag of the form occurs once."""
    tags = (OPEN, CLOSE) if form == "nothink" else (OPEN, CLOSE, "<think>", "</think>")
    return all(text.count(tag) == 1 for tag in tags)


def answer_place(text: str) -> tuple[int, int] | None:
    """Start and end, tags included, of the first answer whose tags stand on one line; None without one."""
    start = text.find(OPEN)
    while start >= 0:
        end = text.find(CLOSE, start)
        if end < 0:
            return None
        if text.find("\n", start, end) < 0:
            return start, end + len(CLOSE)
        start = text.find(OPEN, start + len(OPEN))
    return None


def unwrapped(text: str) -> str:
    """What counts in training, as in Med-R1's reward: content of the first answer tags on one line, or all."""
    if place := answer_place(text):
        text = text[place[0] + len(OPEN) : place[1] - len(CLOSE)]
    return text.strip()


def answer_word(text: str) -> str | None:
    """The single word in answer tags, as Med-R1's evaluation reads it; None without one."""
    found = _WORD.search(text)
    return found[1] if found else None


def offered(text: str) -> list[str]:
    """The answers that a lenient reader finds: what all answer tags hold, empty ones left out, otherwise all but the
    reasoning. Tags may be in capitals, and the first one may be missing."""
    text = _TAG.sub(lambda tag: f"<{tag[1]}{tag[2].lower()}>", text)
    if OPEN in text:
        contents = (part.partition(CLOSE)[0].strip() for part in text.split(OPEN)[1:])
        return [content for content in contents if content]
    head, opened, rest = text.partition("<think>")
    # Reasoning that never ends holds no answer.
    after = rest.rpartition("</think>")[2] if "</think>" in rest else ""
    answer = head + after if opened else text.rpartition("</think>")[2]
    return [next((part.strip() for part in answer.split(CLOSE) if part.strip()), "")]


def reasoning(text: str) -> str:
    """Text between the first think tags; if they are missing or do not close, what stands before the answer tags."""
    _, opened, rest = text.partition("<think>")
    thought, closed, _ = rest.partition("</think>")
    if closed:
        return thought.strip()
    return (rest if opened else text).partition(OPEN)[0].strip()


def reasoning_place(text: str) -> tuple[int, int] | None:
    """Start and end, tags included, of the first reasoning that closes; None without one."""
    start = text.find("<think>")
    end = text.find("</think>", start)
    return None if start < 0 or end < 0 else (start, end + len("</think>"))
