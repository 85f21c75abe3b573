# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""An item that cannot become a row is refused with its attribute, whatever reader made it."""

from dataclasses import replace
from pathlib import Path

import pytest

from data_preprocess.common.errors import RecordError
from data_preprocess.images.question import Item, checked, right_option, texts

GOOD = Item(Path("/x/a.png"), "CT", "mcq", "Which?", "Eye", ("Heart", "Eye"), split="train")


def test_good_items():
    assert checked(GOOD) is GOOD
    opened = replace(GOOD, task="open", options=(), split="")
    assert checked(opened) is opened


@pytest.mark.parametrize(
    ("changes", "field", "reason"),
    [
        ({"question": 3}, "question", "is 3, no text"),
        ({"options": (1, 2)}, "options[0]", "is 1, no text"),
        ({"options": ("Eye", " ")}, "options[1]", "is empty"),
        ({"source": ""}, "source", "is empty"),
        ({"id": 7}, "id", "is 7, no text"),
        ({"task": "MCQ"}, "task", "is 'MCQ', none of mcq, closed, open"),
        ({"split": "validation"}, "split", "is 'validation'"),
        ({"options": ()}, "options", "are 0 for a question of the task mcq"),
        ({"options": ("Eye",)}, "options", "are 1 for"),
        ({"options": ("Eye", *map(str, range(26)))}, "options", "are 27 for"),
        ({"task": "closed"}, "options", "are 2 for a question of the task closed"),
        ({"answer": "Nose"}, "answer", "'Nose' is not one of"),
        ({"question": "What is in <image>?"}, "question", "holds <image>"),
        ({"options": ("<video>", "Eye")}, "options[0]", "holds <video>"),
        ({"question": "\ud83d?"}, "question", "holds half a character"),
        ({"image": Path("/x/a\0.png")}, "image", "holds a NUL"),
    ],
)
def test_bad_items(changes, field, reason):
    with pytest.raises(RecordError) as caught:
        checked(replace(GOOD, **changes))
    assert caught.value.field == field and reason in caught.value.reason
    assert len(caught.value.remedy) > 10


def test_texts():
    assert texts({"a": [" x ", "y"]}, "a") == ("x", "y") and texts({}, "a") == texts({"a": None}, "a") == ()
    for wrong in ("xy", [1], {"A": "x"}, 3):
        with pytest.raises(RecordError, match="no list of texts"):
            texts({"a": wrong}, "a")


@pytest.mark.parametrize("answer", ["Ear", "ear.", "B", "b", "(B)", "B)", "B. Ear", "(b) ear", "B:Ear"])
def test_the_option_or_its_letter(answer):
    assert right_option(["Eye", "Ear"], answer, "answer") == 1


@pytest.mark.parametrize("answer", ["C", "B) Eye", "Nose", "1", "BB"])
def test_no_option(answer):
    with pytest.raises(RecordError, match="is none of the options"):
        right_option(["Eye", "Ear"], answer, "answer")


def test_letters_that_are_options():
    assert right_option(["B", "A"], "B", "answer") == 0
