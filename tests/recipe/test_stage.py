# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""A stage runs once, again when its command or an earlier stage changed, and resumes after an interruption."""

import json
import subprocess
import sys

import pytest


@pytest.fixture
def stage(tmp_path):
    def call(name, script, *options):
        command = [sys.executable, "-m", "recipe.medgrpo.stage", "--run", str(tmp_path), "--name", name, *options]
        return subprocess.run([*command, "--", "sh", "-c", script], capture_output=True, text=True)

    return call


def test_runs_once_and_keeps_a_log_and_its_time(stage, tmp_path):
    script = f"echo hello; echo x >> '{tmp_path}/count'"
    assert stage("one", script).returncode == 0
    again = stage("one", script)
    assert again.returncode == 0 and "done before" in again.stdout
    assert (tmp_path / "count").read_text() == "x\n"
    assert (tmp_path / "logs/one.log").read_text() == "hello\n"
    assert json.loads((tmp_path / "timings.json").read_text())["one"] > 0


def test_a_changed_command_removes_the_old_output_first(stage, tmp_path):
    out = tmp_path / "out"
    make = f"mkdir -p '{out}'; ls '{out}' > '{tmp_path}/before'; touch '{out}/%s'"
    assert stage("one", make % "a", "--output", str(out)).returncode == 0
    assert stage("one", make % "b", "--output", str(out)).returncode == 0
    assert [file.name for file in out.iterdir()] == ["b"] and (tmp_path / "before").read_text() == ""


def test_a_stage_follows_the_one_before_it(stage, tmp_path):
    assert "run that stage first" in stage("two", "true", "--after", "one").stderr
    assert stage("one", "true").returncode == 0
    count = f"echo x >> '{tmp_path}/count'"
    for _ in range(2):
        assert stage("two", count, "--after", "one").returncode == 0
    assert stage("one", "true # changed").returncode == 0
    assert stage("two", count, "--after", "one").returncode == 0
    assert (tmp_path / "count").read_text() == "x\nx\n"


def test_a_failure_shows_the_end_of_the_log_and_the_next_call_resumes(stage, tmp_path):
    out = tmp_path / "out"
    script = f"test -e '{out}/part' && exit 0; mkdir -p '{out}'; touch '{out}/part'; echo the reason; exit 3"
    first = stage("one", script, "--output", str(out))
    assert first.returncode == 3 and "the reason" in first.stderr and "one.log" in first.stderr
    assert stage("one", script, "--output", str(out)).returncode == 0, "what a failed stage left must stay"
