# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Two real RL steps at the smallest size: greedy, so that runs that differ in how the work is done answer alike."""

import json
import os
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import psutil
from safetensors.torch import load_file, save_file

from recipe.medgrpo.common.run_folder import read_jsonl

BATCH, GROUP, STEPS, MINUTES = 4, 2, 2, 15
#: Not greedy: probabilities of all sizes are compared.
SAMPLED = "actor_rollout_ref.rollout.top_k=-1"


def command(drawn: Path, model: Path, run: Path, *overrides: str) -> list[str]:
    return [
        *(sys.executable, "-m", "recipe.medgrpo.main_medgrpo", "platform=cpu"),
        f"data.train_files='{drawn}/train.parquet'",
        f"data.val_files='{drawn}/val.parquet'",
        f"data.train_batch_size={BATCH}",
        "data.max_prompt_length=256",
        "data.max_response_length=16",
        "data.seed=0",
        f"actor_rollout_ref.model.path='{model}'",
        "actor_rollout_ref.actor.ppo_max_token_len_per_gpu=2048",
        "actor_rollout_ref.actor.optim.lr=1e-3",
        f"actor_rollout_ref.rollout.n={GROUP}",
        "actor_rollout_ref.rollout.max_model_len=288",
        "actor_rollout_ref.rollout.max_num_seqs=8",
        # Greedy, at the temperature that the trainer divides by.
        "actor_rollout_ref.rollout.top_k=1",
        # Equal answers leave a group nothing to learn from; the batch does.
        "algorithm.adv_estimator=reinforce_plus_plus",
        # Captions earn similarity even from a random model; the formats of the other tasks would all be 0.
        "medgrpo.reward.reward_tasks=[vs,rc]",
        # A random model seldom ends an answer; cut captions would all be 0.
        "medgrpo.reward.overlong_buffer=0",
        "medgrpo.reward.artifact=null",
        "medgrpo.reward.normalization=none",
        "medgrpo.alarm.action=warn",
        f"trainer.total_training_steps={STEPS}",
        "trainer.total_epochs=100",
        "trainer.save_freq=-1",
        f"trainer.default_local_dir='{run}'",
        f"hydra.run.dir='{run}'",
        *overrides,
    ]


def sharpen(model) -> None:
    """Eight times the logits: a small random model finds all tokens alike, and so would hardly show a difference."""
    file = model / "model.safetensors"
    weights = load_file(file)
    [norm] = weights.keys() & {"model.language_model.norm.weight", "model.norm.weight"}
    # Of ones, or of zeros to which Qwen3.5 adds one.
    weights[norm] += 7
    save_file(weights, file, metadata={"format": "pt"})


@contextmanager
def peak_memory(figures: dict):
    """Most memory in use on this machine beyond what was in use before, in GiB, at ``figures["gib"]``."""
    before, end = psutil.virtual_memory().available, threading.Event()
    figures["gib"] = 0.0

    def watch():
        while not end.wait(0.5):
            figures["gib"] = max(figures["gib"], (before - psutil.virtual_memory().available) / 2**30)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        end.set()
        thread.join()


def train(run: Path, arguments: list[str], **environment: str) -> dict:
    """Figures and rollouts by step of a run that ended well, and its peak memory."""
    run.mkdir(parents=True, exist_ok=True)
    memory, started = {}, time.monotonic()
    log = run / "log.txt"
    with peak_memory(memory), log.open("w") as output:
        own = {"env": {**os.environ, **environment}, "timeout": 60 * MINUTES}
        process = subprocess.run(arguments, stdout=output, stderr=subprocess.STDOUT, **own)
    memory["seconds"] = time.monotonic() - started
    (run / "memory.json").write_text(json.dumps(memory))
    assert process.returncode == 0, log.read_text(errors="replace")[-5000:]
    metrics = {
        one["step"]: one["data"]
        for file in run.glob("metrics*.jsonl")
        for one in read_jsonl(file, "verl", cut_tail_allowed=True)
    }
    dumps = {step: read_jsonl(run / f"rollouts/{step}.jsonl", "verl") for step in range(1, STEPS + 1)}
    rollouts = {step: sorted((one["input"], one["output"], one["score"]) for one in own) for step, own in dumps.items()}
    return {"metrics": metrics, "rollouts": rollouts, **memory}
