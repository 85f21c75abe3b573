# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Verdicts per second of a process: from an endpoint of known latency, next to the plain openai client; from the cache.

    python tests/benchmarks/bench_judge.py [--latency 0.5] [--verdicts 24]

The endpoint is a real HTTP server in another process. The best possible rate is concurrency / latency.
"""

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from reward_score.judge import JudgeConfig, LLMJudge, Verdict, prompt
from reward_score.sample import CaptionPair

SERVER = Path(__file__).parents[1] / "helpers/judge_server.py"
GOAL, CACHE_GOAL = 0.9, 10_000
REFERENCE = "The grasper retracts the gallbladder while the hook dissects the cystic duct from the liver bed."


def pairs(number: int, name: str) -> list[CaptionPair]:
    text = "a grasper holds the gallbladder and a hook cuts."
    return [CaptionPair(f"{name} {i}: {text}", REFERENCE) for i in range(number)]


def ours(url: str, concurrency: int, number: int) -> float:
    """Verdicts per second of one judge, asked as verl's reward worker does: one caption per coroutine."""
    judge = LLMJudge(JudgeConfig(base_url=url, concurrency=concurrency, cache=None))
    judge.probe()

    async def go():
        await asyncio.gather(*(judge.ajudge([pair]) for pair in pairs(number, f"ours {concurrency}")))

    began = time.perf_counter()
    asyncio.run(go())
    return number / (time.perf_counter() - began)


def plain(url: str, concurrency: int, number: int) -> float:
    """The same requests by the openai client as it comes, its replies unread."""
    import openai

    async def go():
        async with openai.AsyncOpenAI(base_url=url, api_key="none") as client:
            slots = asyncio.Semaphore(concurrency)

            async def one(pair):
                async with slots:
                    await client.chat.completions.create(
                        model="gpt-4.1",
                        messages=prompt.messages(pair, "comparative"),
                        temperature=0.0,
                        max_tokens=128,
                        response_format=prompt.RESPONSE_FORMAT,
                    )

            await one(pairs(1, "warm")[0])
            began = time.perf_counter()
            await asyncio.gather(*(one(pair) for pair in pairs(number, "plain")))
            return number / (time.perf_counter() - began)

    return asyncio.run(go())


def cached(number: int) -> tuple[float, float]:
    """Verdicts per second of a process that scores a finished run again: in one call, and caption by caption."""
    with tempfile.TemporaryDirectory() as folder:
        config = JudgeConfig(base_url="http://127.0.0.1:9/v1", cache=f"{folder}/judge.sqlite")
        asked = pairs(number, "cached")
        filler = LLMJudge(config)
        for pair in asked:
            [key], *_ = filler._look_up([pair])
            filler.cache.put(key, config.model, filler.prompt, Verdict(**dict.fromkeys(prompt.DIMENSIONS, 4)))
        filler.cache.close()
        rates = []
        for size in (number, 1):
            judge = LLMJudge(config)
            began = time.perf_counter()
            for i in range(0, number, size):
                judge.judge(asked[i : i + size])
            rates.append(number / (time.perf_counter() - began))
            judge.cache.close()
        return rates[0], rates[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--latency", type=float, default=0.5, help="seconds per reply")
    words = "times the concurrency; at 64 in flight 24 is a step of training"
    parser.add_argument("--verdicts", type=int, default=24, help=words)
    parser.add_argument("--cached", type=int, default=10_000, help="verdicts in the cache")
    args = parser.parse_args()
    os.environ.pop("OPENAI_BASE_URL", None)
    command = [sys.executable, SERVER, "--latency", str(args.latency)]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        url = f"http://127.0.0.1:{int(server.stdout.readline())}/v1"
        table = Table("in flight", "best possible/s", "ours/s", "of best", "", "plain openai client/s", "of best")
        for concurrency in (1, 8, 16, 32, 64):
            best, number = concurrency / args.latency, args.verdicts * concurrency
            rate, other = ours(url, concurrency, number), plain(url, concurrency, number)
            verdict = "reached" if rate >= GOAL * best else "MISSED"
            columns = (f"{rate:.1f}", f"{rate / best:.1%}", verdict, f"{other:.1f}", f"{other / best:.1%}")
            table.add_row(str(concurrency), f"{best:.0f}", *columns)
    finally:
        server.terminate()
    console = Console()
    console.print(table, f"goal: {GOAL:.0%} of concurrency / latency")
    batch, single = cached(args.cached)
    console.print(
        f"cached: {batch:,.0f} verdicts/s in one call, {single:,.0f}/s caption by caption (goal {CACHE_GOAL:,}: "
        f"{'reached' if batch >= CACHE_GOAL else 'MISSED'}, {'reached' if single >= CACHE_GOAL else 'MISSED'})"
    )


if __name__ == "__main__":
    main()
