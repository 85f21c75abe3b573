# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
import asyncio
import time

import pytest

from reward_score.errors import JudgeUnavailable
from reward_score.judge import JudgeConfig
from reward_score.judge.job_limits import CircuitOpen, Coordinator, NoPermission
from reward_score.judge.usage import Tally


def run(scenario, **options):
    async def go():
        return await scenario(Coordinator(JudgeConfig(**options)))

    return asyncio.run(go())


def with_limits(**options):
    """Runs a test, a coroutine, with a coordinator of these options."""
    return lambda scenario: lambda: run(scenario, **options)


@with_limits(concurrency=7)
async def test_concurrency_is_never_exceeded_and_every_slot_is_used(shared):
    now, most = 0, 0

    async def one():
        nonlocal now, most
        lease = await shared.acquire(1, 5)
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.001)
        now -= 1
        await shared.release(lease)

    await asyncio.gather(*(one() for _ in range(100)))
    assert most == 7


@pytest.mark.parametrize(
    ("options", "tokens", "seconds"),
    [({"rpm": 3000}, 1, 9 / 50), ({"tpm": 60_000}, 20, 9 * 0.02), ({"rpm": 3000, "tpm": 60_000}, 40, 9 * 0.04)],
)
def test_requests_and_tokens_per_minute(options, tokens, seconds):
    async def scenario(shared):
        began = time.monotonic()

        async def one():
            lease = await shared.acquire(tokens, 5)
            await shared.release(lease)
            return time.monotonic() - began

        return sorted(await asyncio.gather(*(one() for _ in range(10))))

    departures = run(scenario, **options)
    assert departures[-1] == pytest.approx(seconds, abs=0.5) and departures[-1] >= seconds
    # Spread evenly: no burst that an endpoint's shorter window would refuse.
    assert departures[5] >= seconds / 2


@with_limits(rpm=1)
async def test_a_limit_that_is_too_low_is_an_error_that_names_it(shared):
    await shared.acquire(1, 1)
    began = time.monotonic()
    with pytest.raises(JudgeUnavailable, match="rpm=1"):
        await shared.acquire(1, 0.2)
    assert time.monotonic() - began < 1


@with_limits(concurrency=1)
async def test_too_few_requests_at_a_time_are_an_error_that_names_it(shared):
    await shared.acquire(1, 1)
    with pytest.raises(JudgeUnavailable, match="concurrency=1"):
        await shared.acquire(1, 0.1)


@with_limits(concurrency=1, request_timeout=0.1)
async def test_a_lease_whose_owner_died_comes_back(shared):
    await shared.acquire(1, 1)
    began = time.monotonic()
    lease = await shared.acquire(1, 5)
    assert 1 < time.monotonic() - began < 4
    await shared.release(lease)
    # Given back twice, it counts once.
    await shared.release(lease)
    assert shared._free == 1


@with_limits(concurrency=1)
async def test_a_waiter_that_is_cancelled_takes_nothing(shared):
    lease = await shared.acquire(1, 1)
    waiter = asyncio.ensure_future(shared.acquire(1, 5))
    await asyncio.sleep(0.01)
    waiter.cancel()
    await shared.release(lease)
    await asyncio.wait_for(shared.acquire(1, 1), 1)


def test_retries_go_before_first_attempts_that_came_earlier():
    async def scenario(shared):
        order = []

        async def one(name, retry):
            lease = await shared.acquire(1, 30, retry=retry)
            order.append(name)
            await shared.release(lease)

        lease = await shared.acquire(1, 30)
        waiting = []
        for name in ("first 1", "first 2", "retry 1", "first 3", "retry 2"):
            waiting.append(asyncio.ensure_future(one(name, name.startswith("retry"))))
            await asyncio.sleep(0)
        await shared.release(lease)
        await asyncio.gather(*waiting)
        return order

    expected = ["retry 1", "retry 2", "first 1", "first 2", "first 3"]
    assert run(scenario, concurrency=1) == expected
    # Those who wait for the rate hold no slot that would put a retry behind them.
    assert run(scenario, concurrency=64, rpm=600) == expected


