# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""A stage runs once, again when its command or an earlier stage changed, and resumes after an interruption."""

import json
import subprocess
import sys
import time

import pytest

from recipe.medgrpo.stage import METRICS_TAIL, latest


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


def test_other_settings_are_refused_only_once_there_is_a_checkpoint(stage, tmp_path):
    folder = tmp_path / "rl"
    costly = "--costly", str(folder)
    assert stage("rl", f"mkdir -p '{folder}/.hydra'; exit 3", *costly, "--metrics", str(folder)).returncode == 3
    saved = f"touch '{folder}/latest_checkpointed_iteration.txt'; exit 3"
    assert stage("rl", saved, *costly).returncode == 3, "the remedy of a failed start must run"
    done = stage("rl", "true", *costly)
    assert done.returncode == 1 and "ACCEPT_CHANGE=1" in done.stderr
    assert stage("rl", saved, *costly).returncode == 3, "the former settings go on"
    assert stage("rl", "true", *costly, "--accept").returncode == 0


def test_what_no_run_of_the_stage_wrote_is_never_removed(stage, tmp_path):
    given = tmp_path / "given.json"
    given.write_text("x")
    assert stage("one", "true", "--output", str(given)).returncode == 0
    assert given.read_text() == "x"
    (tmp_path / "own").touch()
    assert stage("one", "true # moved", "--output", str(tmp_path / "own")).returncode == 0
    assert (tmp_path / "own").exists()


def test_a_trainer_that_outlives_its_stage_is_not_started_twice(tmp_path):
    script = f"touch '{tmp_path}/started'; until [ -e '{tmp_path}/go' ]; do sleep 0.1; done"
    command = [sys.executable, "-m", "recipe.medgrpo.stage", "--run", str(tmp_path), "--name", "one"]
    command += ["--", "sh", "-c", script]
    first = subprocess.Popen(command)
    while not (tmp_path / "started").exists():
        time.sleep(0.1)
    first.kill()
    first.wait()
    try:
        second = subprocess.run(command, capture_output=True, text=True)
        assert second.returncode == 1 and "stage one still runs: process " in second.stderr, second.stderr
    finally:
        (tmp_path / "go").touch()
    for _ in range(50):
        third = subprocess.run(command, capture_output=True, text=True)
        if third.returncode == 0:
            return
    raise AssertionError(third.stderr)


def test_progress_is_the_last_whole_record_of_the_metrics(tmp_path):
    metrics = tmp_path / "metrics.jsonl"
    assert latest(metrics) == (0, "")
    filler = "x" * 30_000
    records = [{"step": i, "data": {"train/loss": i / 8, "text": filler}} for i in range(20)]
    metrics.write_text("".join(json.dumps(record) + "\n" for record in records) + '{"step": 20, "da')
    assert metrics.stat().st_size > METRICS_TAIL
    assert latest(metrics) == (19, "loss 2.375")
    metrics.write_text('{"step": 1, "data": {"train/loss": null}}\n')
    assert latest(metrics) == (1, "")
