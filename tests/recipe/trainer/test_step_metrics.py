# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Step metrics by hand, and the collapse alarm."""

import logging

import pytest
from pydantic import ValidationError

from recipe.medgrpo.trainer.step_metrics import (
    AlarmOptions,
    CollapseAlarm,
    CollapseError,
    ScoredAnswer,
    dropped_by_cause,
    dropped_by_pair,
    step_metrics,
)


def answer(uid, source, raw, score, parsed=1.0, length=10, entropy=1.0, cut=0.0):
    scores = {"raw": raw, "normalized": raw / 2, "score": score, "parsed": parsed, "cut": cut}
    return ScoredAnswer(uid, f"medvidbench/{source}", scores, length, entropy)


def test_metrics_by_hand():
    answers = [
        answer("a", "CoPESD/tag", 0.2, 0.4, length=10),
        answer("a", "CoPESD/tag", 0.6, 0.8, length=30),
        answer("b", "CoPESD/tag", 0.4, 0.5),
        answer("b", "CoPESD/tag", 0.4, 0.5),
        answer("c", "NurViD/stg", 0.0, 0.0, parsed=0.0, entropy=3.0, cut=1.0),
    ]
    metrics = step_metrics(answers, asked=8)
    assert metrics["medgrpo/dropped_trajectories"] == 3 and metrics["medgrpo/dropped_share"] == 3 / 8
    assert metrics["medgrpo/sampled_entropy"] == pytest.approx(1.4)
    assert metrics["medgrpo/CoPESD/tag/raw/mean"] == pytest.approx(0.4)
    assert metrics["medgrpo/CoPESD/tag/raw/std"] == pytest.approx(0.1414, abs=1e-4)
    assert metrics["medgrpo/CoPESD/tag/normalized/mean"] == pytest.approx(0.2)
    assert metrics["medgrpo/CoPESD/tag/normalized/std"] == pytest.approx(0.0707, abs=1e-4)
    assert metrics["medgrpo/normalized/mean"] == pytest.approx(0.16)
    assert metrics["medgrpo/CoPESD/tag/reward/mean"] == pytest.approx(0.55)
    assert metrics["medgrpo/CoPESD/tag/zero_std_groups"] == 0.5
    assert metrics["medgrpo/CoPESD/tag/response_length"] == 15
    assert metrics["medgrpo/NurViD/stg/parse_rate"] == 0 and metrics["medgrpo/parse_rate"] == 0.8
    assert metrics["medgrpo/NurViD/stg/cut_share"] == 1 and metrics["medgrpo/cut_share"] == 0.2
    assert metrics["medgrpo/CoPESD/tag/answers"] == 4 and metrics["medgrpo/answers"] == 5


def test_dropped_answers_by_cause():
    names = [f"medgrpo/dropped_{cause}" for cause in ("media", "judge", "other")]
    assert dropped_by_cause(9, unreadable=4, unjudged=3) == dict(zip(names, (4, 3, 2), strict=True))
    # A prompt without an answer was replaced by another: its answers failed and are not missing.
    assert dropped_by_cause(0, unreadable=0, unjudged=8)["medgrpo/dropped_other"] == 0


def test_dropped_answers_of_a_pair():
    answers = [
        *(answer("a", "CoPESD/tag", 0.2, 0.4) for _ in range(3)),
        *(answer("b", "CoPESD/tag", 0.2, 0.4) for _ in range(2)),
        answer("c", "CoPESD/tag", 0.2, 0.4),
        answer("d", "NurViD/stg", 0.2, 0.4),
        *(answer("e", "AVOS/vs", 0.2, 0.4) for _ in range(3)),
    ]
    assert dropped_by_pair(answers, {"a", "b", "e"}, group_size=3) == {
        "medgrpo/CoPESD/tag/dropped_trajectories": 0 + 1 + 3,
        "medgrpo/NurViD/stg/dropped_trajectories": 3,
        "medgrpo/AVOS/vs/dropped_trajectories": 0,
    }


def healthy(**changed):
    metrics = {"parse_rate": 0.9, "sampled_entropy": 1.0, "dropped_share": 0.0, **changed}
    return {f"medgrpo/{name}": value for name, value in metrics.items()}


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"parse_rate": 0.4}, "only 40% of the answers can be parsed"),
        ({"sampled_entropy": 0.01}, "entropy 0.010 is below 0.1"),
        ({"sampled_entropy": 9.0}, "entropy 9.000 is above 4"),
        ({"dropped_share": 0.6}, r"60% of the answers \(.*\) have no score"),
        (
            {"NurViD/stg/cut_share": 0.7, "cut_share": 0.1},
            "70% of the answers of NurViD/stg reach data.max_response_length",
        ),
    ],
)
def test_stops_after_the_steps_in_a_row(bad, message):
    alarm = CollapseAlarm(AlarmOptions(entropy=(0.1, 4.0), steps=3, action="stop"))
    for step, metrics in enumerate([healthy(**bad), healthy(**bad), healthy(), healthy(**bad), healthy(**bad)]):
        alarm.check(step, metrics)
    with pytest.raises(CollapseError, match=message):
        alarm.check(5, healthy(**bad))


@pytest.mark.parametrize(("action", "warnings"), [("warn", 2), ("both", 2), ("stop", 0)])
def test_what_is_said_before(action, warnings, caplog):
    alarm = CollapseAlarm(AlarmOptions(steps=3, action=action))
    with caplog.at_level(logging.WARNING):
        for step in range(4):
            try:
                alarm.check(step, healthy(parse_rate=0.1))
            except CollapseError:
                assert action != "warn" and step == 2
                break
    assert len(caplog.records) == warnings


def test_a_mistyped_option_is_refused():
    with pytest.raises(ValidationError, match="parserate"):
        AlarmOptions(parserate=0.5)
