# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""The wording of questions: role, source, request, each from a pool of paraphrases."""

import json
import zlib
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any


@cache
def _pools() -> dict[str, Any]:
    return json.loads(Path(__file__).with_name("questions.json").read_text(encoding="utf-8"))


def pick(pool: Sequence[str], key: str) -> str:
    """One of the pool, the same for the same key."""
    return pool[zlib.crc32(key.encode("utf-8", "surrogatepass")) % len(pool)]


def question(source: str, kind: str, words: Mapping[str, Any], key: str) -> str:
    """A question about a clip; ``key`` chooses among the paraphrases of ``kind``, a task or ``stg_one`` (one box)."""
    pools, own = _pools(), _pools()["sources"][source]
    parts = (pools["roles"], own["sentences"], pools["requests"][kind])
    texts = [pick(pool, f"{key} {place}") for place, pool in enumerate(parts)]
    filled = {**words, "field": own["field"]}
    return "<video>\n" + " ".join(text.format_map(filled) for text in texts)
