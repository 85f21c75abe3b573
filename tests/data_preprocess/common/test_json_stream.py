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
    found = [parse(data[e.start : e.end], file, e.start) for part in scan(file, block) for e in part]
    assert found == entries


@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(entries=st.lists(NESTED, min_size=1, max_size=4), data=st.data())
def test_every_truncation_is_an_error(tmp_path, entries, data):
    file = tmp_path / "a.json"
    text = json.dumps(entries, ensure_ascii=False).encode()
    file.write_bytes(text[: data.draw(st.integers(0, len(text) - 1))])
    with pytest.raises(InputError, match="is cut off|is empty"):
        list(read_json_list(file))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[{"a": 1} {"b": 2}]', r"not JSON: Expecting ',' delimiter at line 1, column 11"),
        ('[{"a": 1},\n {"b": 2},]', r"not JSON: Illegal trailing comma at line 2, column 11"),
        ('[{"a": 1}] {"b": 2}', r"not JSON: Extra data at line 1, column 10"),
        ('[{"a": 1}}]', r"not JSON: a closing brace without an opening one"),
        ("[,]", r"not JSON: Expecting value at line 1, column 2"),
        ('[{"a": 1}, oops, {"b": 2}]', r"not JSON: Expecting value at line 1, column 12"),
        ('[{"a": 1},\n\n{"b" 2}]', r"not JSON: Expecting ':' delimiter at line 3, column 6"),
        ('[[{"a": 1}]]', "holds an array within the array"),
        ("[ \n]", "empty array"),
    ],
)
def test_broken_files(tmp_path, text, message):
    file = tmp_path / "a.json"
    file.write_text(text)
    with pytest.raises(InputError, match=message):
        list(read_json_list(file))


def test_nan_and_a_byte_order_mark(tmp_path):
    file = tmp_path / "a.json"
    file.write_text('[{"a": NaN}, 3]', encoding="utf-8-sig")
    first, second = read_json_list(file)
    assert first["a"] != first["a"] and second == 3


def test_text_that_is_not_utf8(tmp_path):
    file = tmp_path / "a.json"
    file.write_bytes(b'[{"a": "caf\xe9"}]')
    with pytest.raises(InputError, match="no UTF-8 text"):
        list(read_json_list(file))


def test_files_that_cannot_be_opened(tmp_path):
    with pytest.raises(InputError, match="none.json does not exist"):
        list(read_json_list(tmp_path / "none.json"))
    with pytest.raises(InputError, match="is a folder"):
        list(read_json_list(tmp_path))
