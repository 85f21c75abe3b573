# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""The LLM judge behind the scorer, in batches, many at once, and for the leaderboard."""

import asyncio
import json
import math
import time
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

import pytest
from judge_server import JudgeServer, answer, status, verdict
from pydantic import ValidationError

import reward_score
from reward_score import ScoreConfig, Scorer, make_sample
from reward_score.errors import BadOption, JudgeUnavailable
from reward_score.judge import DIMENSIONS, JudgeConfig, LexicalJudge, LLMJudge, Verdict, llm, make_judge
from reward_score.judge.job_limits import Coordinator, NoPermission
from reward_score.leaderboard.metrics import score_records
from reward_score.leaderboard.submission import Record
from reward_score.sample import CaptionPair

REFERENCE = "The grasper retracts the gallbladder."


def pairs(number):
    return [CaptionPair(f"caption {i}", REFERENCE) for i in range(number)]


def by_caption(**reactions):
    """Reactions by a word of the candidate, else grades of 4."""

    async def react(request):
        text = (await request.json())["messages"][1]["content"]
        found = next((reactions[word] for word in reactions if word in text), verdict(4))
        return await found(request)

    return react


def test_grades_reach_the_score_by_dimension_mean_and_mapping(encoder):
    values = dict(zip(DIMENSIONS, (5, 4, 3, 2, 1), strict=True))

    with JudgeServer(answer(json.dumps(values))) as server:
        options = {"backend": "openai", "base_url": server.url, "cache": None}
        scorer = Scorer(ScoreConfig(similarity=encoder, judge=options))
        result = scorer.score([make_sample("m/AVOS/rc", "A grasper.", REFERENCE, None)])[0]
    assert {name: result[f"judge_{name}"] for name in DIMENSIONS} == values
    assert result["judge"] == result["judge_normalized"] == (3 - 1) / 4
    assert result["raw"] == pytest.approx((result["similarity"] + 0.5) / 2)


def test_a_batch_keeps_its_order_and_what_was_had_although_one_fails(server, make, tmp_path):
    server.default = by_caption(**{"caption 3": status(400), "caption 7": verdict(2)})
    judge = make(cache=str(tmp_path / "judge.sqlite"))
    with pytest.raises(JudgeUnavailable, match="1 of 20 captions have no verdict.*400"):
        judge.judge(pairs(20))
    results = make(cache=str(tmp_path / "judge.sqlite")).attempt(pairs(20))
    assert [isinstance(result, JudgeUnavailable) for result in results] == [i == 3 for i in range(20)]
    assert [result.mean for i, result in enumerate(results) if i != 3] == [4] * 6 + [2] + [4] * 12
    assert len(server.requests) == 21


def test_threads_and_event_loops_share_one_judge(server, make):
    judge = make(deadline=20, request_timeout=15)
    judge.probe()
    results = []

    async def all_together(request):
        while server.most_in_flight < 64:
            await asyncio.sleep(0.01)
        return await verdict(4)(request)

    # Nobody gets a reply before the last has asked: only 64 requests in flight at one time can end this.
    server.default = all_together

    async def several(start):
        found = await asyncio.gather(*(judge.ajudge([pair]) for pair in pairs(64)[start : start + 16]))
        results.extend(one for [one] in found)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(asyncio.run, map(several, range(0, 64, 16))))
    assert len(results) == 64 and {result.mean for result in results} == {4}


def test_threads_that_come_first_together_start_one_loop(monkeypatch):
    made = []

    def slow():
        # Long enough for every thread to find no loop yet.
        time.sleep(0.2)
        made.append(asyncio.SelectorEventLoop())
        return made[-1]

    monkeypatch.setattr(llm, "_start_loop", lru_cache(maxsize=1)(llm._start_loop.__wrapped__))
    monkeypatch.setattr(llm.asyncio, "new_event_loop", slow)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: llm._loop(), range(8)))
    for loop in made:
        loop.call_soon_threadsafe(loop.stop)
    assert len(made) == 1 and found == made * 8


class Recorder(Coordinator):
    """Lets everything go and keeps what it was asked."""

    def __init__(self, config):
        super().__init__(config)
        self.asked = []

    async def acquire(self, tokens, wait, retry=False):
        self.asked.append((wait, retry))
        return 0


def test_a_retry_says_so_and_waits_for_what_is_left_of_its_deadline(server):
    server.script = [status(500), status(500), verdict(4)]
    options = {"base_url": server.url, "cache": None, "backoff": 0.1, "deadline": 60, "queue_limit": 500}
    limiter = Recorder(JudgeConfig(**options))
    LLMJudge(limiter.config, limiter).judge(pairs(1))
    (first, *retries) = limiter.asked
    assert first == (500, False) and [retry for _, retry in retries] == [True, True]
    # A pause of at least half the back-off is gone before each.
    assert retries[0][0] < 60 - 0.05 and retries[1][0] < retries[0][0] - 0.1


