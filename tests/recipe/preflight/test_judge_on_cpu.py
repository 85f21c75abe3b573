# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Before step 0: the estimate, the probe verdict, and what stops a run there; ``medgrpo judge``."""

import os
import subprocess
import time
from contextlib import nullcontext
from pathlib import Path

import pytest
from configuration import composed
from judge_server import JudgeServer, echo_key, hang, status

import reward_score
from recipe.medgrpo import cli
from recipe.medgrpo.preflight import judge as judge_command
from recipe.medgrpo.preflight.judge import check_judge, estimate
from recipe.medgrpo.scoring.artifact_check import JudgeNotReady, check_artifact, judge_provenance
from reward_score.errors import BadOption, NormalizationError
from reward_score.judge import DIMENSIONS, JudgeConfig, Verdict, cache, prompt

pytestmark = pytest.mark.usefixtures("key")

SCRIPT = Path(__file__).resolve().parents[3] / "examples/run_medgrpo_qwen2_5vl_7b.sh"


def configuration(drawn, *overrides):
    needed = [f"data.train_files='{drawn}/train.parquet'", "data.val_files=v", "actor_rollout_ref.model.path=m"]
    return composed(*needed, "medgrpo.reward.artifact=null", "medgrpo.reward.normalization=none", *overrides)


def with_server(drawn, server, *overrides):
    own = f"medgrpo.reward.judge.base_url={server.url}", "medgrpo.reward.judge.deadline=1"
    return configuration(drawn, "judge=openai", *own, *overrides)


def test_a_judge_that_answers_lets_the_run_start(drawn, capsys):
    with JudgeServer() as server:
        check_judge(with_server(drawn, server, "trainer.total_training_steps=100"))
        assert len(server.requests) == 1
    printed = capsys.readouterr().out
    assert "verdicts a step" in printed and "USD" in printed and "100 steps" in printed
    assert printed.index("USD") < printed.index("answers: mean grade 4.0")


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (echo_key(), r"\[key\].*Set OPENAI_API_KEY"),
        (status(404, message="no such model"), "no such model.*OPENAI_BASE_URL"),
        (hang(), "deadline.*JUDGE=lexical"),
    ],
)
def test_a_judge_that_does_not_answer_stops_the_run_with_what_to_set(drawn, key, fault, message):
    began = time.monotonic()
    with JudgeServer(fault) as server, pytest.raises(JudgeNotReady, match=message) as stopped:
        check_judge(with_server(drawn, server))
    assert key not in str(stopped.value) and time.monotonic() - began < 5


def test_no_key_stops_a_run_with_a_judge_alone(drawn, monkeypatch, capsys):
    monkeypatch.delenv("OPENAI_API_KEY")
    with pytest.raises(JudgeNotReady, match="OPENAI_API_KEY"):
        check_judge(configuration(drawn, "judge=openai"))
    capsys.readouterr()
    check_judge(configuration(drawn))
    check_judge(configuration(drawn, "judge=openai", "medgrpo.reward.caption_mix=1"))
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(("weight", "verdicts"), [(1.0, 64), (0.0, 0)])
def test_the_expert_of_medical_vqa_is_counted(drawn, weight, verdicts):
    sizes = ["data.tasks=[mcq]", "data.train_batch_size=8", "data.max_response_length=512"]
    config = configuration(drawn, *sizes, f"++medgrpo.reward.vqa.weights.alignment={weight}")
    question = "What is shown? A)Liver, B)Heart, C)Lung" * 20
    rows = [{"data_source": "omnimedvqa/CT/mcq", "reward_model": {"ground_truth": "C"},
             "extra_info": {"question": question}}]  # fmt: skip
    found = estimate(config, JudgeConfig(), rows)
    assert found.per_step == verdicts
    # The request: the rubric for reasoning, the question, and reasoning as long as an answer may be.
    pair = reward_score.CaptionPair("x" * 4 * 512, f"{question} C")
    expected = sum(len(message["content"]) for message in prompt.messages(pair, "reasoning")) / 4
    assert found.input_tokens == (expected if weight else 0)


def test_estimate(drawn):
    config = configuration(drawn, "data.tasks=[tag,vs]", "trainer.total_training_steps=5000")
    sources = (f"m/AVOS/{task}" for task in ("tag", "vs", "tag", "vs", "cvs"))
    rows = [{"data_source": source, "reward_model": {"ground_truth": "x" * 400}} for source in sources]
    judge = JudgeConfig(price_input=2.0, price_output=8.0, rpm=96)
    found = estimate(config, judge, rows)
    assert (found.per_step, found.steps, found.minutes_per_step) == (192, 5000, 2)
    assert 2 * 400 / 4 < found.input_tokens < 2 * 400 / 4 + 1000
    assert found.cost == pytest.approx(192 * 5000 * (2 * found.input_tokens + 8 * found.output_tokens) / 1e6)


