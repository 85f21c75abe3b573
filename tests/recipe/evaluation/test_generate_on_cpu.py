# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""The room that vLLM is asked for: what the longest row and its answer take, and never more than the model has."""

from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from transformers import AutoConfig, AutoProcessor

from recipe.medgrpo.evaluation import generate
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
    assert generate._longest(rows, messages, processor, 40, config) == max(lengths) + 40
    assert generate._longest(rows, messages, processor, 10**6, config) == 32768
    small = SimpleNamespace(get_text_config=lambda: SimpleNamespace(max_position_embeddings=max(lengths)))
    assert generate._longest(rows, messages, processor, 40, small) == max(lengths)


def test_a_row_without_media_tokens_gets_the_models_own_room(rows, tiny_model):
    changed = rows.to_pylist()
    changed[-1]["extra_info"]["num_tokens"] = None
    table = pa.Table.from_pylist(changed, schema=rows.schema)
    assert generate._longest(table, messages, AutoProcessor.from_pretrained(tiny_model), 40, None) is None
