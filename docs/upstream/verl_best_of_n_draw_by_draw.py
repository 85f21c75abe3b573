# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""verl: validation of several answers per row calls numpy 2,000 times for each row and each value of the reward.

Best and worst of n are estimated by 1,000 draws of n answers, and each draw is reduced by a call of its own.
"""

import os
import sys
import time
from unittest import mock

import numpy as np

# verl and vLLM as released: no installed plugin, external module or platform may change them; no GPU is used.
STOCK = ("VERL_USE_EXTERNAL_MODULES", "VERL_PLATFORM", "VLLM_PLUGINS", "CUDA_VISIBLE_DEVICES")
os.environ.update({"VERL_USE_EXTERNAL_PLUGINS": "none", **dict.fromkeys(STOCK, "")})

from verl.trainer.ppo.metric_utils import process_validation_metrics  # noqa: E402

VALUES = 20
answers = {f"value_{i}": [0.25, 0.75] for i in range(VALUES)}
with mock.patch.object(np, "max", wraps=np.max) as largest:
    start = time.perf_counter()
    process_validation_metrics(["source"] * 2, ["row"] * 2, answers)
    seconds = time.perf_counter() - start
calls = largest.call_count / VALUES
print(f"a row of two answers and {VALUES} values: {seconds:.2f} s; np.max was called {calls:.0f} times for a value")
sys.exit(calls > 10)
