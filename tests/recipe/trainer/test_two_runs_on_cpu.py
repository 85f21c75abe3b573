# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Two runs on one machine, each with a Ray of its own: their weights go through sockets of their own."""

import subprocess
import sys

RUN = """
import sys
from types import SimpleNamespace
import ray
import verl
from configuration import composed
from verl.workers.config import RolloutConfig
from verl.workers.rollout.replica import RolloutMode
from verl.workers.rollout.vllm_rollout.utils import vLLMColocateWorkerExtension
from verl.workers.rollout.vllm_rollout.vllm_async_server import vLLMHttpServer
from verl.workers.rollout.vllm_rollout.vllm_rollout import ServerAdapter

ray.init(address="local", num_cpus=1, include_dashboard=False)
path = f"actor_rollout_ref.model.path='{sys.argv[1]}'"
config = composed("platform=cpu", "data.train_files=t", "data.val_files=v", "medgrpo.reward.artifact=a", path)
config = config.actor_rollout_ref
vLLMHttpServer(config.rollout, config.model, RolloutMode.HYBRID, [], 0, 0, 1, 1, "")
sender = ServerAdapter(RolloutConfig(name="vllm", tensor_model_parallel_size=1), None, None)
worker = SimpleNamespace(model_runner=None, local_rank=0)
print("sockets", sender.zmq_handle, vLLMColocateWorkerExtension._get_zmq_handle(worker), flush=True)
input()
"""


def test_each_run_has_sockets_of_its_own_and_both_ends_agree(tiny_model, monkeypatch, request):
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("RAY_LOCAL_WORLD_SIZE", "1")
    monkeypatch.setenv("PYTHONPATH", "tests/helpers")
    command = [sys.executable, "-c", RUN, tiny_model]
    runs = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=request.config.rootpath)
        for _ in range(2)
    ]
    ends = [next(line for line in run.stdout if line.startswith("sockets ")).split()[1:] for run in runs]
    for run in runs:
        run.communicate("\n")
    assert all(sender == receiver for sender, receiver in ends)
    assert ends[0] != ends[1]
    # The address of a socket in the file system may have 107 characters.
    assert all(len(name.removeprefix("ipc://")) < 100 for name, _ in ends)
