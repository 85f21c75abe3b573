# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""verl: a vLLM worker on the CPU cannot close the shared memory through which it received weights.

`BucketedWeightReceiver` moves each weight to its device with `.to(device)`; on the CPU that makes no copy, so the
loaded weights still view the memory that is then closed.
"""

import importlib.util
import os
import sys
from multiprocessing import shared_memory

# verl and vLLM as released: no installed plugin, external module or platform may change them; no GPU is used.
STOCK = ("VERL_USE_EXTERNAL_MODULES", "VERL_PLATFORM", "VLLM_PLUGINS", "CUDA_VISIBLE_DEVICES")
os.environ.update({"VERL_USE_EXTERNAL_PLUGINS": "none", **dict.fromkeys(STOCK, "")})

import torch  # noqa: E402
import verl  # noqa: E402

# By its path: the package around it needs a distribution named vllm, which the CPU build is not.
path = os.path.join(verl.__path__[0], "workers/rollout/vllm_rollout/bucketed_weight_transfer.py")
spec = importlib.util.spec_from_file_location("bucketed_weight_transfer", path)
transfer = importlib.util.module_from_spec(spec)
spec.loader.exec_module(transfer)

memory = shared_memory.SharedMemory(create=True, size=8)
buffer, received = transfer.rebuild_shared_memory(memory.name, 8)
weight = buffer[0:4].to(torch.device("cpu"))  # as receive_weights does with use_shm
del buffer
try:
    received.close()
    fault = None
except BufferError as error:
    fault = error
print(f"closing the shared memory after a weight was received: {fault or 'no error'}")
del weight
received.close()
memory.close()
memory.unlink()
sys.exit(fault is not None)
