# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Fixtures of more than one package's tests: a drawn world, its rows, a model that reads them, and a judge's server."""

import os
from pathlib import Path

import pytest
from drawn_inputs import draw_rows

from recipe.medgrpo import PLUGIN

# As this recipe's commands do, before any test imports verl or vLLM.
os.environ[PLUGIN] = "1"

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def drawn(tmp_path_factory) -> Path:
    """Folder with train.parquet and val.parquet of a small drawn world."""
    return draw_rows(tmp_path_factory.mktemp("drawn world"), clips_per_source=6)


@pytest.fixture(scope="session")
def tiny_model(drawn, tmp_path_factory) -> Path:
    """A random Qwen2.5-VL whose tokenizer knows the drawn world."""
    from recipe.medgrpo.cpu.tiny_model import build

    out = tmp_path_factory.mktemp("tiny model")
    build(out, drawn / "train.parquet")
    return out


@pytest.fixture
def key(monkeypatch) -> str:
    """The judge's key in the environment, and no endpoint of the user's own."""
    value = "sk-very-secret-0123456789"
    monkeypatch.setenv("OPENAI_API_KEY", value)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    return value


@pytest.fixture
def server():
    """A running judge whose answers a test may script."""
    from judge_server import JudgeServer

    with JudgeServer() as running:
        yield running
