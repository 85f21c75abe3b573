# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""A stage runs once, again when its command or an earlier stage changed, and resumes after an interruption."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from recipe.medgrpo.common.run_folder import RunDir
from recipe.medgrpo.stage import METRICS_TAIL, latest


def command_of(run, name, script, *options):
    command = [sys.executable, "-m", "recipe.medgrpo.stage", "--run", str(run), "--name", name, *options]
    return [*command, "--", *(script if isinstance(script, list) else ["sh", "-c", script])]


@pytest.fixture
def stage(tmp_path):
    def call(name, script, *options, run=tmp_path):
        return subprocess.run(command_of(run, name, script, *options), capture_output=True, text=True)

    return call


def until(condition, seconds=60):
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit
        time.sleep(0.1)


def test_runs_once_and_keeps_a_log_and_its_time(stage, tmp_path):
    script = f"echo hello; echo x >> '{tmp_path}/count'"
    assert stage("one", script).returncode == 0
    again = stage("one", script)
    assert again.returncode == 0 and "done before" in again.stdout
    assert (tmp_path / "count").read_text() == "x\n"
    assert (tmp_path / "logs/one.log").read_text() == "hello\n"
    assert RunDir(tmp_path).timings()["one"] > 0


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
    command = command_of(tmp_path, "one", script)
    first = subprocess.Popen(command)
    until((tmp_path / "started").exists)
    first.kill()
    first.wait()
    try:
        second = subprocess.run(command, capture_output=True, text=True)
        assert second.returncode == 1 and "stage one still runs: process " in second.stderr, second.stderr
    finally:
        (tmp_path / "go").touch()
    until(lambda: subprocess.run(command, capture_output=True).returncode == 0)


#: A driver like Ray's or torchrun's: its worker is in a session of its own, without its parent's files, and renamed.
DRIVER = """
import subprocess, sys, time
code = "import setproctitle, time; setproctitle.setproctitle('worker'); open('worker', 'a').write('x'); time.sleep(600)"
worker = subprocess.Popen([sys.executable, "-c", code], start_new_session=True)
open("pids", "w").write(f"{worker.pid}")
time.sleep(float(sys.argv[1]))
"""


