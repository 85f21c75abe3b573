# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""What an endpoint can do wrong, on a real HTTP server: no hang, no wrong score, a clear message."""

import email.utils
import json
import logging
import pickle
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from judge_server import (
    DIMENSIONS,
    JudgeServer,
    answer,
    completion,
    cut,
    drip,
    echo_key,
    grades,
    hang,
    raw,
    status,
    verdict,
)
from pydantic import ValidationError

from reward_score import compute_scores
from reward_score.errors import BadOption, JudgeUnavailable
from reward_score.judge import JudgeConfig, LLMJudge, read_judge
from reward_score.sample import CaptionPair

PAIR = CaptionPair("A grasper lifts the gallbladder.", "The grasper retracts the gallbladder.")
#: A busy machine may take its time; a hang takes an hour.
SLACK = 10.0


def patience(name):
    """Short for faults that are a wait, long enough on a busy machine for those that are a reply."""
    if name.startswith(("hang", "slow drip")):
        return {"request_timeout": 0.4, "deadline": 1.0}
    return {"request_timeout": 5.0, "deadline": 6.0} if name.endswith("for ever") else {}


def ask(judge, pair=PAIR):
    """Verdict or error, and seconds."""
    began = time.monotonic()
    [result] = judge.attempt([pair])
    return result, time.monotonic() - began


PASSING = {
    "429": (status(429), 2),
    "429 with Retry-After": (status(429, {"Retry-After": "0"}), 2),
    "500": (status(500), 2),
    "503": (status(503), 2),
    "408": (status(408), 2),
    "hang": (hang(), 2),
    "slow drip": (drip(), 2),
    "connection lost in the body": (cut(), 2),
    "truncated JSON": (raw(json.dumps(completion(grades())).encode()[:-30]), 2),
    "no JSON": (raw(b"<html>Bad gateway</html>"), 2),
    "no choices": (raw(b'{"choices": []}'), 2),
    "non-UTF-8": (raw(b'{"choices": [{"message": {"content": "\xff\xfe"}}]}'), 2),
    "empty content": (answer(""), 2),
    "null content": (answer(None), 2),
    "refusal": (answer(None, refusal="I cannot help with that."), 2),
    "refusal next to grades": (answer(grades(5), refusal="I cannot help with that."), 2),
    "prose around the grades": (answer("The candidate says 5. " + grades(5)), 2),
    "cut off grades": (answer(grades(5)[:-6], finish_reason="length"), 2),
    "missing dimension": (answer(json.dumps(dict.fromkeys(DIMENSIONS[:4], 5))), 2),
    "another dimension": (answer(json.dumps(dict.fromkeys([*DIMENSIONS, "overall"], 5))), 2),
    "a list": (answer("[5, 5, 5, 5, 5]"), 2),
    "score 6": (answer(grades(6)), 2),
    "score 0": (answer(grades(0)), 2),
    "score 4.5": (answer(grades(4.5)), 2),
    "score NaN": (answer(grades(float("nan"))), 2),
    "score true": (answer(grades(True)), 2),
    "score as text": (answer(grades("5")), 2),
}


@pytest.mark.parametrize("name", PASSING)
def test_a_fault_that_passes_costs_a_request_and_no_verdict(name, server, make):
    fault, requests = PASSING[name]
    server.script = [fault, verdict(2)]
    result, _ = ask(make(**patience(name)))
    assert not isinstance(result, JudgeUnavailable), result
    assert result.mean == 2 and len(server.requests) == requests


