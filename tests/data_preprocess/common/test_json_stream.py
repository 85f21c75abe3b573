# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""The streaming reader gives what json gives, whatever the blocks, and says what is wrong with a broken file."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data_preprocess.common.errors import InputError
from data_preprocess.common.json_stream import parse, read_json_list, scan

LEAF = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**53), 2**53), st.text(alphabet='a"\\{}[], \né😀', max_size=8)
)
OBJECT = st.dictionaries(
    st.text(alphabet='ab"\\{}', max_size=3), st.recursive(LEAF, lambda inner: st.lists(inner, max_size=3)), max_size=3
)
NESTED = st.recursive(OBJECT, lambda inner: st.dictionaries(st.text(max_size=2), inner, max_size=2), max_leaves=4)


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    entries=st.lists(st.one_of(NESTED, LEAF), min_size=1, max_size=6),
    block=st.integers(1, 64),
    indent=st.sampled_from([None, 0, 2]),
    plain=st.booleans(),
)
def test_equals_json_at_every_block_size(tmp_path, entries, block, indent, plain):
    file = tmp_path / "a.json"
    file.write_text(json.dumps(entries, indent=indent, ensure_ascii=plain), encoding="utf-8")
    data = file.read_bytes()
    found = [parse(data[start:end]) for part in scan(file, block) for start, end in part]
    assert found == entries


@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(entries=st.lists(NESTED, min_size=1, max_size=4), data=st.data())
def test_every_truncation_is_an_error(tmp_path, entries, data):
    file = tmp_path / "a.json"
    text = json.dumps(entries, ensure_ascii=False).encode()
    file.write_bytes(text[: data.draw(st.integers(0, len(text) - 1))])
    with pytest.raises(InputError, match="is cut off|does not begin with"):
        list(read_json_list(file))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[{"a": 1} {"b": 2}]', r"record 1: ' ' does not continue"),
        ('[{"a": 1},\n {"b": 2},]', r"record 2: ',,' does not continue"),
        ('[{"a": 1}] {"b": 2}', r"record 1: '] ' does not continue"),
        ('[{"a": 1}] 2', "record 1: the file is cut off, or more follows"),
        ('[{"a": 1}}]', "record 1: a closing brace without an opening one"),
        ("[,]", "record 0: ',,,' does not continue"),
        ('[{"a": 1}, oops, {"b": 2}]', "record 1: record: is no JSON"),
        ('[{"a": 1},\n\n{"b" 2}]', "record 1: record: is no JSON .Expecting ':' delimiter"),
        ('[[{"a": 1}]]', r"record 0: ',\[' does not continue"),
        ("[ \n]", "empty array"),
        ('[{"a": "caf\xe9"}]', "record 0: record: is no JSON .'utf-8' codec"),
    ],
)
def test_broken_files(tmp_path, text, message):
    file = tmp_path / "a.json"
    file.write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match=message):
        list(read_json_list(file))


def test_nan_and_a_byte_order_mark(tmp_path):
    file = tmp_path / "a.json"
    file.write_text('[{"a": NaN}, 3]', encoding="utf-8-sig")
    first, second = read_json_list(file)
    assert first["a"] != first["a"] and second == 3