def lives(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.fixture
def orphan(tmp_path):
    """A stage whose driver and the stage itself were killed; its worker lives on. Returns the worker's number."""
    run, script = tmp_path / "run", [sys.executable, "-c", DRIVER, "600"]
    first = subprocess.Popen(command_of(run, "rl", script), cwd=tmp_path)
    until((tmp_path / "worker").exists)
    first.kill()
    first.wait()
    # Not by the stage, which would end the worker too.
    driver = int((run / "logs/rl.lock").read_text().split()[1])
    os.kill(driver, signal.SIGKILL)
    until(lambda: not lives(driver))
    worker = int((tmp_path / "pids").read_text())
    yield worker
    if lives(worker):
        os.kill(worker, signal.SIGKILL)


def test_what_a_killed_driver_left_is_ended_before_the_next_start(stage, tmp_path, orphan):
    for other in (tmp_path / "other", shutil.copytree(tmp_path / "run", tmp_path / "copy")):
        assert stage("rl", "true", run=other).returncode == 0
    assert stage("evaluate", "true", run=tmp_path / "run").returncode == 0
    assert lives(orphan), "of another run, or of a copy, or of another stage"
    again = stage("rl", "true", run=tmp_path / "run")
    assert again.returncode == 0 and f"had left running: {orphan} (" in again.stdout
    assert not lives(orphan)


@pytest.mark.parametrize("status", [0, 3])
def test_a_driver_that_ends_leaves_no_worker(stage, tmp_path, monkeypatch, status):
    monkeypatch.chdir(tmp_path)
    driver = DRIVER.replace("time.sleep(float", "sys.exit(int")
    assert stage("rl", [sys.executable, "-c", driver, str(status)]).returncode == status
    assert not lives(int((tmp_path / "pids").read_text()))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_command_that_ignores_the_signal_is_killed(tmp_path, number, monkeypatch):
    monkeypatch.setenv("MEDGRPO_GRACE_S", "1")
    script = f"trap '' INT TERM; echo $$ > '{tmp_path}/pid'; touch '{tmp_path}/started'; while :; do sleep 1; done"
    # Without it a test run in the background would ignore SIGINT, and so would all that it starts.
    options = {"stderr": subprocess.PIPE, "text": True, "preexec_fn": lambda: signal.signal(number, signal.SIG_DFL)}
    running = subprocess.Popen(command_of(tmp_path, "one", script), **options)
    until((tmp_path / "started").exists)
    running.send_signal(number)
    _, error = running.communicate(timeout=60)
    assert running.returncode == 130 and "the same command resumes" in error
    assert not lives((tmp_path / "pid").read_text().strip())


@pytest.mark.parametrize("how", [shutil.move, shutil.copytree])
@pytest.mark.parametrize("name", ["a run", "o'clock"])
def test_a_run_that_was_moved_or_copied_is_the_same(stage, tmp_path, how, name):
    old, new = tmp_path / "x" / name, tmp_path / "y" / "elsewhere"

    def calls(run):
        hydra = str(run).replace("'", "\\'")
        out = run / "sft"
        count = f'echo x >> \'{tmp_path}/count\'; mkdir -p "$0"; echo 3 > "$0/latest_checkpointed_iteration.txt"'
        yield "sft", ["sh", "-c", count, str(out), f"dir='{hydra}/sft'"], "--after", "data", "--output", str(out)
        yield "rl", ["sh", "-c", count, f"{run}/rl", f"path='{hydra}/sft'"], "--after", "sft", "--costly", f"{run}/rl"

    rows = tmp_path / "rows"
    for run in (old, old, new, new):
        if run == new and not new.exists():
            new.parent.mkdir()
            how(old, new)
        script = ["sh", "-c", f'test ! -e "$0" && echo "$0" >> \'{rows}\' && touch "$0"', f"{run}/rows"]
        assert stage("data", script, "--rooted", "--output", f"{run}/rows", run=run).returncode == 0
        for name, script, *options in calls(run):
            done = stage(name, script, *options, run=run)
            assert done.returncode == 0, done.stderr
    assert (tmp_path / "count").read_text() == "x\nx\n"
    assert rows.read_text() == f"{old}/rows\n{new}/rows\n", "what names places of the old folder is made again"
    # A change is one all the same, and removes what is the run's own.
    (new / "sft/mark").touch()
    name, script, *options = next(calls(new))
    assert stage(name, [*script, "changed"], *options, run=new).returncode == 0 and not (new / "sft/mark").exists()


def test_training_that_reached_its_last_step_is_not_continued(stage, tmp_path):
    folder = tmp_path / "sft"
    options = "--metrics", str(folder), "--output", str(folder), "--total", "3"
    script = f"echo x >> '{tmp_path}/count'; echo 3 > '{folder}/latest_checkpointed_iteration.txt'; kill -9 $$"
    assert stage("sft", script, *options).returncode
    done = stage("sft", script, *options)
    assert done.returncode == 0 and "done before" in done.stdout
    RunDir(tmp_path).stage_record("sft").unlink()
    assert stage("sft", script, *options, "--accept").returncode == 0
    assert (tmp_path / "count").read_text() == "x\n"


@pytest.mark.parametrize("damage", ["missing", "", "[]", '{"key": "x"'])
@pytest.mark.parametrize("protection", ["--costly", "--output"])
def test_a_checkpoint_without_a_readable_record_is_refused(stage, tmp_path, damage, protection):
    folder, record = tmp_path / "rl", RunDir(tmp_path).stage_record("rl")
    options = protection, str(folder)
    script = f"mkdir -p '{folder}'; echo 2 > '{folder}/latest_checkpointed_iteration.txt'; echo x >> '{tmp_path}/count'"
    assert stage("rl", script, *options).returncode == 0
    record.unlink() if damage == "missing" else record.write_text(damage)
    refused = stage("rl", script + " # changed", *options)
    assert refused.returncode == 1 and "does not say whose" in refused.stderr
    assert (tmp_path / "count").read_text() == "x\n"
    assert stage("rl", script, *options, "--accept").returncode == 0


def test_a_lost_checkpoint_and_a_lost_output(stage, tmp_path):
    folder, count = tmp_path / "rl", f"echo x >> '{tmp_path}/count'"
    made = f"{count}; mkdir -p '{folder}'; touch '{folder}/latest_checkpointed_iteration.txt'"
    for option, again in (("--costly", None), ("--output", "x\nx\n")):
        assert stage(option[2:], made, option, str(folder)).returncode == 0
        shutil.rmtree(folder)
        done = stage(option[2:], made, option, str(folder))
        if again:
            assert done.returncode == 0 and (tmp_path / "count").read_text() == again
        else:
            assert done.returncode == 1 and "holds no checkpoint" in done.stderr
            (tmp_path / "count").unlink()


def test_two_stages_at_once_keep_both_records(tmp_path):
    scripts = {name: f"touch '{tmp_path}/{name}'; until [ -e '{tmp_path}/{other}' ]; do sleep 0.1; done"
               for name, other in (("a", "b"), ("b", "a"))}  # fmt: skip
    running = [subprocess.Popen(command_of(tmp_path, *one)) for one in scripts.items()]
    assert [one.wait(60) for one in running] == [0, 0]
    assert RunDir(tmp_path).timings().keys() == {"a", "b"}


def test_what_cannot_be_started_is_one_sentence(stage, tmp_path):
    done = stage("one", ["/no/such command"])
    assert done.returncode == 1 and done.stderr == "stage one: /no/such command: No such file or directory\n"
    (tmp_path / "file").touch()
    done = stage("one", "true", run=tmp_path / "file")
    assert done.returncode == 1 and done.stderr.count("\n") == 1 and "Not a directory" in done.stderr


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