class Jammed(Coordinator):
    """A limiter that has room for first attempts alone."""

    async def acquire(self, tokens, wait, retry=False):
        if retry:
            raise NoPermission("no permission")
        return 0


def test_a_retry_that_gets_no_permission_fails_for_what_came_before(server):
    server.script = [status(500)]
    config = JudgeConfig(base_url=server.url, cache=None, backoff=0.01)
    judge = LLMJudge(config, Jammed(config))
    with pytest.raises(JudgeUnavailable, match="deadline.*before that.*HTTP 500"):
        judge.judge(pairs(1))


def test_equal_answers_that_are_under_way_are_asked_about_once(server, make):
    server.latency = 0.1
    judge = make()

    async def same():
        return await asyncio.gather(*(judge.ajudge(pairs(1)) for _ in range(8)))

    assert len(asyncio.run(same())) == 8 and len(server.requests) == 1


def test_an_open_breaker_fails_at_once_and_closes_again(server, make):
    server.default = status(401)
    judge = make(breaker_failures=3, breaker_cooldown=1.0, concurrency=1)
    judge.attempt(pairs(3))
    [result] = judge.attempt([CaptionPair("later", REFERENCE)])
    assert "no request for another" in str(result)
    assert len(server.requests) == 3
    time.sleep(1.0)
    server.default = verdict(4)
    # Half open: a single one tries, and its success lets the others through.
    assert judge.judge(pairs(1))[0].mean == 4
    assert len(judge.judge(pairs(3))) == 3


class Moody:
    """Fails as it is told."""

    name = "moody"
    failing = False

    def judge(self, asked):
        if self.failing:
            raise JudgeUnavailable("not now")
        return [Verdict(**dict.fromkeys(DIMENSIONS, 5.0)) for _ in asked]


def group(number=3):
    return [make_sample("m/AVOS/rc", f"caption {i}", REFERENCE, None) for i in range(number)]


def test_without_a_judge_there_is_no_score(encoder):
    moody = Moody()
    scorer = Scorer(ScoreConfig(similarity=encoder, judge=moody))
    assert asyncio.run(scorer.ascore(group())) == scorer.score(group())
    moody.failing = True
    with pytest.raises(JudgeUnavailable):
        scorer.score(group())
    with pytest.raises(JudgeUnavailable):
        asyncio.run(scorer.ascore(group()))


@pytest.mark.parametrize("grade", [0, 6, math.nan, "good", None])
def test_grades_out_of_range_are_refused(grade):
    verdict = dict(terminology=5, identification=4, specificity=3, context=2, action=1)
    assert (Verdict(**verdict).mean, Verdict(**verdict).normalized) == (3, 0.5)
    with pytest.raises(ValidationError):
        Verdict(**{**verdict, "terminology": grade})


def test_make_judge():
    lexical = make_judge("lexical")
    assert isinstance(lexical, LexicalJudge) and make_judge(lexical) is lexical
    for wrong, message in (("oracle", "known: lexical"), (3, "judge"), ({"tempo": 1}, "tempo")):
        with pytest.raises(BadOption, match=message):
            make_judge(wrong)
    assert isinstance(make_judge("openai"), LLMJudge) and make_judge("openai").name == "comparative:gpt-4.1"
    assert make_judge({"model": "m", "rubric": "absolute"}).name == "llm:m"
    one, other = (reward_score.get_scorer(ScoreConfig(judge={"model": "m"})) for _ in range(2))
    assert one is other and isinstance(Scorer().judge, LexicalJudge)


def record(i, task, prediction, answer, struc_info=()):
    return Record(i, task, "NurViD", prediction, "", answer, list(struc_info), 1.0)


def test_the_leaderboards_metrics_by_the_absolute_rubric(server, make):
    events = [{"start": 0.0, "end": 10.0, "caption": "one"}, {"start": 20.0, "end": 30.0, "caption": "two"}]
    records = [
        record(0, "vs", "good summary", "x"),
        record(1, "vs", "bad summary", "x"),
        record(2, "rc", "good region", "x"),
        record(3, "rc", "broken region", "x"),
        record(4, "dvc", "0.0-10.0 seconds: good one\n20.0-30.0 seconds: bad two", "", [events]),
    ]
    server.default = by_caption(bad=verdict(2), broken=status(400))
    result = score_records(records, make(rubric="absolute"))
    assert (result.metrics["VS_llm"], result.metrics["RC_llm"], result.metrics["DVC_llm"]) == (3, 4, 3)
    # A failed call is left out like in the official evaluator, and reported.
    assert result.unjudged == {"rc": 1}
    # The training judge compares, and its numbers carry another name.
    assert "VS_comparative" in score_records(records[:2], make()).metrics
    server.default = status(400)
    with pytest.raises(JudgeUnavailable):
        score_records(records[:2], make(rubric="absolute"))
