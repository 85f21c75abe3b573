# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""The same two steps on one rank, on two FSDP ranks of one node, and on one rank on each of two Ray nodes.

Answers are greedy and advantages are taken over the whole batch, so that every run must answer, score and update alike:
what differs is the number of processes that share the work. Two ranks have one vLLM replica, split over them by tensor
parallelism, and share each sequence (sequence parallelism); two nodes share the batch.
"""

import json
import os
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from recipe.medgrpo.common.run_folder import read_jsonl

pytestmark = pytest.mark.e2e

REPOSITORY = Path(__file__).resolve().parents[1]
BATCH, GROUP, STEPS, MINUTES = 4, 2, 2, 15
#: Of these machines' 24 GiB; Ray stops workers at 95%.
MEMORY_GIB = 22

#: Two vLLM workers on two cores must not both bind to the first.
THREADS = {"VLLM_CPU_OMP_THREADS_BIND": "nobind", "OMP_NUM_THREADS": "1"}


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


TWO_RANKS = (
    "actor_rollout_ref.actor.fsdp_config.ulysses_sequence_parallel_size=2",
    "actor_rollout_ref.rollout.tensor_model_parallel_size=2",
    "actor_rollout_ref.rollout.engine_kwargs.vllm.distributed_executor_backend=mp",
)


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
        process = subprocess.run(
            arguments,
            env={**os.environ, **THREADS, **environment},
            stdout=output,
            stderr=subprocess.STDOUT,
            timeout=60 * MINUTES,
        )
    memory["seconds"] = time.monotonic() - started
    (run / "memory.json").write_text(json.dumps(memory))
    assert process.returncode == 0, log.read_text(errors="replace")[-5000:]
    metrics = {
        one["step"]: one["data"]
        for file in run.glob("metrics*.jsonl")
        for one in read_jsonl(file, "verl", cut_tail_allowed=True)
    }
    rollouts = {
        step: sorted((one["input"], one["output"], one["score"]) for one in read_jsonl(file, "verl"))
        for step in range(1, STEPS + 1)
        for file in [run / f"rollouts/{step}.jsonl"]
    }
    return {"metrics": metrics, "rollouts": rollouts, **memory}


@pytest.fixture(scope="module")
def one_rank(drawn, tiny_model, tmp_path_factory) -> dict:
    run = tmp_path_factory.mktemp("one_rank")
    return train(run, command(drawn, tiny_model, run))


@pytest.fixture(scope="module")
def two_ranks(drawn, tiny_model, tmp_path_factory) -> dict:
    run = tmp_path_factory.mktemp("two_ranks")
    overrides = ("trainer.n_gpus_per_node=2", "ray_kwargs.ray_init.num_gpus=2", *TWO_RANKS)
    return train(run, command(drawn, tiny_model, run, *overrides))


@pytest.fixture(scope="module")
def two_nodes(request, drawn, tiny_model, tmp_path_factory) -> dict:
    from ray.cluster_utils import Cluster

    run = tmp_path_factory.mktemp("two_nodes")
    # verl asks for three processors of each node at once; its helpers must fit beside them wherever Ray puts them.
    node = {"num_cpus": 8, "num_gpus": 1, "object_store_memory": 200 * 2**20, "include_dashboard": False}
    with pytest.MonkeyPatch.context() as environment:
        # Ray's workers get the environment of the raylets, not the driver's.
        for name, value in THREADS.items():
            environment.setenv(name, value)
        cluster = Cluster(initialize_head=True, head_node_args=node)
        request.addfinalizer(cluster.shutdown)
        cluster.add_node(**node)
        overrides = (
            "trainer.nnodes=2",
            "trainer.n_gpus_per_node=1",
            # The cluster knows its own resources.
            "ray_kwargs.ray_init.num_cpus=null",
            "ray_kwargs.ray_init.num_gpus=null",
        )
        return train(run, command(drawn, tiny_model, run, *overrides), RAY_ADDRESS=cluster.address)


def check_alike(many: dict, one: dict) -> None:
    assert sorted(many["metrics"]) == sorted(one["metrics"]) == list(range(1, STEPS + 1))
    for step in range(1, STEPS + 1):
        assert len(one["rollouts"][step]) == BATCH * GROUP
        assert [entry[:2] for entry in many["rollouts"][step]] == [entry[:2] for entry in one["rollouts"][step]], step
        scores = [[entry[2] for entry in run["rollouts"][step]] for run in (many, one)]
        assert scores[0] == pytest.approx(scores[1], abs=1e-5), step
        assert len(set(scores[1])) > 1, "nothing to learn from: the comparison would be empty"
        for key in ("actor/pg_loss", "actor/entropy"):
            assert many["metrics"][step][key] == pytest.approx(one["metrics"][step][key], rel=1e-3, abs=1e-5), (
                step,
                key,
            )
        assert many["metrics"][step]["actor/grad_norm"] == pytest.approx(
            one["metrics"][step]["actor/grad_norm"], rel=1e-2
        )
        assert one["metrics"][step]["actor/grad_norm"] > 0
    assert many["gib"] < MEMORY_GIB


def test_two_ranks_are_one_rank(one_rank, two_ranks):
    check_alike(two_ranks, one_rank)


def test_two_nodes_are_one_rank(one_rank, two_nodes):
    check_alike(two_nodes, one_rank)
