# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""The examples in the docstrings run."""

import doctest
import importlib
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
FILES = [file for file in (REPOSITORY / "data_preprocess").rglob("*.py") if ">>> " in file.read_text()]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_examples(file):
    name = ".".join(file.relative_to(REPOSITORY).with_suffix("").parts)
    failed, tried = doctest.testmod(importlib.import_module(name))
    assert tried and not failed


def test_there_are_examples():
    assert {"schema", "token_count", "atomic_file"} <= {file.stem for file in FILES}
