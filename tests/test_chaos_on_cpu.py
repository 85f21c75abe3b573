# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""One RL stage that loses its judge, its frames, a worker, its disk and its driver in turn, and then completes.

Real verl, real vLLM, real signals; the full disk is the kernel's own, ``/dev/full``. An undisturbed run of the same
command says which prompts each step has.
"""

import os
import re
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from judge_server import JudgeServer, verdict
from small_run import command

from recipe.medgrpo.common.processes import mark_of, signal_all
from recipe.medgrpo.common.run_folder import RunDir, read_jsonl
from recipe.medgrpo.report.run_data import read_metrics

pytestmark = pytest.mark.slow

BATCH, GROUP, STEPS, MINUTES = 8, 2, 10, 60
OVERRIDES = (
    "judge=openai",
    f"data.train_batch_size={BATCH}",
    "data.max_response_length=24",
    # Each step reads its frames from the disk.
    "data.media.memory_gb=0",
    "actor_rollout_ref.rollout.n=2",
    # A step without its captions still has something to train on.
    "medgrpo.reward.reward_tasks=[tag,stg,vs,rc]",
    "medgrpo.reward.judge.cache=null",
    "medgrpo.reward.judge.deadline=10",
    "medgrpo.reward.judge.backoff=0.2",
    "medgrpo.reward.judge.breaker_cooldown=1",
    f"trainer.total_training_steps={STEPS}",
    "trainer.save_freq=1",
    "trainer.max_actor_ckpt_to_keep=2",
)


class Stage:
    """The stage ``rl`` of a run folder, start after start, as the run scripts start it."""

    def __init__(self, root: Path, drawn: Path, model: Path, judge: str) -> None:
        self.run, self.log = RunDir(root), root / "logs/rl.log"
        root.mkdir()
        options = "--costly", self.run.rl, "--metrics", self.run.rl, "--total", STEPS
        stage = sys.executable, "-m", "recipe.medgrpo.stage", "--run", root, "--name", "rl", *options, "--"
        self.command = [str(word) for word in (*stage, *command(drawn, model, self.run.rl, *OVERRIDES))]
        self.environment = {**os.environ, "OPENAI_BASE_URL": judge, "OPENAI_API_KEY": "sk-of-this-test"}
        self.limit = time.monotonic() + 60 * MINUTES

    def start(self) -> None:
        self.before = self.log.stat().st_size if self.log.exists() else 0
        self.process = subprocess.Popen(
            self.command, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def said(self) -> str:
        """The log of this start."""
        return self.log.read_bytes()[self.before :].decode(errors="replace")

    def wait_for_step(self, step: int) -> None:
        """Until a step is over: verl saves its checkpoint, dumps its answers and then logs it."""
        while step not in read_metrics(self.run.metrics_files()):
            assert self.process.poll() is None, self.said()[-5000:]
            assert time.monotonic() < self.limit, self.said()[-5000:]
            time.sleep(0.01)

    def end(self) -> tuple[int, str, str]:
        """Exit status of this start, its log, and what it printed."""
        printed, _ = self.process.communicate(timeout=max(1, self.limit - time.monotonic()))
        return self.process.returncode, self.said(), printed

    def checkpoint(self) -> int:
        return int((self.run.rl / "latest_checkpointed_iteration.txt").read_text())

    def pid_of(self, words: str) -> int:
        """A process of this start by its command line."""
        for process in psutil.Process(self.process.pid).children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                if " ".join(process.cmdline()).startswith(words):
                    return process.pid
        raise LookupError(words)

    def alive(self) -> dict[int, str]:
        return signal_all(mark_of(self.run.root, "rl"), 0)

    def rows(self, step: int) -> set[int]:
        """The rows whose answers were scored in a step."""
        return {line["index"] for line in read_jsonl(self.run.scores / f"{step}.jsonl", "the sampler")}


def without_frames(stage: Stage, frames: Path) -> dict:
    """Frames are gone while the stage runs."""
    stage.wait_for_step(3)
    away = frames.rename(frames.with_name("taken away"))
    try:
        status, log, _ = stage.end()
    finally:
        away.rename(frames)
    return {"status": status, "log": log, "checkpoint": stage.checkpoint(), "alive": stage.alive()}


def without_a_worker(stage: Stage) -> dict:
    """verl's worker of model and optimizer is killed between two steps."""
    stage.start()
    stage.wait_for_step(stage.checkpoint() + 1)
    before = stage.checkpoint()
    psutil.Process(stage.pid_of("ray::WorkerDict")).kill()
    status, log, _ = stage.end()
    return {"status": status, "log": log, "before": before, "checkpoint": stage.checkpoint(), "alive": stage.alive()}


