# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""MedVidBench's JSON from rows: the test file that rows would come from."""

import json
from collections.abc import Mapping
from typing import Any


def record_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """The record behind a row of Parquet, with its reference."""
    extra = row["extra_info"]
    turns = [{"from": "human", "value": extra["question"]}]
    turns.append({"from": "gpt", "value": row["reward_model"]["ground_truth"]})
    known = {"id": extra["id"], "qa_type": extra["qa_type"], "data_source": extra["source"], "conversations": turns}
    metadata = {"fps": str(extra["fps"]), "video_id": extra["video_id"]}
    return known | {"metadata": metadata, "struc_info": json.loads(extra["struc_info"] or "[]")}
