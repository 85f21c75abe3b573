# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""The LLM judge: a cache around the verdicts of a chat model, each asked for once."""

import asyncio
import logging
import os
import threading
import weakref
from collections.abc import Coroutine, Sequence
from concurrent.futures import Future
from functools import lru_cache
from typing import Any, TypeVar

from reward_score.errors import BadOption, JudgeUnavailable
from reward_score.judge import prompt
from reward_score.judge.asker import Asker
from reward_score.judge.cache import VerdictCache, make_key
from reward_score.judge.client import Completion, Refused, Transient
from reward_score.judge.config import JudgeConfig
from reward_score.judge.job_limits import Coordinator
from reward_score.judge.usage import Tally
from reward_score.judge.verdict import Verdict
from reward_score.sample import CaptionPair

logger = logging.getLogger(__name__)

_T = TypeVar("_T")
_THREAD = "judge"
PROBE = CaptionPair("The grasper retracts the gallbladder.", "A grasper lifts the gallbladder while the hook dissects.")

# Reentrant: garbage that is collected in the call closes clients, and that needs the loop too.
_starting = threading.RLock()
_judges: "weakref.WeakSet[LLMJudge]" = weakref.WeakSet()
# What a forked process must neither use nor close: connections that are its parent's.
_inherited: list[Any] = []


def _loop() -> asyncio.AbstractEventLoop:
    """The one event loop of this process that talks to judges, on a thread of its own: callers may have any."""
    # lru_cache lets callers that come at one time each make a value.
    with _starting:
        return _start_loop()


@lru_cache(maxsize=1)
def _start_loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name=_THREAD, daemon=True).start()
    return loop


def _after_fork() -> None:
    """In a forked process, which has none of its parent's threads."""
    global _starting
    _starting = threading.RLock()
    if _start_loop.cache_info().currsize:
        _inherited.append(_start_loop())
        _start_loop.cache_clear()
    for judge in list(_judges):
        judge.start_anew()


os.register_at_fork(after_in_child=_after_fork)


def _submit(work: Coroutine[Any, Any, _T]) -> "Future[_T]":
    return asyncio.run_coroutine_threadsafe(work, _loop())


def _close(asker: Asker) -> None:
    """Close connections, or aiohttp complains at the end of every command."""
    if not asker.connected:
        return
    closing = _submit(asker.close())
    # Garbage may be collected on the loop's own thread, which must not wait for itself.
    if threading.current_thread().name != _THREAD:
        closing.result(2)


