# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""``DRY_RUN=1`` of every run script: a plan of twenty lines, and the whole configuration in a file."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from scripts import CLEAN, EXAMPLES, FOLDER, RL, SFT, executable

from recipe.medgrpo import plan

SCRIPTS = sorted(path.name for path in EXAMPLES.glob("run_*.sh"))


def test_without_an_environment_a_plan_says_what_is_missing(tmp_path):
    executable(tmp_path / "bin/python3", f'exec "{sys.base_prefix}/bin/python3" -S "$@"\n')
    environment = {**CLEAN, "PATH": f"{tmp_path}/bin:{CLEAN['PATH']}", "DRY_RUN": "1"}
    done = subprocess.run(["bash", EXAMPLES / RL], env=environment, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 1 and "make the environment first (docs/install.md)" in done.stderr, done.stderr


@pytest.mark.parametrize(
    "overrides, said",
    [
        (["judge=local"], "reward.reward_model.model_path: give reward.reward_model.model_path="),
        (["data.val_files=null"], "data.val_files: give data.val_files="),
        (["data.tasks=null"], "data.tasks=None: name tasks"),
    ],
)
def test_a_plan_of_what_cannot_be_is_refused(capsys, monkeypatch, overrides, said):
    given = ["data.train_files=t", "data.val_files=v", "actor_rollout_ref.model.path=m", "medgrpo.reward.artifact=a"]
    monkeypatch.setattr("sys.argv", ["plan", "--stages", "rl", "--", *given, *overrides])
    assert plan.main() == 1 and said in capsys.readouterr().err


def test_a_plan_names_all_tasks(tmp_path, capsys, monkeypatch):
    given = ["data.train_files=t", "data.val_files=v", "actor_rollout_ref.model.path=m", "medgrpo.reward.artifact=a"]
    monkeypatch.setattr("sys.argv", ["plan", "--stages", "rl", "--", *given, "medgrpo.reward.reward_tasks=all"])
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert plan.main() == 0 and " tag stg " in capsys.readouterr().out


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_plan_of_twenty_lines_and_a_file(tmp_path, capsys, monkeypatch, script):
    # A repository without an environment of its own, whose interpreter would be taken.
    shutil.copytree(EXAMPLES, tmp_path / "examples")
    executable(tmp_path / "bin/python3", "printf '%s\\0' \"$@\"\n")
    environment = {**CLEAN, "PATH": f"{tmp_path}/bin:{CLEAN['PATH']}", "DRY_RUN": "1"}
    environment[FOLDER[script]] = str(tmp_path / "run")
    command = ["bash", tmp_path / "examples" / script, "data.train_batch_size=48"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    # What the script would start, in this process: verl's import alone takes seconds.
    module, *words = done.stdout.rstrip("\0").split("\0")[1:]
    assert module == plan.__name__ and not (tmp_path / "run").exists()
    monkeypatch.setattr("sys.argv", [module, *words])
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert plan.main() == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 20
    said = {line[:15].strip(): line[16:] for line in lines}
    named = ["stages", "training data", "model", "machine", "memory", "configuration"]
    for name in named + ([] if script == SFT else ["judge", "preset", "normalization"]):
        assert said[name]
    assert "48" in said["a step"]
    config = yaml.safe_load(Path(said["configuration"]).read_text())
    assert config["data"]["train_batch_size"] == 48
