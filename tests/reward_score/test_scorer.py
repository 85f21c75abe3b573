# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
import importlib.util
import json
import math
import subprocess
import sys
from collections import UserList
from pathlib import Path

import pytest

import reward_score
from reward_score import SCORE_KEYS, ScoreConfig, Scorer, compute_score, get_scorer, make_sample, read_config
from reward_score.errors import BadGroundTruth, BadOption, RewardError, TaskWithoutReward, UnknownTask
from reward_score.judge import LexicalJudge

TAG = ("medvidbench/AVOS/tag", "1.0-2.0 seconds.", "1.0-3.0 seconds.")


def nested(depth):
    result = []
    for _ in range(depth):
        result = [result]
    return result


def test_verls_signature():
    result = compute_score(
        data_source=TAG[0], solution_str=TAG[1], ground_truth=TAG[2], extra_info={"num_turns": None},
        reward_router_address="http://127.0.0.1:1", reward_model_tokenizer=object(),
    )  # fmt: skip
    assert tuple(result) == SCORE_KEYS
    assert (result["score"], result["raw"], result["format"], result["parsed"]) == (0.5, 0.5, 1, 1)
    assert math.isnan(result["similarity"]) and math.isnan(result["judge_action"])


def test_a_batch_is_the_same_as_one_by_one(scorer, references):
    samples = [make_sample(f"m/AVOS/{task}", text, text, None) for task, text in references.items() if task != "nap"]
    batch = scorer.score(samples)
    for sample, result in zip(samples, batch, strict=True):
        assert result == pytest.approx(scorer.score([sample])[0], nan_ok=True)


def test_encoder_and_judge_are_called_once_per_batch(references):
    class Counting(LexicalJudge):
        calls = []

        def judge(self, pairs):
            self.calls.append(len(pairs))
            return super().judge(pairs)

        def similarity(self, pairs):
            self.calls.append(len(pairs))
            return [0.5] * len(pairs)

    counting = Counting()
    scorer = Scorer(ScoreConfig(reward_tasks="all", similarity=counting, judge=counting))
    tasks = ("vs", "dvc", "tag", "rc")
    rows = [make_sample(f"m/AVOS/{task}", references[task], references[task], None) for task in tasks]
    scorer.score([*rows, make_sample("m/AVOS/vs", "", "A hook.", None)])
    assert counting.calls == [4, 4]
    counting.calls.clear()
    scorer.score(rows[2:3])
    assert counting.calls == []


@pytest.mark.parametrize(("mix", "unused"), [(0.0, "similarity"), (1.0, "judge")])
def test_the_component_without_weight_is_not_computed(encoder, mix, unused):
    class Broken:
        name = "broken"

        def judge(self, pairs):
            raise AssertionError

        similarity = judge

    used = {"similarity": Broken()} if unused == "similarity" else {"similarity": encoder, "judge": Broken()}
    scorer = Scorer(ScoreConfig(caption_mix=mix, **used))
    result = scorer.score([make_sample("m/AVOS/vs", "A hook.", "A hook.", None)])[0]
    assert math.isnan(result[unused]) and result["score"] == 1
    assert unused not in scorer.components("vs")


def test_a_judge_that_leaves_captions_out_is_an_error():
    class Short(LexicalJudge):
        def judge(self, pairs):
            return super().judge(pairs)[1:]

    samples = [make_sample("m/AVOS/vs", text, "A hook.", None) for text in ("A hook.", "A clip.")]
    with pytest.raises(RewardError, match="Short.judge gave 1 replies to 2 pairs"):
        Scorer(ScoreConfig(judge=Short(), caption_mix=0)).score(samples)


def test_rows_without_reward_are_refused_but_can_be_evaluated():
    row = ("medvidbench/AVOS/nap", "tying", "tying", {"index": 17})
    with pytest.raises(TaskWithoutReward, match=r"medvidbench/AVOS/nap \(index 17\): task 'nap'.*reward_tasks"):
        compute_score(*row)
    assert compute_score(*row, reward_tasks="all")["score"] == 1
    assert compute_score(*row, reward_tasks="tag,nap")["score"] == 1
    raws = Scorer().raw([make_sample(*row)])
    assert (raws[0].components, raws[0].format) == ({"raw": 1.0}, 1.0)
    with pytest.raises(TaskWithoutReward):
        Scorer().check(["medvidbench/AVOS/tag", "medvidbench/AVOS/nap"])


