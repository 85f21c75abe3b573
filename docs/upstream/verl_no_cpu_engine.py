# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""verl: neither a platform nor an FSDP engine is registered for the CPU, although `EngineRegistry` names "cpu"."""

import os
import sys

# verl and vLLM as released: no installed plugin, external module or platform may change them; no GPU is used.
STOCK = ("VERL_USE_EXTERNAL_MODULES", "VERL_PLATFORM", "VLLM_PLUGINS", "CUDA_VISIBLE_DEVICES")
os.environ.update({"VERL_USE_EXTERNAL_PLUGINS": "none", **dict.fromkeys(STOCK, "")})
os.environ["VERL_ENGINE_DEVICE"] = "cpu"

import verl.workers.engine.fsdp.transformer_impl  # noqa: E402, F401  (registers the FSDP engines)
from verl.plugin.platform import PlatformRegistry  # noqa: E402
from verl.workers.engine import EngineRegistry  # noqa: E402

platforms = PlatformRegistry.registered_names()
print(f"platforms: {', '.join(platforms)}")
try:
    engine = EngineRegistry.get_engine_cls("language_model", "fsdp2")
except (AssertionError, KeyError, ValueError) as error:
    print(f"FSDP2 on the CPU: {type(error).__name__}: {error}")
    sys.exit(1)
print(f"FSDP2 on the CPU: {engine.__name__}")
sys.exit("cpu" not in platforms)
