# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Percentiles are used only with the scores they were measured on."""

import pytest

import reward_score
from recipe.medgrpo.evaluation import calibrate
from recipe.medgrpo.scoring.artifact_check import check_artifact
from reward_score import ScoreConfig
from reward_score.errors import NormalizationError


def config(path, tag_raw):
    return ScoreConfig(normalization="logistic", artifact=path, tag_raw=tag_raw)


def test_calibration_scores_tag_as_the_training_and_says_how(world, model, call, stand_in, tmp_path):
    stand_in(0.0)
    tasks, entries = "medgrpo.reward.reward_tasks=[tag]", {}
    for how in ("union", "matched"):
        out = tmp_path / how / "n.json"
        given = ("--model", model, "--data", world.train, "--out", out, tasks, f"medgrpo.reward.tag_raw={how}")
        assert call(calibrate, *given) == 0
        artifact = reward_score.Artifact.load(out)
        assert artifact.provenance.tag_raw == how
        entries[how] = artifact.entries
        check_artifact(config(out, how))
        other = {"union": "matched", "matched": "union"}[how]
        with pytest.raises(NormalizationError, match=f"scored by tag_raw={how}, the run's is {other}: calibrate with"):
            check_artifact(config(out, other))
    assert entries["union"] != entries["matched"]


def test_percentiles_without_tag_serve_any_tag_score(tmp_path):
    provenance = reward_score.Provenance(model="m", split="train", decoding="greedy")
    artifact = reward_score.Artifact.from_observations({("AVOS", "stg", "raw"): [0.1, 0.5]}, provenance)
    check_artifact(config(artifact.save(tmp_path / "n.json"), "matched"))


def test_a_field_of_later_versions_changes_no_hash():
    provenance = reward_score.Provenance(model="m", split="train", decoding="greedy", reward_version="3")
    artifact = reward_score.Artifact.from_observations({("AVOS", "stg", "raw"): [0.1, 0.5]}, provenance)
    assert artifact.hash.startswith("3cf0066f7b07")
    matched = provenance.model_copy(update={"tag_raw": "matched"})
    assert artifact.model_copy(update={"provenance": matched}).hash != artifact.hash
