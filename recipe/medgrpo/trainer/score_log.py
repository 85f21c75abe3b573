# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""What each answer of a step got, as ``scores/<step>.jsonl`` next to the checkpoints.

verl's own dump (``trainer.rollout_data_dir``) has texts and rewards, but neither a row nor a reward's components.
``medgrpo browse`` joins the two by ``uid``.
"""

import math
from collections.abc import Sequence
from pathlib import Path

from recipe.medgrpo.common.run_folder import write_jsonl
from recipe.medgrpo.trainer.step_metrics import ScoredAnswer


def write_scores(folder: Path, step: int, keys: Sequence[str], answers: Sequence[ScoredAnswer]) -> None:
    """One line per answer: its key in verl's dump, its row (``extra_info.index``), and its reward's components; values
    that do not apply are left out.
    """
    lines = (
        {"uid": key, "index": answer.index, "data_source": answer.data_source}
        | {name: value for name, value in answer.score.items() if not math.isnan(value)}
        for key, answer in zip(keys, answers, strict=True)
    )
    write_jsonl(folder / f"{step}.jsonl", lines)
