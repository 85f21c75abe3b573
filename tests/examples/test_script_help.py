# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""``--help`` of every run script and a study, and ``DRY_RUN=1`` where the environment is not there."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from scripts import CLEAN, EXAMPLES, FOLDER, executable

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


def test_the_study_of_normalization(tmp_path):
    """Its help starts nothing; a relative folder is where the user stands."""
    shutil.copytree(EXAMPLES, tmp_path / "repo/examples")
    (tmp_path / "repo/requirements").mkdir()
    (tmp_path / "repo/requirements/setup_cpu.sh").touch()
    executable(tmp_path / "bin/python", f'echo "$*" >> "{tmp_path}/calls"\n')
    environment = {**CLEAN, "PATH": f"{tmp_path}/bin:{CLEAN['PATH']}", "OUT": "mine"}
    command, kept = ["bash", "repo/examples/studies/normalization/run.sh"], {"env": environment, "cwd": tmp_path}
    done = subprocess.run([*command, "--help"], capture_output=True, text=True, **kept)
    assert done.returncode == 0 and "[--seeds SEED...]" in done.stdout and not (tmp_path / "calls").exists()
    subprocess.run([*command, "--hours", "1"], check=True, **kept)
    first, second = (tmp_path / "calls").read_text().splitlines()
    assert first.endswith(f"--out {tmp_path}/mine --hours 1") and " page " in second
    executable(tmp_path / "bin/python", f'echo "$*" >> "{tmp_path}/calls"\nexit 2\n')
    done = subprocess.run([*command, "--hours", "one"], **kept)
    *_, last = calls = (tmp_path / "calls").read_text().splitlines()
    assert done.returncode == 2 and len(calls) == 3 and last.endswith("--hours one")