@pytest.mark.parametrize("data_source", ["tag", "a/b/c/tag", "a//tag", "a/b/riddle", None])
def test_unknown_data_sources_are_refused(data_source):
    with pytest.raises(UnknownTask):
        compute_score(data_source, "", "1-2 seconds.")


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (("a/b/tag", None, "1-2 seconds."), RewardError, "answer is NoneType"),
        (("a/b/tag", "", None), BadGroundTruth, "ground_truth is NoneType"),
        (("a/b/tag", "", "1-2 seconds.", {"fps": "fast"}), BadGroundTruth, "fps 'fast'"),
        (("a/b/tag", "", "1-2 seconds.", {"fps": math.nan}), BadGroundTruth, "fps nan"),
        (("a/b/tag", "", "1-2 seconds.", {"struc_info": "[{", "index": 3}), BadGroundTruth, "index 3.*no JSON"),
        (("a/b/tag", "", "1-2 seconds.", {"struc_info": {1, 2}}), BadGroundTruth, "no JSON"),
        (("a/b/tag", "", "1-2 seconds.", {"struc_info": "[" * 100_000}), BadGroundTruth, "no JSON"),
        (("a/b/tag", "", "1-2 seconds.", {"struc_info": nested(100_000)}), BadGroundTruth, "no JSON"),
        (("a/b/tag", "", "1-2 seconds.", {"fps": 10**400}), BadGroundTruth, "fps 1"),
        (("a/b/tag", "", "1-2 seconds.", "fps"), BadGroundTruth, "extra_info is str"),
        (("a/b/tag", "", "1-2 seconds.", {"question": ["what"]}), BadGroundTruth, r"'question'\] is list"),
    ],
)
def test_bad_rows_name_the_row_and_the_field(arguments, error, message):
    with pytest.raises(error, match="a/b/tag.*" + message):
        compute_score(*arguments)


def test_structure_is_accepted_as_text_and_as_objects():
    spans = [{"spans": [{"start": 0, "end": 1}]}]
    for struc_info in (spans, json.dumps(spans), "", None, "null"):
        result = compute_score("a/b/tag", "0-1 seconds.", "0-1 seconds.", {"struc_info": struc_info})
        assert result["raw"] == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"normalisation": "logistic"}, "normalisation"),
        ({"normalization": "softmax"}, "normalization"),
        ({"k": 0}, "k"),
        ({"caption_mix": 1.5}, "caption_mix"),
        ({"reward_tasks": ["tag", "riddle"]}, "riddle"),
        ({"reward_tasks": None}, "reward options"),
        ({"judge": "oracle"}, "oracle"),
    ],
)
def test_unknown_options_and_values_are_refused_at_the_start(options, message):
    with pytest.raises(BadOption, match=message):
        Scorer(read_config(options))


def test_the_same_options_share_one_scorer():
    judge = LexicalJudge()
    # Sequences of a configuration library are neither lists nor hashable; nor is every judge, encoder or artifact.
    unhashable = reward_score.Artifact.from_observations(
        {("a", "tag", "raw"): [1.0]}, reward_score.Provenance(model="", split="", decoding="")
    )
    for same, other in (
        ({}, {"k": 2}),
        ({"k": 2.0}, {"k": 3.0}),
        ({"judge": judge}, {"judge": LexicalJudge()}),
        ({"judge": {"model": "m"}}, {"judge": {"model": "n"}}),
        ({"vqa": {"form": "nothink"}}, {"vqa": {}}),
        ({"artifact": unhashable}, {"artifact": None}),
        ({"reward_tasks": UserList(["tag"])}, {"reward_tasks": "stg"}),
    ):
        assert get_scorer(read_config(same)) is get_scorer(read_config(same)) is not get_scorer(read_config(other))


def test_observations_for_calibration(scorer, references):
    rows = [(task, answer) for task in ("tag", "vs") for answer in (references[task], "")]
    samples = [make_sample(f"m/AVOS/{task}", answer, references[task], None) for task, answer in rows]
    assert reward_score.observations(scorer.raw(samples)) == {
        ("AVOS", "tag", "raw"): [1.0, 0.0],
        ("AVOS", "vs", "similarity"): [1.0, 0.0],
        ("AVOS", "vs", "judge"): [1.0, 0.0],
    }


def test_columns_must_have_equal_length():
    with pytest.raises(ValueError, match="zip"):
        reward_score.compute_scores(["a/b/tag"], ["x", "y"], ["1-2 seconds."])


def test_loading_by_path_as_verl_does():
    spec = importlib.util.spec_from_file_location("custom_module", reward_score.__file__)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.compute_score(*TAG) == pytest.approx(compute_score(*TAG), nan_ok=True)


def test_import_is_light_until_a_caption_is_scored():
    heavy = {"torch", "verl", "sentence_transformers", "transformers", "numpy", "recipe", "data_preprocess"}
    heavy |= {"openai", "aiohttp", "tenacity", "ray"}
    config = "reward_score.ScoreConfig(judge='openai', similarity=object())"
    code = f"import sys, reward_score; reward_score.Scorer({config}); print(*sys.modules)"
    root = Path(reward_score.__file__).parents[1]
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root).stdout
    assert "reward_score" in output.split() and not heavy.intersection(output.split())
