# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""JSON files that are there whole or not at all."""

import json
import os
from pathlib import Path
from typing import Any


def write_json(path: str | os.PathLike, content: Any) -> Path:
    """Write a JSON file under another name, then rename it; folders are made."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    text = json.dumps(content, ensure_ascii=False, indent=1) + "\n"
    try:
        # What UTF-8 cannot hold is half a surrogate pair, and its escape is JSON's too.
        partial.write_bytes(text.encode("utf-8", "backslashreplace"))
        return partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
