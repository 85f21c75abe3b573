# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""``medgrpo judge probe`` with the overrides of a training."""

import time

import pytest
from judge_server import echo_key, hang

from recipe.medgrpo import cli
from recipe.medgrpo.preflight import judge

pytestmark = pytest.mark.usefixtures("key")


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
    assert [request["model"] for request in server.requests] == ["my model"]


def test_without_overrides_it_asks_the_papers_judge(probe, server, monkeypatch):
    monkeypatch.setenv("OPENAI_BASE_URL", server.url)
    assert probe()[0] == 0
    assert [request["model"] for request in server.requests] == ["gpt-4.1"]


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
    monkeypatch.setattr(judge, "_PATIENCE", 0.5)
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