def test_limits_too_low_for_the_run_stop_it(drawn):
    with JudgeServer() as server, pytest.raises(JudgeNotReady, match="rpm=1.*queue_limit"):
        check_judge(with_server(drawn, server, "medgrpo.reward.judge.rpm=1", "medgrpo.reward.judge.queue_limit=60"))


@pytest.fixture
def measured(tmp_path):
    """``measured(component, **provenance)`` -> file of an artifact with this component alone."""

    def call(component, **more):
        provenance = reward_score.Provenance(model="m", split="train", decoding="greedy", **more)
        artifact = reward_score.Artifact.from_observations({("AVOS", "vs", component): [0.1, 0.5]}, provenance)
        return artifact.save(tmp_path / "normalization.json")

    return call


def test_percentiles_of_another_judge_stop_the_run(drawn, measured):
    file = measured("judge")
    normalized = [f"medgrpo.reward.artifact={file}", "medgrpo.reward.normalization=logistic"]
    check_judge(configuration(drawn, *normalized))
    with JudgeServer() as server:
        with pytest.raises(JudgeNotReady, match="judge lexical.*comparative:gpt-4.1.*medgrpo calibrate.*judge="):
            check_judge(with_server(drawn, server, *normalized))
        check_judge(with_server(drawn, server, *normalized, "medgrpo.reward.judge_norm=linear"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"judge_prompt": "comparative-00000000"}, "judge_prompt comparative-00000000, the run's comparative-"),
        ({"judge_temperature": 0.7}, "judge_temperature 0.7, the run's 0.0.*medgrpo calibrate"),
        ({"judge_prompt": None, "judge_temperature": None}, "judge_prompt None, the run's comparative-"),
        ({}, None),
    ],
)
def test_a_judge_asked_otherwise_is_another_judge(measured, change, message):
    file = measured("judge", **judge_provenance(JudgeConfig()) | change)
    with pytest.raises(JudgeNotReady, match=message) if message else nullcontext():
        check_artifact(reward_score.ScoreConfig(normalization="logistic", artifact=file, judge="openai"))


def test_percentiles_of_another_encoder_stop_the_run(drawn, measured):
    file = measured("similarity", similarity="mine")
    normalized = [f"medgrpo.reward.artifact={file}", "medgrpo.reward.normalization=logistic"]
    message = "encoder mine, .*all-MiniLM-L6-v2.*calibrate ... .medgrpo.reward.similarity="
    with pytest.raises(NormalizationError, match=message):
        check_judge(configuration(drawn, *normalized))
    check_judge(configuration(drawn, *normalized, "+medgrpo.reward.similarity=mine"))
    check_judge(configuration(drawn, *normalized, "medgrpo.reward.caption_mix=0"))


def test_a_served_judge_must_be_set_up_for_dropping_single_answers(drawn):
    local = ["judge=local", "reward.reward_model.model_path=m"]
    check_judge(configuration(drawn, *local))
    for setting in ("enable=false", "enable_resource_pool=false"):
        with pytest.raises(JudgeNotReady, match=setting.split("=")[0]):
            check_judge(configuration(drawn, *local, f"reward.reward_model.{setting}"))


def test_unknown_options_and_secrets_in_the_address_are_refused(drawn):
    with pytest.raises(BadOption, match="tempo"):
        check_judge(configuration(drawn, "judge=openai", "+medgrpo.reward.judge.tempo=1"))
    with pytest.raises(BadOption, match="no user name, password or query"):
        check_judge(configuration(drawn, "judge=openai", "medgrpo.reward.judge.base_url='http://me:secret@host/v1'"))


@pytest.mark.parametrize(("judge", "expected"), [(None, "gpt-4.1"), ("lexical", "lexical"), ("local", "served")])
def test_the_script_chooses_the_judge_by_one_variable(judge, expected, drawn, key, tmp_path):
    # The script's own arguments, without the seconds that verl's import takes: composed here.
    shim = tmp_path / "python3"
    shim.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    shim.chmod(0o755)
    variables = {"DRY_RUN": "1", "PATH": f"{tmp_path}:{os.environ['PATH']}", **({"JUDGE": judge} if judge else {})}
    done = subprocess.run(["bash", SCRIPT], env={**os.environ, **variables}, capture_output=True, text=True, check=True)
    assert key not in done.stdout + done.stderr
    overrides = [line for line in done.stdout.splitlines() if "=" in line and not line.startswith(("-", "hydra."))]
    found = configuration(drawn, *overrides, "reward.reward_model.model_path=served").medgrpo.reward.judge
    assert (found if judge == "lexical" else found.model) == expected


