# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Three ways to use an exported model answer alike: `medgrpo generate`, transformers, and a vLLM server.

The model's queries and keys are enlarged, so that its answers depend on when its frames were taken.
"""

import importlib.util
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_preprocess.schema import ROW_SCHEMA
from recipe.medgrpo import cli
from recipe.medgrpo.common.run_folder import RunDir
from recipe.medgrpo.export.checkpoint import merge_adapters

pytestmark = pytest.mark.e2e

TOKENS = 24
START = "from vllm.entrypoints.cli.main import main; main()"


@pytest.fixture(scope="module")
def exported(tiny_model, drawn, tmp_path_factory):
    """The tiny model as a checkpoint of a run, exported."""
    from safetensors.torch import load_file, save_file

    run = RunDir(tmp_path_factory.mktemp("run"))
    folder = run.rl / "global_step_1" / "actor" / "huggingface"
    shutil.copytree(tiny_model, folder)
    weights = load_file(folder / "model.safetensors")
    for name in weights:
        if name.endswith(("q_proj.weight", "k_proj.weight")):
            weights[name] = weights[name] * 2.5
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    out = tmp_path_factory.mktemp("home") / "model"
    argv = ["export", str(run.root), "--out", str(out), "--data", str(drawn / "train.parquet")]
    assert cli.main([*argv, "--max-tokens", str(TOKENS)]) == 0
    return out


@pytest.fixture(scope="module")
def rows(drawn):
    """One row of every rate."""
    found = {row["extra_info"]["fps"]: row for row in pq.read_table(drawn / "val.parquet").to_pylist()}
    assert len(found) > 2
    return list(found.values())


@pytest.fixture(scope="module")
def generated(exported, rows, tmp_path_factory):
    """Answers of `medgrpo generate`."""
    folder = tmp_path_factory.mktemp("answers")
    pq.write_table(pa.Table.from_pylist(rows, schema=ROW_SCHEMA), folder / "rows.parquet")
    command = [sys.executable, "-m", "recipe.medgrpo.cli", "generate", "--model", str(exported)]
    command += ["--data", str(folder / "rows.parquet"), "--out", str(folder / "answers.jsonl")]
    subprocess.run([*command, "--max-tokens", str(TOKENS)], check=True, env={**os.environ, "MEDGRPO_PLUGIN": "1"})
    return [json.loads(line)["response"] for line in (folder / "answers.jsonl").read_text().splitlines()[1:]]


def program(exported, name):
    spec = importlib.util.spec_from_file_location(name, exported / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def clip_and_question(row):
    return row["videos"][0]["video"], row["videos"][0]["sample_fps"], row["extra_info"]["question"]


def test_transformers_answers_alike_and_sees_times(exported, rows, generated):
    use = program(exported, "use_transformers")
    model, processor = use.load("float32")

    def answers(rate=1.0):
        clips = (clip_and_question(row) for row in rows)
        return [use.answer(model, processor, use.media("video", f, fps * rate), q) for f, fps, q in clips]

    assert answers() == generated
    assert answers(rate=0.1) != generated, "the rate decides an answer"
    del model.model.get_rope_index
    assert answers() != generated, "transformers' own positions are others"


@pytest.fixture(scope="module")
def server(exported, tmp_path_factory):
    """Address of `vllm serve`, as the card starts it; on a CPU the plugin also tells vLLM its platform."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = ["--dtype", "float32", "--enforce-eager", "--max-model-len", "1024", "--port", str(port)]
    options += ["--kv-cache-memory-bytes", str(2**30)]
    command = [sys.executable, "-c", f"import recipe.medgrpo.plugin; {START}", "serve", str(exported), *options]
    log = tmp_path_factory.mktemp("server") / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env={**os.environ, "MEDGRPO_PLUGIN": "1"})
    try:
        deadline = time.monotonic() + 900
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health")
                break
            except (urllib.error.URLError, ConnectionError):
                assert process.poll() is None and time.monotonic() < deadline, log.read_text()[-3000:]
                time.sleep(1)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.terminate()
        process.wait()


def test_a_vllm_server_answers_alike_and_sees_times(exported, rows, generated, server):
    from openai import OpenAI

    use, client = program(exported, "use_vllm"), OpenAI(base_url=server, api_key="none")

    def answers(rate=1.0):
        return [use.answer(client, frames, fps * rate, q) for frames, fps, q in map(clip_and_question, rows)]

    assert answers() == generated
    assert answers(rate=0.1) != generated, "the rate reaches the model"


def test_adapters_are_added_to_the_weights(tiny_model, tmp_path):
    """As verl's merger leaves a run with LoRA: the base's weights, and the adapters next to them."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForImageTextToText

    folder = tmp_path / "merged"
    shutil.copytree(tiny_model, folder)
    base = AutoModelForImageTextToText.from_pretrained(folder, dtype="float32")
    name = "model.language_model.layers.0.self_attn.q_proj.weight"
    before = base.state_dict()[name].clone()
    lora = LoraConfig(
        r=4, lora_alpha=8, target_modules=["q_proj"], init_lora_weights=False, exclude_modules=".*visual.*"
    )
    model = get_peft_model(base, lora)
    layer = model.base_model.model.model.language_model.layers[0].self_attn.q_proj
    added = 2.0 * layer.lora_B["default"].weight @ layer.lora_A["default"].weight
    model.save_pretrained(folder / "lora_adapter")
    merge_adapters(folder)
    after = AutoModelForImageTextToText.from_pretrained(folder, dtype="float32").state_dict()[name]
    torch.testing.assert_close(after, before + added)
    assert added.abs().max() > 0 and not (folder / "lora_adapter").exists()