LASTING = {
    "401": (status(401), "OPENAI_API_KEY", 1),
    "402": (status(402, message="Insufficient Balance"), "Insufficient Balance.*nothing left to pay", 1),
    "405": (status(405), "OPENAI_BASE_URL", 1),
    "403": (status(403), "permissions", 1),
    "404 model": (status(404, message="The model does not exist"), "does not exist.*`model`", 1),
    "400": (status(400, message="content filter"), "content filter", 1),
    "no quota": (status(429, code="insufficient_quota"), "no quota", 1),
    "10 MB reply": (raw(b"[" + b" " * 10_000_000), "more than 1 MiB", 1),
    "10 MB verdict": (answer(grades(5) + " " * 10_000_000), "more than 1 MiB", 1),
    "429 for ever": (status(429), "429", None),
    "500 for ever": (status(500), "500", None),
    "hang for ever": (hang(), "no reply within 0.4 s", None),
    "slow drip for ever": (drip(), "no reply within 0.4 s", None),
    "empty twice": (answer(""), "asked twice: the reply is empty", 2),
    "refusal twice": (answer(None, refusal="No."), "refused", 2),
    "wrong schema twice": (answer('{"score": 5}'), "asked twice", 2),
    "out of range twice": (answer(grades(9)), "asked twice.*less than or equal to 5", 2),
    "wait longer than the deadline": (status(429, {"Retry-After": "3600"}), "429", 1),
    "wait until the end of time": (status(503, {"Retry-After": "Fri, 31 Dec 9999 23:59:59 -2359"}), "503", None),
    "wait until a date": (status(503, {"Retry-After": email.utils.formatdate(time.time() + 3600)}), "503", 1),
}


@pytest.mark.parametrize("name", LASTING)
def test_a_fault_that_lasts_is_an_error_within_the_deadline(name, server, make, caplog):
    server.default, message, requests = LASTING[name]
    judge = make(**patience(name))
    result, seconds = ask(judge)
    assert isinstance(result, JudgeUnavailable)
    assert seconds < judge.config.deadline + SLACK
    assert requests is None or len(server.requests) == requests
    with pytest.raises(JudgeUnavailable, match=message):
        raise result
    assert str(result) in caplog.text
    assert str(pickle.loads(pickle.dumps(result))) == str(result)


def test_connection_refused(make):
    with JudgeServer() as gone:
        url = gone.url
    result, seconds = ask(make(base_url=url, deadline=1.0))
    assert isinstance(result, JudgeUnavailable) and "connect" in str(result).lower()
    assert seconds < 1 + SLACK


def test_a_server_that_dies_and_returns(make):
    with JudgeServer() as brief:
        judge = make(deadline=5.0, max_backoff=0.2, base_url=brief.url)
        assert ask(judge)[0].mean == 4
    with ThreadPoolExecutor(1) as pool:
        result = pool.submit(ask, judge, CaptionPair("later", PAIR.reference))
        time.sleep(0.5)
        with JudgeServer(port=brief.port):
            assert result.result(5)[0].mean == 4


def test_retry_after_is_honoured(server, make):
    server.script = [status(429, {"Retry-After": "0.3"}), status(429, {"retry-after-ms": "250"}), verdict(3)]
    assert ask(make(request_timeout=2.0))[0].mean == 3
    first, second, third = server.times
    assert second - first >= 0.3 and third - second >= 0.25


def test_nonsense_in_retry_after_is_ignored(server, make):
    dates = ("Sat, 01 Jan 99999 00:00:00 GMT", "Sat, 99 Jan 2026 00:00:00 GMT", "Sat, 01 Jan 2026 00:00:00 +9999999999")
    texts = ("soon", "-5", "nan", "inf", "1e999", "", "0" * 4000, *dates)
    server.script = [status(429, {"Retry-After": text}) for text in texts] + [verdict(3)]
    assert ask(make(max_backoff=0.05))[0].mean == 3


def test_the_key_is_in_no_message_log_or_cache(server, make, key, tmp_path, caplog):
    caplog.set_level(logging.DEBUG)
    server.script = [verdict(3), echo_key()]
    judge = make(cache=str(tmp_path / "judge.sqlite"))
    assert ask(judge)[0].mean == 3
    result, _ = ask(judge, CaptionPair("another", "caption"))
    assert "Incorrect API key provided: [key]" in str(result)
    kept = [str(result), repr(result), repr(judge.__dict__), judge.config.model_dump_json(), caplog.text]
    judge.cache.close()
    kept += [file.read_bytes().decode("latin-1") for file in tmp_path.iterdir()]
    assert len(kept) > 5 and not any(key in text for text in kept)


