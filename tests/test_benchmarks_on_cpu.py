# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Each benchmark starts as its docstring and docs/benchmarks.md say; their figures are measured by hand."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
BENCHMARKS = sorted((REPOSITORY / "tests/benchmarks").glob("bench_*.py"))

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize("file", BENCHMARKS, ids=lambda file: file.stem)
def test_it_starts(file):
    environment = {name: value for name, value in os.environ.items() if name != "MEDGRPO_PLUGIN"}
    command = [sys.executable, str(file.relative_to(REPOSITORY)), "--help"]
    done = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "usage: " in done.stdout
