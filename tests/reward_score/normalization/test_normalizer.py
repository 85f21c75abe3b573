# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
import json
import math
import random

import pytest

from reward_score import METHODS, Artifact, Normalizer, Provenance, ScoreConfig, Scorer, make_sample
from reward_score.errors import BadOption, NormalizationError

PROVENANCE = Provenance(model="sft", split="train", decoding="greedy")
EASY, HARD, RARE = ("CoPESD", "stg", "raw"), ("EgoSurgery", "stg", "raw"), ("AVOS", "stg", "raw")


@pytest.fixture(scope="module")
def artifact():
    rng = random.Random(0)
    return Artifact.from_observations(
        {
            EASY: [min(1, max(0, rng.gauss(0.5, 0.15))) for _ in range(200)],
            HARD: [min(1, max(0, rng.gauss(0.12, 0.1))) for _ in range(200)],
            RARE: [0.9, 0.95],
        },
        PROVENANCE,
    )


def test_logistic_is_the_formula(artifact):
    entry = artifact.find(EASY)
    expected = 1 / (1 + math.exp(-2 * (0.7 - entry.p50) / (entry.p75 - entry.p25)))
    assert Normalizer(artifact, "logistic", k=2)(0.7, *EASY) == pytest.approx(expected)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_rises_and_all_but_the_controls_stay_in_range(artifact, method):
    normalizer = Normalizer(artifact, method)
    for key in (EASY, HARD, RARE):
        values = [normalizer(x / 50, *key) for x in range(51)]
        assert method in ("shift", "scale") or all(0 <= value <= 1 for value in values)
        assert values == sorted(values) and values[0] < values[-1]


@pytest.mark.parametrize("method", ["logistic", "linear", "shift", "rank"])
def test_easy_and_hard_sources_meet_in_the_median(artifact, method):
    normalizer = Normalizer(artifact, method)
    for key in (EASY, HARD):
        half = pytest.approx(0.5, abs=0.01) if method == "rank" else 0.5
        assert normalizer(artifact.find(key).p50, *key) == half


@pytest.mark.parametrize("key", [EASY, HARD])
def test_linear_is_the_tangent_and_the_controls_change_one_thing_each(artifact, key):
    entry, grid = artifact.find(key), [x / 50 for x in range(51)]
    shift, scale = ([Normalizer(artifact, method)(x, *key) for x in grid] for method in ("shift", "scale"))
    assert shift == pytest.approx([x + 0.5 - entry.p50 for x in grid])
    assert scale == pytest.approx([x * 0.75 / (entry.p75 - entry.p25) for x in grid])
    # The logistic's slope at the median, and nothing is clipped on the way.
    step = 1e-6
    logistic, linear = Normalizer(artifact, "logistic"), Normalizer(artifact, "linear")
    assert logistic(entry.p50 + 1e-4, *EASY) == pytest.approx(linear(entry.p50 + 1e-4, *EASY), abs=1e-8) or key == HARD
    rise = (logistic(entry.p50 + step, *key) - logistic(entry.p50, *key)) / step
    assert rise == pytest.approx(scale[50], rel=1e-4) and scale[50] > 1
    assert key == HARD or shift[0] == pytest.approx(0.5 - entry.p50)


def test_slope_spread_floor_and_exponent_clamp():
    constant = Artifact.from_observations({EASY: [0.0] * 40}, PROVENANCE)
    assert Normalizer(constant, "scale", k=2)(0.1, *EASY) == pytest.approx(2 / 4 * 0.1 / 0.02)
    assert Normalizer(constant, "logistic")(0.02, *EASY) == pytest.approx(1 / (1 + math.exp(-3)))
    assert Normalizer(constant, "logistic")(1.0, *EASY) == 1 / (1 + math.exp(-30))
    assert Normalizer(constant, "zscore")(0.06, *EASY) == 1


def test_few_observations_fall_back_to_the_task(artifact):
    normalizer = Normalizer(artifact, "logistic")
    assert normalizer(artifact.find(("*", "stg", "raw")).p50, *RARE) == 0.5


def test_unknown_pairs_are_listed_all_at_once(artifact):
    with pytest.raises(NormalizationError, match=r"AVOS\|tag\|raw, NurViD\|stg\|raw"):
        Normalizer(artifact, "logistic").check([EASY, ("NurViD", "stg", "raw"), ("AVOS", "tag", "raw")])
    with pytest.raises(NormalizationError, match="NurViD"):
        Normalizer(artifact, "rank")(0.5, "NurViD", "stg", "raw")


def test_without_normalization_no_pair_is_demanded(artifact):
    Normalizer(artifact, "none").check([("NurViD", "stg", "raw")])
    Scorer(ScoreConfig(normalization="none", artifact=artifact)).check(["m/NurViD/stg"])


def test_a_method_without_artifact_and_bad_values_are_refused(artifact):
    with pytest.raises(NormalizationError, match="medgrpo calibrate"):
        Normalizer(None, "logistic")
    with pytest.raises(BadOption, match="slope"):
        Normalizer(artifact, "logistic", k=0)
    with pytest.raises(BadOption, match="known: none, logistic"):
        Normalizer(artifact, "softmax")


