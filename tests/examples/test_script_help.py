# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""``--help`` of every run script, and ``DRY_RUN=1`` where the environment is not there."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from scripts import CLEAN, EXAMPLES, FOLDER

SCRIPTS = sorted(path.name for path in EXAMPLES.glob("run_*.sh"))


def call(script, tmp_path, *words, **variables):
    path = f"{Path(sys.executable).parent}:{CLEAN['PATH']}"
    environment = {**CLEAN, "PATH": path, "PYTHONPATH": str(EXAMPLES.parent), "TMPDIR": str(tmp_path), **variables}
    environment[FOLDER[script]] = str(tmp_path / "run")
    command = ["bash", EXAMPLES / script, *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True, cwd=tmp_path)


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize("variables", [{}, {"DRY_RUN": "1"}])
def test_help(script, tmp_path, variables):
    done = call(script, tmp_path, "data.seed=1", "--help", **variables)
    assert done.returncode == 0 and done.stderr == ""
    assert f"bash examples/{script}" in done.stdout and "${" in done.stdout and "set -euo" not in done.stdout
    assert not list(tmp_path.iterdir())


def test_a_plan_without_the_environment_says_what_is_missing(tmp_path):
    (tmp_path / "hydra.py").write_text("raise ModuleNotFoundError(\"No module named 'hydra'\", name='hydra')")
    places = f"{tmp_path}:{EXAMPLES.parent}"
    done = call("run_medgrpo_cpu.sh", tmp_path, DRY_RUN="1", PYTHONPATH=places, HOME=os.environ.get("HOME", "/"))
    assert done.returncode == 1 and "needs the Python package hydra" in done.stderr and "Traceback" not in done.stderr
