# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
import io
import json

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

import reward_score
from recipe.medgrpo.common.run_folder import RunDirError
from recipe.medgrpo.evaluation import calibrate
from recipe.medgrpo.evaluation.answers import AnswersError, read_answers, read_rows


@pytest.fixture
def calibrated(world, model, call, stand_in, tmp_path):
    """Artifact and its file for the rule-scored tasks."""
    stand_in(0.0)
    out = tmp_path / "norm" / "normalization.json"
    argv = ["--model", model, "--data", world.train, "--out", out, "medgrpo.reward.reward_tasks=[stg,tag]"]
    assert call(calibrate, *argv) == 0
    return reward_score.Artifact.load(out), out


def test_percentiles_are_those_of_the_raw_scores(calibrated, world):
    artifact, out = calibrated
    _, answers = read_answers(out.with_suffix(".answers.jsonl"), read_rows(world.train))
    raw = [
        reward_score.compute_score(a.row.data_source, a.response, a.row.ground_truth, a.row.extra_info)["raw"]
        for a in answers
        if (a.row.source, a.row.task) == ("CoPESD", "tag")
    ]
    entry = artifact.entries["CoPESD|tag|raw"]
    assert entry.n == len(raw) == 40
    assert (entry.p25, entry.p50, entry.p75) == pytest.approx(np.percentile(raw, [25, 50, 75]))
    assert 0.0 in raw, "an unparsable answer counts as 0"


def test_answers_cut_at_the_limit_count_as_in_training(calibrated, world):
    _, answers = read_answers(calibrated[1].with_suffix(".answers.jsonl"), read_rows(world.train))
    scorer = reward_score.Scorer(reward_score.ScoreConfig(reward_tasks=("tag", "stg")))
    whole, _ = calibrate.raw_scores(answers, scorer, 256)
    cut, _ = calibrate.raw_scores([one._replace(finish_reason="length") for one in answers], scorer, 256)
    assert any(any(values) for values in whole.values())
    assert not any(any(values) for values in cut.values()) and cut.keys() == whole.keys()


def test_only_the_chosen_tasks_and_where_they_come_from(calibrated, model):
    artifact, _ = calibrated
    assert {key.split("|")[1] for key in artifact.entries} == {"tag", "stg"}
    assert artifact.provenance.model == str(model)
    assert "temperature 0.0" in artifact.provenance.decoding and "tag stg" in artifact.provenance.split


def test_the_encoder_is_asked_and_recorded(world, model, call, stand_in, tmp_path, monkeypatch):
    asked = []

    def similarity(self, pairs):
        asked.append(self.name)
        return [0.5] * len(pairs)

    stand_in(0.0)
    monkeypatch.setattr("reward_score.similarity.SentenceEncoder.similarity", similarity)
    argv = ["--model", model, "--data", world.train]
    for name, options in (("mine", ["+medgrpo.reward.similarity=mine"]), ("all-MiniLM-L6-v2", [])):
        out = tmp_path / f"{name}.json"
        assert call(calibrate, *argv, "--out", out, "medgrpo.reward.reward_tasks=[vs]", *options) == 0
        assert reward_score.Artifact.load(out).provenance.similarity == name == asked.pop()


def test_picture_lies_beside_the_artifact(calibrated):
    with Image.open(calibrated[1].with_suffix(".png")) as image:
        assert image.width > 500


def test_ratio_of_source_medians(calibrated):
    artifact, _ = calibrated
    medians = {source: artifact.entries[f"{source}|tag|raw"].p50 for source in ("AVOS", "EgoSurgery")}
    words = calibrate.median_ratios(artifact)["tag", "raw"]
    assert words.startswith(f"{medians['AVOS'] / medians['EgoSurgery']:.1f} (AVOS")


def test_ratio_with_a_source_at_zero():
    provenance = reward_score.Provenance(model="m", split="s", decoding="d")
    values = {("A", "tag", "raw"): [0.0] * 5, ("B", "tag", "raw"): [0.5] * 5, ("A", "stg", "raw"): [0.5]}
    artifact = reward_score.Artifact.from_observations(values, provenance)
    assert calibrate.median_ratios(artifact) == {("tag", "raw"): "no ratio, the smallest is 0 (B 0.500, A 0.000)"}
    console = Console(width=80, file=io.StringIO(), record=True)
    calibrate.print_artifact(artifact, console)
    text = console.export_text()
    assert text.count("5*") == 2 and text.count("1*") == 1 and "* fewer than 32 answers" in text


def test_missing_inputs_are_refused_before_anything_is_loaded(world, model, call, tmp_path):
    for given, data, more, message in (
        (model, tmp_path / "none.parquet", [], "no such Parquet file"),
        (tmp_path, world.train, [], "no config.json.*model_merger"),
        (tmp_path / "none", world.train, [], "none: no such folder"),
        (model, world.train, ["medgrpo.reward.reward_tasks=[cvs]"], "no row of the rewarded tasks cvs"),
        (model, world.train, ["--samples", "4"], "give a --temperature"),
    ):
        with pytest.raises(AnswersError, match=message):
            call(calibrate, "--model", given, "--data", data, "--out", tmp_path / "n.json", *more)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda lines: lines[1:], "line 1: expected .*meta"),
        (lambda lines: lines[:1], "holds 0 answers, and its first line says 480"),
        (lambda lines: [*lines, lines[1]], "line 482: a second answer to row 0, sample 0"),
        (lambda lines: [lines[0], {**lines[1], "data_source": "medvidbench/NurViD/tag"}], "line 2: .*other data"),
        (lambda lines: [lines[0], {**lines[1], "index": 10**6}], "line 2: .*other data"),
        (
            lambda lines: [lines[0], {k: v for k, v in lines[1].items() if k != "num_tokens"}],
            "line 2: lacks .*num_tokens",
        ),
    ],
)
def test_answers_that_do_not_fit(world, tmp_path, change, message):
    path = world.write_answers(tmp_path / "answers.jsonl", world.train, 0.0)
    lines = change([json.loads(line) for line in path.read_text().splitlines()])
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    with pytest.raises(AnswersError, match=message):
        read_answers(path, read_rows(world.train))


def test_a_cut_answers_file_is_refused(world, tmp_path):
    path = world.write_answers(tmp_path / "answers.jsonl", world.train, 0.0)
    path.write_text(path.read_text()[:-20])
    with pytest.raises(RunDirError, match="line 481: not JSON"):
        read_answers(path, read_rows(world.train))