def test_ema_follows_the_policy_and_survives_a_checkpoint(artifact):
    normalizer = Normalizer(artifact, "ema")
    before = normalizer(0.6, *EASY)
    for _ in range(500):
        normalizer.observe({EASY: [0.8, 0.9, 1.0]})
    after = normalizer(0.6, *EASY)
    assert before > 0.5 > after
    again = Normalizer(artifact, "ema")
    again.load_state_dict(normalizer.state_dict())
    assert again(0.6, *EASY) == after


def test_ema_of_a_pair_with_few_observations_starts_from_the_task_and_survives_a_checkpoint(artifact):
    normalizer, task = Normalizer(artifact, "ema"), artifact.find(("*", "stg", "raw"))
    assert normalizer(task.mean, *RARE) == 0.5
    normalizer.observe({RARE: [1.0] * 8})
    mean, _ = normalizer.state_dict()["moments"]["|".join(RARE)]
    assert mean == pytest.approx(0.99 * task.mean + 0.01)
    again = Normalizer(artifact, "ema")
    again.load_state_dict(json.loads(json.dumps(normalizer.state_dict())))
    assert again(0.6, *RARE) == normalizer(0.6, *RARE) < Normalizer(artifact, "ema")(0.6, *RARE)


def test_observing_changes_nothing_for_fixed_methods(artifact):
    normalizer = Normalizer(artifact, "logistic")
    before = normalizer(0.6, *EASY), normalizer.state_dict()
    normalizer.observe({EASY: [1.0] * 100})
    assert (normalizer(0.6, *EASY), normalizer.state_dict()) == before


def test_a_silent_change_on_resume_is_refused(artifact):
    state = Normalizer(artifact, "logistic").state_dict()
    other = Artifact.from_observations({EASY: [0.1] * 40}, PROVENANCE)
    for changed in ((other, "logistic"), (artifact, "linear"), (artifact, "logistic", 2)):
        with pytest.raises(NormalizationError, match="checkpoint was trained with another"):
            Normalizer(*changed).load_state_dict(state)


def test_where_the_format_factor_acts(artifact):
    text = "1.0 seconds: [0, 0, 10, 10]"
    samples = [make_sample("m/CoPESD/stg", answer, text, None) for answer in (text, "at " + text, "nothing")]
    norm = Normalizer(artifact, "logistic")

    def scores(order, **options):
        scorer = Scorer(ScoreConfig(format_order=order, **options))
        return [result["score"] for result in scorer.score(samples)]

    normalized = {"normalization": "logistic", "artifact": artifact}
    one, half, zero = (norm(x, "CoPESD", "stg", "raw") for x in (1.0, 0.5, 0.0))
    # The floor of the logistic would be above 0; an unparsable answer is exactly 0.
    assert scores("after", **normalized) == [one, 0.5 * one, 0.0] and 0.9 < one < 1
    assert scores("before", **normalized) == [one, half, zero] and zero > 0
    assert scores("added", **normalized) == [one + 1, one + 0.5, zero]
    # Without normalization the two products are one and the same.
    assert scores("after") == scores("before") == [1, 0.5, 0]
    assert scores("added") == [2, 1.5, 0]


def test_the_format_factor_meets_each_component_of_a_caption(encoder):
    pairs = {("AVOS", "vs", name): [i / 40 for i in range(41)] for name in ("similarity", "judge")}
    artifact = Artifact.from_observations(pairs, PROVENANCE)
    options = {"normalization": "shift", "artifact": artifact, "similarity": encoder}
    cut = {"response_length": 95, "max_response_length": 100}
    sample = make_sample("m/AVOS/vs", "a hook cuts", "the hook cuts the skin", cut)
    scorers = (Scorer(ScoreConfig(format_order=order, **options)) for order in ("after", "before"))
    after, before = (scorer.score([sample])[0] for scorer in scorers)
    assert after["format"] == before["format"] == pytest.approx(0.5)
    assert after["score"] == pytest.approx(0.5 * after["raw"])
    assert before["score"] == pytest.approx((before["similarity"] + before["judge"]) / 4)


def test_the_scorer_checks_all_rows_before_the_first_step(artifact):
    scorer = Scorer(ScoreConfig(normalization="logistic", artifact=artifact))
    scorer.check(["m/CoPESD/stg", "m/EgoSurgery/stg"])
    with pytest.raises(NormalizationError, match=r"CoPESD\|vs\|judge, CoPESD\|vs\|similarity"):
        scorer.check(["m/CoPESD/vs", "m/CoPESD/stg"])


def test_linear_judge_norm_needs_no_judge_percentiles(encoder):
    artifact = Artifact.from_observations({("AVOS", "vs", "similarity"): [i / 40 for i in range(41)]}, PROVENANCE)
    options = {"normalization": "logistic", "artifact": artifact, "judge_norm": "linear", "similarity": encoder}
    scorer = Scorer(ScoreConfig(**options))
    scorer.check(["m/AVOS/vs"])
    result = scorer.score([make_sample("m/AVOS/vs", "a hook cuts", "the hook cuts the skin", None)])[0]
    assert result["judge_normalized"] == result["judge"]
    assert result["similarity_normalized"] != result["similarity"]