def test_without_a_key_the_message_says_what_to_set(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY")
    with pytest.raises(BadOption, match="OPENAI_API_KEY"):
        LLMJudge(JudgeConfig(cache=None)).probe()


def test_a_served_model_gets_no_key(server, make, key):
    seen = []

    async def look(request):
        seen.append(request.headers["Authorization"])
        return await verdict(4)(request)

    server.default = look
    assert make(backend="local", base_url=server.url).probe()[0].mean == 4
    with pytest.raises(BadOption, match="reward.reward_model.enable"):
        make(backend="local", base_url=None).probe()
    assert seen == ["Bearer none"] and key not in seen[0]


SECRET = "SECRET-0123"
NO_ADDRESSES = {
    "password": (f"http://me:{SECRET}@127.0.0.1:9/v1", "no user name, password or query"),
    "query": (f"http://127.0.0.1:9/v1?key={SECRET}", "no user name, password or query"),
    "no scheme": (f"127.0.0.1:9/{SECRET}", "must begin with http:// or https://"),
    "no port": (f"http://127.0.0.1:{SECRET}/v1", "must begin with http:// or https://"),
    "no address of IPv6": (f"http://[{SECRET}]/v1", "must begin with http:// or https://"),
    "a sign that urlsplit refuses": (f"http://me:{SECRET}@\u2100/v1", "must begin with http:// or https://"),
    "space": (f"http://127.0.0.1:9/ {SECRET}", "hold no spaces"),
}


@pytest.mark.parametrize("name", NO_ADDRESSES)
def test_what_is_no_address_is_an_error_at_the_start_and_not_retried(name, monkeypatch):
    address, message = NO_ADDRESSES[name]
    with pytest.raises(BadOption, match=f"options of the judge: base_url: .*{message}") as refused:
        read_judge({"base_url": address})
    monkeypatch.setenv("OPENAI_BASE_URL", address)
    with pytest.raises(BadOption, match=f"OPENAI_BASE_URL .*{message}") as unset:
        LLMJudge(JudgeConfig(cache=None)).probe()
    assert SECRET not in f"{refused.value!r} {unset.value!r}"


def test_an_address_that_the_http_client_refuses_is_an_error_at_the_start():
    with pytest.raises(BadOption, match="address of the judge"):
        LLMJudge(JudgeConfig(cache=None, base_url="http://\u2603.example/v1")).probe()


@pytest.mark.parametrize("options", [{"api_key": SECRET}, {"rpm": SECRET}, {"backend": SECRET}, {"base_url": [SECRET]}])
def test_values_of_options_are_in_no_message(options):
    with pytest.raises(BadOption, match=f"options of the judge: {next(iter(options))}: ") as refused:
        read_judge(options)
    with pytest.raises(ValidationError) as plain:
        JudgeConfig(**options)
    with pytest.raises(BadOption, match="reward options: k: ") as scorer:
        compute_scores([], [], [], k=SECRET)
    assert SECRET not in f"{refused.value!r} {plain.value} {scorer.value!r}"


@pytest.mark.parametrize("sign", ["\r\n", "\n", "\x01", "\u00e9", "\u201d"])
def test_a_key_that_no_request_can_carry_is_an_error_at_the_start(sign, server, make, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", f"sk-{SECRET}{sign}{SECRET}")
    with pytest.raises(BadOption, match="OPENAI_API_KEY: its character 15 of") as refused:
        make().probe()
    assert not server.requests and SECRET not in repr(refused.value)


def test_spaces_around_key_and_address_are_no_part_of_them(server, make, key, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", f" {key}\r\n")
    monkeypatch.setenv("OPENAI_BASE_URL", f" {server.url}\n")
    server.default = echo_key()
    result, _ = ask(make(base_url=None))
    assert "Incorrect API key provided: [key]" in str(result) and key not in str(result)
    monkeypatch.setenv("OPENAI_API_KEY", " \n")
    monkeypatch.setenv("OPENAI_BASE_URL", "")
    with pytest.raises(BadOption, match="no key: set OPENAI_API_KEY"):
        make(base_url=None).probe()
