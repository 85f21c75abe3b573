# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""vLLM's GPU wheel, read but not run: its Python code is that of the CPU build, on which the other tests run, and has
all that the plugin, `medgrpo generate` and verl's server ask of it.

The wheel is fetched once (279 MB): ``pytest -m slow tests/requirements/test_gpu_wheel.py``.
"""

import ast
import importlib.util
from pathlib import Path

import pytest
import yaml
from python_sources import Sources, files_of, literal_keys, wheel

pytestmark = pytest.mark.slow

REPOSITORY = Path(__file__).resolve().parents[2]
SITE = Path(importlib.util.find_spec("vllm").origin).parents[1]
MODEL_INPUTS = REPOSITORY / "recipe/medgrpo/model_inputs"
OURS = (*sorted(MODEL_INPUTS.glob("vllm_*.py")), REPOSITORY / "recipe/medgrpo/plugin.py")
ENGINES = REPOSITORY / "recipe/medgrpo/evaluation/engines.py"
ROLLOUT = SITE / "verl/workers/rollout/vllm_rollout"
#: The version, and where the CPU build answers to a distribution's name of its own.
OTHERS = {"vllm/_version.py", "vllm/platforms/__init__.py"}
#: Kernels for GPUs, which the CPU build leaves out.
KERNELS = ("vllm/third_party/", "vllm/vllm_flash_attn/")


@pytest.fixture(scope="module")
def gpu():
    return files_of(wheel("vllm", REPOSITORY / "requirements/gpu.txt"))


def parse(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


def imports(tree: ast.Module) -> list[tuple[str, str]]:
    """Names of vLLM that a module takes, unless it is ready for their absence."""
    tried = {id(node) for each in ast.walk(tree) if isinstance(each, ast.Try) for node in ast.walk(each)}
    return [
        (node.module, alias.name)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "vllm" and id(node) not in tried
        for alias in node.names
    ]


def lost_names(sources: Sources, files: list[Path]) -> set[str]:
    wanted = {pair for file in files for pair in imports(parse(file))}
    return {f"{module}.{name}" for module, name in wanted if not sources.find(module, name)}


def lost_methods(sources: Sources, file: Path) -> set[str]:
    """What our classes override, or call on themselves, and vLLM's do not have, or have with other arguments."""
    tree, lost = parse(file), set()
    homes = {name: module for module, name in imports(tree)}
    for cls in (node for node in tree.body if isinstance(node, ast.ClassDef)):
        inherited = {}
        for base in cls.bases:
            home = sources.find(homes[base.id], base.id)
            inherited |= sources.members(*home) if home else {}
        own = {node.name: node for node in cls.body if isinstance(node, ast.FunctionDef)}
        for name, node in own.items():
            theirs = inherited.get(name)
            taken, any_other = sources.arguments(node)
            if theirs is None or not (any_other or taken == sources.arguments(theirs)[0]):
                lost.add(f"{cls.name}.{name}")
        for node in ast.walk(cls):
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) in ("self", "super()"):
                if node.attr not in inherited | own:
                    lost.add(f"{cls.name}: {ast.unparse(node)}")
    return lost


def lost_arguments(sources: Sources, file: Path) -> set[str]:
    """Keywords of calls of vLLM's classes, and of methods of its registries, that these do not take."""
    tree, lost = parse(file), set()
    homes = {name: sources.find(module, name) for module, name in imports(tree)}
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        name, *method = ast.unparse(call.func).split(".")
        if not homes.get(name) or len(method) > 1:
            continue
        module, cls = homes[name]
        if isinstance(cls, ast.Assign | ast.AnnAssign):
            module, cls = sources.find(module, cls.value.func.id)
        taken, any_other = sources.arguments_of(module, cls, *(method or ["__init__"]))
        if name == "LLM":
            # The rest of its arguments are the engine's.
            taken, any_other = taken | fields(sources, "vllm.engine.arg_utils", "EngineArgs"), False
        elif any_other and not method:
            # A class whose fields are its arguments.
            taken, any_other = set(sources.members(module, cls)), False
        if not any_other:
            lost |= {f"{'.'.join([name, *method])}({key}=)" for key in literal_keys(call) - taken}
    return lost


