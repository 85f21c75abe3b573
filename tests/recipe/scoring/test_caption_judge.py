# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Calibration and evaluation score captions by the training's judge, and go on where it gives no verdict."""

import json

import pytest
from judge_server import JudgeServer, status, verdict

import reward_score
from recipe.medgrpo.common.run_folder import EvalDir, read_jsonl
from recipe.medgrpo.evaluation import calibrate, evaluate
from recipe.medgrpo.scoring.caption_judge import PatientJudge, is_judged
from recipe.medgrpo.scoring.training_options import raw_options, reward_options
from reward_score.errors import BadOption, JudgeUnavailable

REFUSED = status(400, message="content filter")


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)


def judge_of(server, *more):
    options = {"base_url": server.url, "model": "mine", "cache": "null", "concurrency": 1}
    own = [f"medgrpo.reward.judge.{name}={value}" for name, value in options.items()]
    return ["judge=openai", "+medgrpo.reward.judge.temperature=0.3", *own, *more]


@pytest.fixture
def commands(world, model, call, stand_in, tmp_path):
    stand_in(0.0)

    def run(module, *overrides):
        data, out = (world.train, "n.json") if module is calibrate else (world.val, "eval")
        assert call(module, "--model", model, "--data", data, "--out", tmp_path / out, *overrides) == 0
        return tmp_path / out

    return run


def test_the_overrides_are_those_of_the_training():
    found = reward_options(
        ["judge=openai", "preset=medgrpo_all_tasks", "medgrpo.reward.judge.rpm=7", "medgrpo.reward.caption_mix=0.25"]
    )
    assert (found.judge.model, found.judge.rpm, found.caption_mix) == ("gpt-4.1", 7, 0.25)
    assert found.reward_tasks == ("tag", "stg", "vs", "rc", "dvc", "nap", "sa", "cvs")
    plain = reward_options([])
    assert (plain.judge, plain.reward_tasks) == ("lexical", reward_score.PAPER_TASKS)
    assert reward_options(["medgrpo.reward.artifact='a b.json'", "data.train_files=x"]).judge == "lexical"


def test_raw_scores_follow_the_presets_form():
    options = raw_options(reward_options(["preset=medr1_nothink"]), "lexical")
    [found] = reward_score.Scorer(options).score(
        [reward_score.make_sample("m/CT/mcq", "<answer>C</answer>", "C", None)]
    )
    assert (found["tags"], found["score"]) == (1, 2)


def test_a_judge_of_reasoning_that_does_not_answer_leaves_the_row_out():
    unreachable = {"model": "m", "base_url": "http://127.0.0.1:1/v1", "cache": None, "deadline": 0.2}
    judge = PatientJudge(unreachable)
    scorer = reward_score.Scorer(
        reward_score.ScoreConfig(reward_tasks="all", judge=judge, vqa={"weights": {"alignment": 1.0}})
    )
    rows = [("m/CT/mcq", f"<think>{thought}</think><answer>C</answer>", "C", None) for thought in ("bright bone", "")]
    assert [is_judged(raw) for raw in scorer.raw([reward_score.make_sample(*row) for row in rows])] == [False, True]
    assert (judge.asked, len(judge.failures)) == (1, 1)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["judge=nobody"], "overrides: "),
        (["medgrpo.reward.caption_mix=2"], "medgrpo.reward: caption_mix"),
        (["judge=openai", "+medgrpo.reward.judge.tempo=1"], "tempo"),
        (["judge=local"], "vllm serve .*medgrpo.reward.judge.base_url="),
        (["judge=local", "reward.reward_model.model_path=m"], "vllm serve .*medgrpo.reward.judge.base_url="),
    ],
)
def test_overrides_that_make_no_sense(overrides, message):
    with pytest.raises(BadOption, match=message):
        reward_options(overrides)


def test_a_served_judge_with_an_address_may_score():
    address = "+medgrpo.reward.judge.base_url=http://host:8000/v1"
    assert reward_options(["judge=local", "reward.reward_model.model_path=m", address]).judge.model == "m"


def test_calibration_leaves_out_what_the_judge_refuses(commands, capsys):
    with JudgeServer() as server:
        server.script = [verdict(5), REFUSED, verdict(5)]
        artifact = reward_score.Artifact.load(commands(calibrate, *judge_of(server)))
    provenance = artifact.provenance
    assert (provenance.judge, provenance.judge_temperature) == ("comparative:mine", 0.3)
    assert provenance.judge_prompt.startswith("comparative-") and artifact.version == 2
    # One caption, but other rows may have the same answer and reference.
    assert 1 <= provenance.unjudged < 40 and f"no verdict on {provenance.unjudged} answers" in capsys.readouterr().out
    # 40 answers a source: the refused ones count in neither component.
    for component in ("judge", "similarity"):
        assert artifact.entries[f"*|vs|{component}"].n == 3 * 40 - provenance.unjudged


def test_evaluation_leaves_out_what_the_judge_refuses(commands, capsys):
    with JudgeServer() as server:
        server.script = [verdict(5), REFUSED, verdict(5)]
        files = EvalDir(commands(evaluate, *judge_of(server)))
        assert server.requests[0]["model"] == "mine" and server.requests[0]["temperature"] == 0.3
    summary, results = json.loads(files.summary.read_text()), read_jsonl(files.results, "test")
    assert (summary["rows"], summary["judge"]) == (96, "comparative:mine")
    unjudged = [result for result in results if result["score"] is None]
    assert len(unjudged) == summary["unjudged"] and len({(r["response"], r["ground_truth"]) for r in unjudged}) == 1
    assert f"no verdict on {len(unjudged)} answers" in capsys.readouterr().out
    assert all(r["task"] == "vs" and r["raw"] is None and r["parsed"] == 1 for r in unjudged)
    source = unjudged[0]["source"]
    judged = [r["score"] for r in results if r["task"] == "vs" and r["source"] == source and r["score"] is not None]
    pair = next(p for p in summary["pairs"] if (p["task"], p["source"]) == ("vs", source))
    assert pair["reward"] == pytest.approx(sum(judged) / len(judged)) and pair["n"] == 8


@pytest.mark.parametrize("module", [calibrate, evaluate])
def test_too_many_refusals_end_the_command(commands, module):
    with JudgeServer(REFUSED) as server, pytest.raises(JudgeUnavailable, match="abort_share=0.2; the first: .*filter"):
        commands(module, *judge_of(server))


def test_evaluation_mixes_as_the_training(commands):
    with JudgeServer() as server:
        files = EvalDir(commands(evaluate, *judge_of(server, "medgrpo.reward.caption_mix=1")))
        assert not server.requests
    captions = [result for result in read_jsonl(files.results, "test") if result["task"] == "vs" and result["parsed"]]
    assert captions and all(r["judge"] is None and r["raw"] == r["similarity"] for r in captions)
