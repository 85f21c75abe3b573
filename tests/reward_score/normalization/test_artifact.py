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
    assert (entry.n, entry.mean, entry.std) == (
        len(values),
        pytest.approx(np.mean(values)),
        pytest.approx(np.std(values)),
    )


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
        (lambda content: content["entries"]["AVOS|tag|raw"].update(p50=0.9), "no normalization artifact"),
        (lambda content: content.update(extra=1), "no normalization artifact"),
        (lambda content: content.update(version=3), "no normalization artifact"),
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


def test_merge_pools_the_tasks_anew():
    first = Artifact.from_observations({KEY: [i / 100 for i in range(100)]}, PROVENANCE)
    second = Artifact.from_observations({OTHER: [i / 200 for i in range(200)]}, PROVENANCE)
    merged = first.merge(second)
    together = Entry.of([i / 100 for i in range(100)] + [i / 200 for i in range(200)])
    pooled = merged.find(("*", "tag", "raw"))
    assert (pooled.n, pooled.mean, pooled.std) == (300, pytest.approx(together.mean), pytest.approx(together.std))
    assert pooled.quantiles == pytest.approx(together.quantiles, abs=0.02)
    assert merged.find(KEY) == first.find(KEY) and merged.find(OTHER) == second.find(OTHER)
    newer = Artifact.from_observations({KEY: [1.0]}, PROVENANCE)
    assert first.merge(newer).find(KEY).p50 == 1.0


def test_merge_keeps_what_it_does_not_change():
    first = Artifact.from_observations({KEY: [0.1, 0.7, 0.9], OTHER: [0.2, 0.3]}, PROVENANCE)
    other = PROVENANCE.model_copy(update={"split": "val"})
    second = Artifact.from_observations({("NurViD", "stg", "raw"): [0.1, 0.5, 0.6]}, other)
    assert first.merge(first).hash == first.hash
    merged = first.merge(second)
    assert merged.provenance.split == "train; val"
    assert {key: merged.entries[key] for key in first.entries | second.entries} == first.entries | second.entries
    assert merged.merge(second).hash == merged.hash == merged.merge(first).hash


@pytest.mark.parametrize("name", ["model", "fingerprint", "decoding", "judge", "judge_prompt", "similarity"])
def test_merge_refuses_what_was_measured_otherwise(name):
    other = Artifact.from_observations({KEY: [0.5]}, PROVENANCE.model_copy(update={name: "rl"}))
    with pytest.raises(NormalizationError, match=f"different {name}"):
        Artifact.from_observations({KEY: [0.5]}, PROVENANCE).merge(other)


def test_the_default_encoder_is_no_part_of_the_hash_so_that_older_files_keep_theirs(tmp_path):
    artifact = Artifact.from_observations({KEY: [0.5]}, PROVENANCE)
    path = artifact.save(tmp_path / "a.json")
    content = json.loads(path.read_text())
    assert content["provenance"].pop("similarity") == "all-MiniLM-L6-v2"
    path.write_text(json.dumps(content))
    assert Artifact.load(path).hash == artifact.hash
    other = Artifact.from_observations({KEY: [0.5]}, PROVENANCE.model_copy(update={"similarity": "mine"}))
    assert other.hash != artifact.hash


def test_diff():
    first = Artifact.from_observations({KEY: [0.5]}, PROVENANCE)
    second = Artifact.from_observations({KEY: [0.7], OTHER: [0.1]}, PROVENANCE.model_copy(update={"split": "val"}))
    diff = first.diff(second)
    assert diff["added"] == ["CoPESD|tag|raw"] and diff["removed"] == []
    assert diff["changed"]["AVOS|tag|raw"]["old"]["p50"] == 0.5
    assert diff["provenance"] == {"split": ["train", "val"]}
    assert not any(first.diff(first).values())