@with_limits(concurrency=1)
async def test_who_waits_in_vain_leaves_the_queue_to_others(shared):
    lease = await shared.acquire(1, 30)
    with pytest.raises(NoPermission):
        await shared.acquire(1, 0)
    waiter = asyncio.ensure_future(shared.acquire(1, 30))
    await asyncio.sleep(0)
    await shared.release(lease)
    await shared.release(await waiter)
    assert shared._free == 1 and not shared._queue


@with_limits(breaker_failures=3, breaker_cooldown=0.2)
async def test_breaker_opens_cools_tries_once_and_closes(shared):
    async def fails():
        await shared.report(Tally(asked=1, failed=1), healthy=False)

    async def refused():
        with pytest.raises(CircuitOpen, match="no request for another"):
            await shared.acquire(1, 1)

    for _ in range(2):
        await fails()
        await shared.release(await shared.acquire(1, 1))
    # A reply that cannot be used says nothing about the service.
    await shared.report(Tally(), healthy=None)
    await fails()
    await refused()
    await asyncio.sleep(0.21)
    await shared.release(await shared.acquire(1, 1))
    await refused()
    await fails()
    await refused()
    await asyncio.sleep(0.21)
    await shared.release(await shared.acquire(1, 1))
    await shared.report(Tally(asked=1), healthy=True)
    await shared.release(await shared.acquire(1, 1))


@with_limits(concurrency=1, breaker_failures=1)
async def test_those_who_wait_when_it_opens_are_refused_too(shared):
    lease = await shared.acquire(1, 1)
    waiter = asyncio.ensure_future(shared.acquire(1, 5))
    await asyncio.sleep(0.01)
    await shared.report(Tally(), healthy=False)
    await shared.release(lease)
    with pytest.raises(CircuitOpen):
        await waiter
    assert shared._free == 1


@with_limits(price_input=2.0, price_output=8.0)
async def test_figures_of_a_step(shared):
    for i in range(100):
        one = Tally(asked=1, requests=2, input_tokens=400, output_tokens=30, latencies=[i / 100])
        await shared.report(one, healthy=True)
    await shared.report(Tally(asked=50, cached=50, cache_errors=1))
    await shared.report(Tally(asked=10, failed=10), healthy=False)
    metrics, fatal = await shared.end_step()
    again, _ = await shared.end_step()
    assert fatal is None
    assert metrics == pytest.approx(
        {
            "judge/asked": 160,
            "judge/fail_rate": 10 / 160,
            "judge/cache_hit_rate": 50 / 160,
            "judge/requests": 200,
            "judge/tokens": 43_000,
            "judge/cost_usd": 100 * (400 * 2 + 30 * 8) / 1e6,
            "judge/cache_errors": 1,
            "judge/latency_p50": 0.5,
            "judge/latency_p99": 0.99,
        }
    )
    assert again["judge/asked"] == 0 == again["judge/fail_rate"] and "judge/latency_p50" not in again


@pytest.mark.parametrize(
    ("options", "usd"),
    [
        ({}, 2 + 8),
        ({"model": "another"}, None),
        ({"model": "another", "price_input": 0.5}, 0.5),
        ({"model": "another", "price_input": 0.5, "price_output": 1.5}, 2.0),
        ({"price_input": 1.0, "price_output": 0.0}, 1.0),
        ({"backend": "local", "model": "served"}, None),
    ],
)
def test_a_price_belongs_to_its_model(options, usd):
    # A million tokens each way.
    metrics = Tally(asked=1, input_tokens=10**6, output_tokens=10**6).metrics(JudgeConfig(**options))
    assert metrics.get("judge/cost_usd") == usd and metrics["judge/tokens"] == 2 * 10**6


@with_limits(abort_share=0.2, abort_steps=2)
async def test_a_run_is_stopped_after_bad_steps_in_a_row_only(shared):
    async def step(failed):
        await shared.report(Tally(asked=10, failed=failed))
        return (await shared.end_step())[1]

    assert [await step(failed) for failed in (3, 2, 3)] == [None] * 3
    # A step without captions is neither good nor bad.
    assert (await shared.end_step())[1] is None
    assert "failed for 100% of this step's captions" in await step(10)


@with_limits()
async def test_a_run_can_be_condemned_at_its_start(shared):
    await shared.condemn("no judge")
    assert (await shared.end_step())[1] == "no judge"
