# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Who gets the plugin's patches: this recipe's processes, and nobody else; and one patch in a whole worker."""

import ast
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from recipe.medgrpo import PLUGIN

pytestmark = pytest.mark.skipif(os.environ.get("VERL_PLATFORM") != "cpu", reason="VERL_PLATFORM=cpu is not set")

#: Imports all that this recipe changes, and prints what of it is this recipe's own; without verl's rollout of vLLM,
#: which stock verl cannot import on a CPU.
OWN = """
import importlib, os, verl
from vllm.plugins import load_general_plugins
load_general_plugins()
from vllm import ModelRegistry
from recipe.medgrpo.plugin import PATCHES

def own(thing):
    return "recipe/medgrpo" in getattr(getattr(thing, "__code__", None), "co_filename", "")

found = set()
if ModelRegistry.models["Qwen2_5_VLForConditionalGeneration"].module_name.startswith("recipe"):
    found.add("vllm")
for name in {name for name, _ in PATCHES if ".vllm_rollout." not in name}:
    module = importlib.import_module(name)
    classes = [thing for thing in vars(module).values() if isinstance(thing, type)]
    if any(own(thing) for owner in (module, *classes) for thing in vars(owner).values()):
        found.add(name)
print("own:", *sorted(found))
"""


def test_others_verl_and_vllm_are_untouched():
    """Installing the recipe changes nobody else's runs in the same environment."""
    others = {name: value for name, value in os.environ.items() if name not in (PLUGIN, "VERL_PLATFORM")}
    result = subprocess.run([sys.executable, "-c", OWN], env=others, capture_output=True, text=True)
    assert result.stdout.splitlines()[-1:] == ["own:"], result.stderr[-3000:]
    ours = subprocess.run([sys.executable, "-c", OWN], capture_output=True, text=True)
    found = set(ours.stdout.splitlines()[-1].split()[1:])
    assert {"vllm", "verl.utils.tokenizer.tokenizer", "verl.workers.engine_workers"} <= found, ours.stderr[-3000:]


#: Builds verl's own actor of a model, trains nothing, and prints which parts would get gradients.
FROZEN = """
import os, sys
os.environ |= {"RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0", "MASTER_ADDR": "127.0.0.1"}
os.environ["MASTER_PORT"] = sys.argv[2]
sys.path.insert(0, sys.argv[3])
from configuration import composed
from verl.workers.engine_workers import ActorRolloutRefWorker
model = f"actor_rollout_ref.model.path='{sys.argv[1]}'"
config = composed("platform=cpu", "data.train_files=t", "data.val_files=v", model, "medgrpo.reward.artifact=a",
                  "actor_rollout_ref.actor.freeze_vision_tower=true").actor_rollout_ref
for build in (ActorRolloutRefWorker.init_model, ActorRolloutRefWorker.init_model.__wrapped__):
    worker = ActorRolloutRefWorker(config=config, role="actor")
    build(worker)
    parameters = worker.actor.engine.module.named_parameters()
    print("gradients:", {(".visual." in f".{name}", parameter.requires_grad) for name, parameter in parameters})
"""


def test_the_vision_tower_can_be_frozen(tiny_model):
    """As for a run with actor.freeze_vision_tower=true, through verl's worker and FSDP; then as stock verl has it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    helpers = str(Path(__file__).parents[1] / "helpers")
    code = [sys.executable, "-c", FROZEN, str(tiny_model), port, helpers]
    result = subprocess.run(code, capture_output=True, text=True)
    said = [line.removeprefix("gradients: ") for line in result.stdout.splitlines() if line.startswith("gradients: ")]
    assert len(said) == 2, result.stderr[-3000:]
    frozen, stock = said
    assert ast.literal_eval(frozen) == {(True, False), (False, True)}, result.stderr[-3000:]
    assert ast.literal_eval(stock) == {(True, True), (False, True)}, "verl freezes it: freeze_vision_tower can go"