def without_disk(stage: Stage) -> dict:
    """Nothing more can be written to the next checkpoint's file of weights."""
    before = stage.checkpoint()
    weights = stage.run.rl / f"global_step_{before + 1}/actor/model_world_size_1_rank_0.pt"
    weights.parent.mkdir(parents=True)
    weights.symlink_to("/dev/full")
    stage.start()
    status, log, _ = stage.end()
    weights.unlink()
    return {"status": status, "log": log, "before": before, "checkpoint": stage.checkpoint(), "alive": stage.alive()}


def without_driver(stage: Stage) -> dict:
    """SIGKILL to the stage and to the trainer's driver; Ray's and vLLM's processes are left."""
    stage.start()
    stage.wait_for_step(stage.checkpoint() + 1)
    driver = psutil.Process(stage.pid_of(f"{sys.executable} -m recipe.medgrpo.main_medgrpo"))
    stage.process.kill()
    driver.kill()
    status, *_ = stage.end()
    # The stage's lock is the driver's, too, until it is gone.
    driver.wait(60)
    return {"status": status, "alive": stage.alive()}


@pytest.fixture(scope="module")
def undisturbed(drawn, tiny_model, tmp_path_factory) -> Stage:
    with JudgeServer(verdict(4)) as server:
        stage = Stage(tmp_path_factory.mktemp("calm") / "run", drawn, tiny_model, server.url)
        stage.start()
        status, log, _ = stage.end()
    assert status == 0, log[-5000:]
    return stage


@pytest.fixture(scope="module")
def ends(drawn, tiny_model, tmp_path_factory) -> dict:
    """What each fault led to, and how the stage ended after all of them."""
    with JudgeServer(verdict(4)) as server:
        stage = Stage(tmp_path_factory.mktemp("chaos") / "run", drawn, tiny_model, server.url)
        stage.start()
        stage.wait_for_step(1)
    # Nobody answers from here on, until this step is over.
    stage.wait_for_step(2)
    with JudgeServer(verdict(4), port=server.port):
        found = {"stage": stage, "frames": without_frames(stage, drawn.parent / "world/frames")}
        found |= {"worker": without_a_worker(stage), "disk": without_disk(stage), "driver": without_driver(stage)}
        stage.start()
        status, log, printed = stage.end()
    found["last"] = {"status": status, "log": log, "printed": printed, "alive": stage.alive()}
    return found


def test_the_run_goes_on_without_its_judge_and_says_what_it_lost(ends):
    steps = read_metrics(ends["stage"].run.metrics_files())
    assert steps[2]["judge/fail_rate"] > 0 < steps[2]["medgrpo/dropped_judge"]
    assert all(one["medgrpo/dropped_trajectories"] == 0 for step, one in steps.items() if step != 2)


def test_lost_frames_stop_the_run_at_once_with_a_files_name(ends):
    found = ends["frames"]
    assert found["status"] not in (0, None) and found["checkpoint"] in (3, 4) and not found["alive"]
    assert re.search(r"the run stops: step \d: .*world/frames/.*\.jpg.*lost to media", found["log"])


#: What Ray says of a worker that is gone, and torch of a file that it cannot write on.
MESSAGES = {"worker": "ActorDiedError", "disk": "inline_container"}


@pytest.mark.parametrize("fault", MESSAGES)
def test_a_killed_worker_and_a_full_disk_end_the_start_and_leave_the_last_checkpoint(ends, fault):
    found = ends[fault]
    assert found["status"] not in (0, None) and found["checkpoint"] == found["before"] and not found["alive"]
    assert MESSAGES[fault] in found["log"], found["log"][-5000:]


def test_what_a_killed_driver_left_is_ended_by_the_next_start(ends):
    left = ends["driver"]
    assert left["status"] == -9 and left["alive"]
    assert "ended what its last start had left running" in ends["last"]["printed"]


def test_the_run_completes_with_the_prompts_of_an_undisturbed_one(ends, undisturbed):
    last, stage = ends["last"], ends["stage"]
    assert last["status"] == 0 and not last["alive"], last["log"][-5000:]
    assert stage.checkpoint() == STEPS
    for step in range(1, STEPS + 1):
        asked = undisturbed.rows(step)
        assert len(asked) == BATCH
        # Captions without a verdict have no score.
        assert stage.rows(step) < asked if step == 2 else stage.rows(step) == asked, step