def fields(sources: Sources, module: str, cls: str) -> set[str]:
    return set(sources.members(*sources.find(module, cls)))


def server_keys() -> set[str]:
    """Keys that verl hands to ``vllm serve``, ours of engine_kwargs among them."""
    tree = parse(ROLLOUT / "vllm_async_server.py")
    launch = next(node for node in ast.walk(tree) if getattr(node, "name", None) == "launch_server")
    keys = set()
    for node in ast.walk(launch):
        match node:
            case ast.Assign(targets=[ast.Name(id="args" | "dp_args" | "lora_args")]):
                keys |= literal_keys(node.value)
            case ast.Call(func=ast.Attribute(value=ast.Name(id="args"), attr="update")):
                keys |= literal_keys(node)
            case ast.Assign(targets=[ast.Subscript(value=ast.Name(id="args"), slice=ast.Constant(value=key))]):
                keys.add(key)
    for file in (REPOSITORY / "recipe/medgrpo/config").rglob("*.yaml"):
        rollout = ((yaml.safe_load(file.read_text()) or {}).get("actor_rollout_ref") or {}).get("rollout") or {}
        keys |= set((rollout.get("engine_kwargs") or {}).get("vllm") or {})
    return keys


def lost_keys(sources: Sources) -> set[str]:
    """Keys that are neither a flag of the engine nor of the server."""
    flags = {
        node.value.removeprefix("--").replace("-", "_")
        for node in ast.walk(sources.tree("vllm.engine.arg_utils"))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith("--")
    }
    return server_keys() - flags - fields(sources, "vllm.entrypoints.openai.cli_args", "FrontendArgs")


def lost(files: dict[str, bytes]) -> set[str]:
    """Everything that is asked of these sources and is not there."""
    sources = Sources(files)
    found = lost_names(sources, [*OURS, ENGINES, *sorted(ROLLOUT.glob("vllm_*.py")), ROLLOUT / "utils.py"])
    for file in OURS:
        found |= lost_methods(sources, file) | lost_arguments(sources, file)
    return found | lost_arguments(sources, ENGINES) | lost_keys(sources)


def test_the_code_is_that_of_the_cpu_build(gpu):
    python = {name: content for name, content in gpu.items() if not name.startswith(KERNELS)}
    here = {name: (SITE / name).read_bytes() if (SITE / name).exists() else None for name in python}
    assert {name for name in python if python[name] != here[name]} == OTHERS and len(python) > 1500


def test_all_that_is_asked_for_is_there(gpu):
    assert {"max_model_len", "enable_sleep_mode", "max_lora_rank", "skip_mm_profiling"} < server_keys()
    assert lost(gpu) == set()


@pytest.mark.parametrize(
    ("file", "before", "after", "found"),
    [
        ("entrypoints/llm.py", "class LLM(", "class Engine(", "vllm.LLM"),
        ("engine/arg_utils.py", "    skip_mm_profiling:", "    skip_profiling:", "LLM(skip_mm_profiling=)"),
        ("engine/arg_utils.py", '"--max-lora-rank"', '"--lora-rank"', "max_lora_rank"),
        (
            "multimodal/registry.py",
            "dummy_inputs:",
            "dummies:",
            "MULTIMODAL_REGISTRY.register_processor(dummy_inputs=)",
        ),
        ("multimodal/parse.py", "video_needs_metadata:", "metadata:", "MultiModalDataParser(video_needs_metadata=)"),
        ("multimodal/processing/context.py", "_get_expected_hidden_size", "_width", "self._get_expected_hidden_size"),
        ("model_executor/models/qwen2_5_vl.py", "class Qwen2_5_VLMultiModalProcessor(", "class P(", "ModalProcessor"),
    ],
)
def test_what_is_missing_is_found(gpu, file, before, after, found):
    files = {**gpu, f"vllm/{file}": gpu[f"vllm/{file}"].replace(before.encode(), after.encode())}
    assert files[f"vllm/{file}"] != gpu[f"vllm/{file}"]
    assert any(found in name for name in lost(files)), lost(files)
