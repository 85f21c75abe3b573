# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""The examples in the docstrings run."""

import doctest
import importlib

import pytest


@pytest.mark.parametrize("module", ["common.atomic_file", "images.question", "schema"])
def test_examples(module):
    failed, tried = doctest.testmod(importlib.import_module(f"data_preprocess.{module}"))
    assert tried and not failed
