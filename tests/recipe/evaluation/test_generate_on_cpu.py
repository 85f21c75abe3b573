# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""The room that vLLM is asked for: what the longest row and its answer take, and never more than the model has. Several
engines: the answers of one, and no process without its parent.
"""

import sys
import time
from types import SimpleNamespace

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from transformers import AutoConfig, AutoProcessor

from recipe.medgrpo.evaluation import engines, generate
from recipe.medgrpo.model_inputs import encode


@pytest.fixture(scope="module")
def rows(drawn):
    return pq.read_table(drawn / "val.parquet")


def messages(row):
    return encode.with_media(row["prompt"], row)


def test_room_for_the_longest_row_and_its_answer(rows, tiny_model):
    processor, config = AutoProcessor.from_pretrained(tiny_model), AutoConfig.from_pretrained(tiny_model)
    lengths = []
    for row in rows.to_pylist():
        turns = messages(row)
        lengths.append(encode.encode(processor, turns, *encode.load_media(turns, 14))["input_ids"].shape[1])
    assert len(set(lengths)) > 1
    assert engines._longest(rows, messages, processor, 40, config) == max(lengths) + 40
    assert engines._longest(rows, messages, processor, 10**6, config) == 32768
    small = SimpleNamespace(get_text_config=lambda: SimpleNamespace(max_position_embeddings=max(lengths)))
    assert engines._longest(rows, messages, processor, 40, small) == max(lengths)


def test_a_row_without_media_tokens_gets_the_models_own_room(rows, tiny_model):
    changed = rows.to_pylist()
    changed[-1]["extra_info"]["num_tokens"] = None
    table = pa.Table.from_pylist(changed, schema=rows.schema)
    for row in changed:
        del row["extra_info"]["num_tokens"]
    for given in (table, pa.Table.from_pylist(changed)):
        assert engines._longest(given, messages, AutoProcessor.from_pretrained(tiny_model), 40, None) is None


def test_engines_end_with_their_command(drawn, tiny_model, tmp_path):
    """However it ends: they would keep their GPUs."""
    words = ["--model", tiny_model, "--data", drawn / "val.parquet", "--out", tmp_path / "a.jsonl", "--engines", "2"]
    code = "import sys; from recipe.medgrpo.cli import main; sys.exit(main())"
    process = psutil.Popen([sys.executable, "-c", code, "generate", *map(str, words)])
    engines_of = []
    while len(engines_of) < 2:
        assert process.poll() is None
        time.sleep(0.1)
        engines_of = [child for child in process.children() if "spawn_main" in " ".join(child.cmdline())]
    # Now they import what they need, for much longer than this waits.
    time.sleep(10)
    process.kill()
    process.wait()
    _, alive = psutil.wait_procs(engines_of, timeout=10)
    for child in alive:
        child.kill()
    assert not alive


@pytest.mark.e2e
def test_two_engines_answer_as_one(drawn, tiny_model, tmp_path):
    """And go on after one that was interrupted."""
    found = []
    for engines_ in (1, 2):
        generate.generate(tiny_model, drawn / "val.parquet", tmp_path / "a.jsonl", max_tokens=24, engines=engines_)
        found.append((tmp_path / "a.jsonl").read_bytes())
        lines = found[0].splitlines(keepends=True)
        (tmp_path / "a.jsonl").rename(tmp_path / "one.jsonl")
        (tmp_path / "a.jsonl.part").write_bytes(b"".join(lines[:6]))
    assert found[0] == found[1] and len(set(found[0].splitlines())) > 20
