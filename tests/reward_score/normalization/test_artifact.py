# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reward_score import Artifact, Entry, Provenance
from reward_score.errors import NormalizationError

PROVENANCE = Provenance(model="sft", split="train", decoding="greedy")
KEY, OTHER = ("AVOS", "tag", "raw"), ("CoPESD", "tag", "raw")


@settings(max_examples=50)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=60))
def test_percentiles_are_numpys(values):
    entry = Entry.of(values)
    expected = np.percentile(values, [25, 50, 75])
    assert (entry.p25, entry.p50, entry.p75) == pytest.approx(tuple(expected), abs=1e-12)
    assert (entry.n, entry.mean, entry.std) == pytest.approx((len(values), np.mean(values), np.std(values)))


def test_an_entry_per_pair_and_one_per_task():
    artifact = Artifact.from_observations({KEY: [0.0, 0.2], OTHER: [0.4]}, PROVENANCE)
    assert set(artifact.entries) == {"AVOS|tag|raw", "CoPESD|tag|raw", "*|tag|raw"}
    assert artifact.find(("*", "tag", "raw")).n == 3
    assert artifact.find(("NurViD", "tag", "raw")) is None


def test_save_and_load(tmp_path):
    artifact = Artifact.from_observations({KEY: [0.1, 0.7]}, PROVENANCE)
    path = artifact.save(tmp_path / "deep" / "percentiles.json")
    assert Artifact.load(path) == artifact
    assert Artifact.load(path).hash == artifact.hash
    assert [file.name for file in path.parent.iterdir()] == ["percentiles.json"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content: content["provenance"].update(model="other"), "was changed"),
        (lambda content: content["entries"]["AVOS|tag|raw"].update(p50=0.9), "was changed"),
        (lambda content: content.update(extra=1), "no normalization artifact"),
        (lambda content: content.update(version=1), "no normalization artifact"),
        (lambda content: content.pop("hash"), "was changed"),
    ],
)
def test_a_changed_file_is_refused(tmp_path, change, message):
    path = Artifact.from_observations({KEY: [0.1, 0.7]}, PROVENANCE).save(tmp_path / "a.json")
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    with pytest.raises(NormalizationError, match=message):
        Artifact.load(path)


def test_other_files_are_refused(tmp_path):
    path = tmp_path / "a.json"
    with pytest.raises(NormalizationError, match="cannot read"):
        Artifact.load(path)
    for text in ("", "[]", "{}", '{"hash": "'):
        path.write_text(text)
        with pytest.raises(NormalizationError, match="no normalization artifact"):
            Artifact.load(path)
    old = PROVENANCE.model_copy(update={"reward_version": "0"})
    Artifact.from_observations({KEY: [0.5]}, old).save(path)
    with pytest.raises(NormalizationError, match="reward version 0"):
        Artifact.load(path)


@pytest.mark.parametrize("observed", [{}, {KEY: []}, {KEY: [float("nan")]}, {("a|b", "tag", "raw"): [0.5]}])
def test_bad_observations_are_refused(observed):
    with pytest.raises(NormalizationError):
        Artifact.from_observations(observed, PROVENANCE)


def test_the_default_encoder_is_no_part_of_the_hash_so_that_older_files_keep_theirs(tmp_path):
    artifact = Artifact.from_observations({KEY: [0.5]}, PROVENANCE)
    path = artifact.save(tmp_path / "a.json")
    content = json.loads(path.read_text())
    assert content["provenance"].pop("similarity") == "all-MiniLM-L6-v2"
    path.write_text(json.dumps(content))
    assert Artifact.load(path).hash == artifact.hash
    other = Artifact.from_observations({KEY: [0.5]}, PROVENANCE.model_copy(update={"similarity": "mine"}))
    assert other.hash != artifact.hash
