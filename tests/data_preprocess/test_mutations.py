# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Records spoilt one field at a time: each becomes a row or a failure with a remedy, and none ends the command."""

import json

import pytest

from data_preprocess.synthetic import clips

DEEP = "deep"
VALUES = [None, True, [], {}, [[]], [{}], "", "x", "\ud83d", {"\ud83d": 1}, "a\0b", "<video>", 0, -1, 10**400, 1e308,
          float("nan"), float("inf"), DEEP]  # fmt: skip


def dump(records, depth=1000):
    """JSON text, with many arrays within each other, which this process could not build, for DEEP."""
    return json.dumps(records).replace(f'"{DEEP}"', "[" * depth + "]" * depth)


def mutants(value):
    """Copies of a JSON value with one field of it, however deep, replaced or left out; three entries of each list."""
    fields = list(value if isinstance(value, dict) else range(min(len(value), 3)))
    for field in fields:
        part = value[field]
        parts = VALUES + (list(mutants(part)) if isinstance(part, dict | list) else [])
        if isinstance(value, dict):
            yield from (value | {field: other} for other in parts)
            yield {key: kept for key, kept in value.items() if key != field}
        else:
            yield from ([*value[:field], other, *value[field + 1 :]] for other in parts)


@pytest.mark.parametrize("options", [(), ("--questions-only",), ("--verify-frames", "--max-clip-tokens", "30")])
def test_no_record_ends_the_command(small_world, bench, options):
    records = json.loads((small_world / clips.JSON_NAME).read_text())
    spoilt = [mutant for record in {r["qa_type"]: r for r in records}.values() for mutant in mutants(record)]
    assert len(spoilt) > 5000
    (bench.root / "frames").rename(bench.root / "unused")
    (bench.root / "frames").symlink_to(small_world / "frames")
    assert bench.run(dump([*spoilt, *VALUES[:2]]), "--max-failed", "10000", *options) == 0
    failures = bench.failures()
    assert len({failure["record"] for failure in failures if failure["kind"] == "failed"}) > 1000
    assert all(failure["field"] and failure["reason"] and failure["remedy"] for failure in failures)


@pytest.mark.parametrize(
    ("changes", "field", "reason"),
    [
        ({"video": float("nan")}, "video", "is NaN"),
        ({"video": ["a.jpg", float("inf")]}, "video[1]", "is Infinity"),
        ({"video": ["\ud83d.jpg"]}, "video[0]", "holds half a character"),
        ({"data_source": "\ud83d"}, "data_source", "holds half a character"),
        ({"metadata": {"fps": "1.0", "video_id": "\ud83d"}}, "metadata.video_id", "holds half a character"),
        ({"struc_info": DEEP}, "record", "has brackets within brackets"),
    ],
)
@pytest.mark.parametrize("as_bytes", [False, True])
def test_what_no_hash_can_take(bench, capsys, changes, field, reason, as_bytes):
    """Half a character as an escape, or as the three bytes that some programs write."""
    text = dump([bench.record(), bench.record("b", **changes)])
    assert bench.run(text) == 1
    if as_bytes:
        bench.json.write_bytes(text.encode().replace(rb"\ud83d", b"\xed\xa0\xbd"))
        assert bench.convert() == 1
    (failure,) = bench.failures()
    assert (failure["record"], failure["field"]) == (1, field) and reason in failure["reason"]
    assert f"data.json, record 1 (b&&0&&2&&1.0), {field}: {reason}" in capsys.readouterr().err or field == "record"


def test_a_value_too_deep_for_any_reader(bench, capsys):
    assert bench.run(dump([bench.record(struc_info=DEEP)], 10**5)) == 1
    assert "data.json, record 0 (no id), record: is no JSON (maximum recursion depth" in capsys.readouterr().err