class LLMJudge:
    """A chat model as judge of captions; safe to share between threads and event loops. `limiter` is the job's, with
    the methods of a `Coordinator`; default: one of this process."""

    def __init__(self, config: JudgeConfig, limiter: Coordinator | None = None) -> None:
        self.config, self.name = config, config.name
        self.prompt = prompt.version(config.rubric, config.system_role)
        self.limiter = limiter if limiter is not None else Coordinator(config)
        self._parameters = {"temperature": config.temperature, "max_tokens": config.max_tokens}
        self._extra = {"response_format": prompt.RESPONSE_FORMAT} if config.structured else {}
        self._start()
        _judges.add(self)

    def _start(self) -> None:
        """All that belongs to one process alone, and to the loop in it."""
        self.cache = VerdictCache(self.config.cache)
        self._asker = Asker(self.config, self.limiter, self._extra)
        self._closing = weakref.finalize(self, _close, self._asker)
        # Both belong to the judge's loop. Who waits for a slot does not yet wait for the limiter, where time runs out.
        self._running: dict[bytes, asyncio.Task[Verdict | JudgeUnavailable]] = {}
        self._slots = asyncio.Semaphore(4 * self.config.concurrency)

    def start_anew(self) -> None:
        """Begin again in a forked process, with connections of its own."""
        self._closing.detach()
        _inherited.append((self._asker, self.cache, self._running))
        if isinstance(self.limiter, Coordinator):
            self.limiter.start_anew()
        self._start()

    def expert(self) -> "LLMJudge":
        """The same model as judge of reasoning; its requests count against the same limits."""
        return LLMJudge(self.config.model_copy(update={"rubric": "reasoning"}), self.limiter)

    def judge(self, pairs: Sequence[CaptionPair]) -> list[Verdict]:
        """One verdict per pair. Raises JudgeUnavailable if one is missing; the others are in the cache by then."""
        return _all(self.attempt(pairs))

    async def ajudge(self, pairs: Sequence[CaptionPair]) -> list[Verdict]:
        """`judge` without blocking the caller's event loop."""
        keys, found, missing = self._look_up(pairs)
        if missing:
            found |= await asyncio.wrap_future(_submit(self._gather(missing)))
        return _all([found[key] for key in keys])

    def attempt(self, pairs: Sequence[CaptionPair]) -> list[Verdict | JudgeUnavailable]:
        """For each pair its verdict, or why there is none."""
        keys, found, missing = self._look_up(pairs)
        if missing:
            found |= _submit(self._gather(missing)).result()
        return [found[key] for key in keys]

    def probe(self) -> tuple[Verdict, Tally]:
        """One verdict past the cache, with its tokens and latency. Raises JudgeUnavailable, saying what to set."""
        tally = Tally(asked=1)
        return _submit(self._verdict(PROBE, tally)).result(), tally

    def _look_up(self, pairs: Sequence[CaptionPair]) -> tuple[list[bytes], dict, dict[bytes, CaptionPair]]:
        keys = [make_key(self.config.model, self.prompt, self._parameters, pair) for pair in pairs]
        found: dict[bytes, Verdict | JudgeUnavailable] = dict(self.cache.get_many(dict.fromkeys(keys)))
        missing = {key: pair for key, pair in zip(keys, pairs, strict=True) if key not in found}
        cached, errors = sum(key in found for key in keys), self.cache.pop_errors()
        if cached or errors:
            _submit(self.limiter.report(Tally(asked=cached, cached=cached, cache_errors=errors)))
        return keys, found, missing

    async def _gather(self, missing: dict[bytes, CaptionPair]) -> dict[bytes, Verdict | JudgeUnavailable]:
        tasks = [self._task(key, pair) for key, pair in missing.items()]
        return dict(zip(missing, await asyncio.gather(*map(asyncio.shield, tasks)), strict=True))

    def _task(self, key: bytes, pair: CaptionPair) -> "asyncio.Task[Verdict | JudgeUnavailable]":
        """The pair's running judgement, or a new one: equal answers of a group are asked about once."""
        if (task := self._running.get(key)) is None:
            task = self._running[key] = asyncio.ensure_future(self._judge_new(key, pair))
            task.add_done_callback(lambda _: self._running.pop(key, None))
        return task

    async def _judge_new(self, key: bytes, pair: CaptionPair) -> Verdict | JudgeUnavailable:
        tally, healthy = Tally(asked=1), None
        try:
            async with self._slots:
                verdict = await self._verdict(pair, tally)
            healthy = True
            await asyncio.to_thread(self.cache.put, key, self.config.model, self.prompt, verdict)
            return verdict
        except (JudgeUnavailable, BadOption) as error:
            tally.failed = 1
            healthy = False if isinstance(error, Transient | Refused) else None
            logger.warning("no verdict of judge %s: %s", self.name, error)
            if isinstance(error, BadOption):
                raise
            return error
        finally:
            tally.cache_errors = self.cache.pop_errors()
            await self.limiter.report(tally, healthy)

    async def _verdict(self, pair: CaptionPair, tally: Tally) -> Verdict:
        def messages(again: bool) -> list[dict[str, str]]:
            return prompt.messages(pair, self.config.rubric, self.config.system_role, again)

        def read(reply: Completion) -> Verdict:
            return prompt.read_reply(reply.content, reply.refusal, reply.cut, pair)

        # Three characters of English make less than a token; the estimate only paces `tpm`.
        tokens = sum(len(message["content"]) for message in messages(False)) // 3 + self.config.max_tokens
        return await self._asker.ask(messages, read, tokens, tally)


def _all(results: Sequence[Verdict | JudgeUnavailable]) -> list[Verdict]:
    failed = [result for result in results if isinstance(result, JudgeUnavailable)]
    if failed:
        raise JudgeUnavailable(f"{len(failed)} of {len(results)} captions have no verdict: {failed[0]}") from failed[0]
    return list(results)
