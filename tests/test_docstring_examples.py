# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""The examples in docstrings run, and every function that users call has one."""

import doctest
import importlib
from pathlib import Path

import pytest

import reward_score

ROOT = Path(reward_score.__file__).parents[1]
FILES = [file for package in ("reward_score", "data_preprocess") for file in sorted((ROOT / package).rglob("*.py"))]
MODULES = [
    ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for file in FILES
    if ">>> " in file.read_text(encoding="utf-8")
]
CALLED = [reward_score.compute_score, reward_score.compute_scores, reward_score.Scorer, reward_score.Normalizer]


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name):
    result = doctest.testmod(importlib.import_module(name))
    assert result.attempted and not result.failed


@pytest.mark.parametrize("called", [*CALLED, *dict.fromkeys(task.rate for task in reward_score.TASKS.values())])
def test_what_users_call_has_an_example(called):
    assert "Example:" in called.__doc__ and ">>> " in called.__doc__
