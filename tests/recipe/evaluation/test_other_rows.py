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


@pytest.mark.parametrize(("count", "turns"), [(2, 1), (3, 2), (5, 4), (8, 7), (9, 8), (30, 8)])
def test_few_rows_have_few_turns_and_no_turn_comes_twice(count, turns):
    """Turns that are the same turn agree, which says nothing about chance."""
    given, scored = answers(rows(count), "0.0-8.0 seconds."), []

    def count_turns(moved):
        scored.append([one.row.index for one in moved])
        return [{"raw": float(len(scored))}] * len(moved)

    found = other_rows.compare(given, [{"raw": 0.5}] * count, count_turns)["tag"]
    assert len(scored) == len({tuple(turn) for turn in scored}) == turns
    assert found["gap_sd"] is None if turns == 1 else found["gap_sd"] > 0


def test_many_rows_have_the_turns_of_every_study():
    for count in range(9, 1000):
        assert other_rows._distances(count) == [turn * count // 9 for turn in range(1, 9)]


def test_sources_of_few_and_of_many_rows_share_turns():
    given, scored = answers(rows(3) + rows(20, source="CoPESD"), None), []
    other_rows.compare(given, [{"raw": 0.5}] * 23, lambda moved: scored.append(moved) or [{"raw": 0.5}] * len(moved))
    assert [len(moved) for moved in scored] == [23] * 8
    assert all(one.row.ground_truth != one.response for moved in scored for one in moved)


def test_sources_stay_apart_and_single_rows_out():
    """Of two sources with one row each there is no other row; a judge's tasks are not scored twice."""
    assert compare(answers(rows(1) + rows(1, source="CoPESD"), None)) == {}
    read = rows(4, "vs")
    scored = [{"raw": 0.5}] * 4
    assert other_rows.compare(answers(read, "words"), scored, lambda moved: [{"raw": 1.0}] * len(moved)) == {}
