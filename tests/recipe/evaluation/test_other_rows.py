# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Answers given to other rows: what a model that looks, and one that does not, get for them."""

import json

import pytest

from recipe.medgrpo.evaluation import other_rows
from recipe.medgrpo.evaluation.answers import Answer, Row
from recipe.medgrpo.evaluation.evaluate import score
from reward_score.config import ScoreConfig

OPTIONS = ScoreConfig(reward_tasks="all")


def compare(answers):
    return other_rows.compare(answers, score(answers, 48, None, OPTIONS), lambda moved: score(moved, 48, None, OPTIONS))


def rows(count, task="tag", source="AVOS"):
    """Row i of TAG is about second i."""
    spans = [json.dumps([{"spans": [{"start": i, "end": i + 1}]}]) for i in range(count)]
    return [
        Row(i, f"m/{source}/{task}", source, task, f"{i}.0-{i + 1}.0 seconds.", {"fps": 1.0, "struc_info": spans[i]})
        for i in range(count)
    ]


def answers(to, words, samples=1):
    return [Answer(row, k, words or row.ground_truth, 9, "stop") for row in to for k in range(samples)]


def test_what_looks_is_worth_nothing_to_other_rows():
    found = compare(answers(rows(8), None))
    assert found == {"tag": {"n": 8, "own": 1.0, "other": 0.0, "gap": 1.0, "gap_sd": 0.0, "different": 8}}


def test_one_answer_for_all_is_worth_the_same_there():
    found = compare(answers(rows(8), "0.0-8.0 seconds."))["tag"]
    assert found["own"] == found["other"] == pytest.approx(0.125) and found["gap"] == 0 and found["different"] == 1


@pytest.mark.parametrize("samples", [2, 3])
@pytest.mark.parametrize("count", [2, 3, 5])
def test_no_answer_comes_back_to_its_own_row(count, samples):
    found = compare(answers(rows(count), None, samples))["tag"]
    assert (found["n"], found["own"], found["other"]) == (count, 1.0, 0.0)


def test_sources_stay_apart_and_single_rows_out():
    """Of two sources with one row each there is no other row; a judge's tasks are not scored twice."""
    assert compare(answers(rows(1) + rows(1, source="CoPESD"), None)) == {}
    read = rows(4, "vs")
    scored = [{"raw": 0.5}] * 4
    assert other_rows.compare(answers(read, "words"), scored, lambda moved: [{"raw": 1.0}] * len(moved)) == {}