def test_stats_of_the_cache(tmp_path, capsys):
    file = tmp_path / "judge.sqlite"
    cache.VerdictCache(file).put(b"k" * 32, "gpt-4.1", "comparative-1", Verdict(**dict.fromkeys(DIMENSIONS, 3)))
    assert cli.main(["judge", "stats", "--cache", str(file)]) == 0
    assert "comparative-1" in capsys.readouterr().out
    assert cli.main(["judge", "stats", "--cache", str(tmp_path / "none")]) == 2
    assert "no judge cache" in capsys.readouterr().err


@pytest.fixture
def probe(capsys):
    """probe(*overrides) -> exit status, standard output, standard error."""

    def run(*overrides):
        status = cli.main(["judge", "probe", *overrides])
        return status, *capsys.readouterr()

    return run


def test_it_asks_the_judge_of_the_training_once(probe, server, monkeypatch, key):
    monkeypatch.setenv("OPENAI_BASE_URL", server.url)
    # As the GPU scripts name things, values of other stages missing.
    overrides = ["preset=medgrpo", "judge=openai", "medgrpo.reward.artifact='/no such/file.json'"]
    status, out, err = probe(*overrides, "medgrpo.reward.judge.model='my model'")
    assert status == 0 and not err
    assert "comparative:my model: terminology 4" in out and " s, 1 request(s), 400 + 30 tokens" in out
    # Without overrides the paper's judge.
    assert probe()[0] == 0
    assert [request["model"] for request in server.requests] == ["my model", "gpt-4.1"]


def test_the_trainings_own_model_is_asked_where_the_user_serves_it(probe, server):
    at = f"+medgrpo.reward.judge.base_url={server.url}"
    assert "comparative:mine" in probe("judge=local", at, "medgrpo.reward.judge.model=mine")[1]
    status, _, err = probe("judge=local", at)
    assert status == 2 and "options of the judge: model: " in err
    assert [request["model"] for request in server.requests] == ["mine"]


def test_no_verdict_is_status_2_and_a_message(probe, server, monkeypatch, key):
    at = f"medgrpo.reward.judge.base_url={server.url}"
    server.default = echo_key()
    status, out, err = probe("judge=openai", at)
    assert status == 2 and not out and "HTTP 401" in err and "set OPENAI_API_KEY" in err and key not in err
    server.default = hang()
    monkeypatch.setattr(judge_command, "_PATIENCE", 0.5)
    began = time.monotonic()
    status, _, err = probe("judge=openai", at)
    assert status == 2 and "no verdict within the deadline of 0.5 s" in err and time.monotonic() - began < 25
    monkeypatch.delenv("OPENAI_API_KEY")
    status, _, err = probe("judge=openai")
    assert status == 2 and "the judge has no key: set OPENAI_API_KEY" in err


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["judge=lexical"], "judge=lexical: nobody to ask"),
        (["judge=local"], "verl serves it within the training alone"),
        (["judge=openai", "medgrpo.reward.caption_mix=1"], "caption_mix=1: this training asks no judge"),
    ],
)
def test_where_there_is_nobody_to_ask_a_script_may_go_on(probe, overrides, message):
    status, out, err = probe(*overrides)
    assert status == 0 and message in out and not err


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("medgrpo.reward.judge.model=${nowhere}", "overrides: Interpolation key 'nowhere' not found"),
        ("judge=opnai", "Could not find 'judge/opnai'"),
        ("medgrpo.reward.judge.api_key=SECRET", "Could not override 'medgrpo.reward.judge.api_key'"),
        ("+medgrpo.reward.judge.api_key=SECRET", "options of the judge: api_key: Extra inputs"),
        ("medgrpo.reward.judge.base_url=http://me:SECRET@host/v1", "base_url: must hold no user name"),
    ],
)
def test_overrides_that_make_no_sense_are_status_2_without_their_values(probe, override, message):
    status, out, err = probe("judge=openai", override) if not override.startswith("judge=") else probe(override)
    assert status == 2 and not out and message in err and "SECRET" not in err
