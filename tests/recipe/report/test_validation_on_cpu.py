# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""The report reads what verl's own function calls the metrics of a validation."""

import pytest
from verl.trainer.ppo.v1.trainer_base import PPOTrainer

from recipe.medgrpo.report import run_data


@pytest.mark.parametrize("samples", [1, 4])
def test_validation_metrics_of_verl_are_read(samples):
    sources = ["medvidbench/AVOS/tag"] * 2 * samples + ["medvidbench/CoPESD/stg"] * samples
    uids = [f"row {i // samples}" for i in range(len(sources))]
    rewards = [0.25] * samples + [0.75] * samples + [0.5] * samples
    # The first answer was lost, as far as its parts are known.
    scores = {"reward": rewards, "raw": [None, *rewards[1:]], "score": rewards, "parsed": [1.0] * len(sources)}
    metrics = PPOTrainer._val_metrics_update(None, sources, uids, scores, [2] * len(sources))
    found = run_data.pair_series({8: metrics}, run_data.VALIDATED)
    assert {pair: values["reward"].tolist() for pair, values in found.items()} == {
        ("AVOS", "tag"): [0.5],
        ("CoPESD", "stg"): [0.5],
    }
    assert found["CoPESD", "stg"]["raw"].tolist() == [0.5] and found["AVOS", "tag"]["step"].tolist() == [8]
