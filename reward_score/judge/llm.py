# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""The LLM judge: cache, limiter, retries and deadline around one question to a chat model."""

import asyncio
import logging
import os
import random
import threading
import time
import weakref
from collections.abc import Coroutine, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar

from reward_score.errors import BadOption, JudgeUnavailable
from reward_score.judge import prompt
from reward_score.judge.cache import VerdictCache, make_key
from reward_score.judge.client import ChatClient, Completion, NoCompletion, Refused, Transient, Unusable, import_openai
from reward_score.judge.config import JudgeConfig
from reward_score.judge.job_limits import Coordinator, Limiter, NoPermission
from reward_score.judge.usage import Tally
from reward_score.judge.verdict import Verdict
from reward_score.sample import CaptionPair

if TYPE_CHECKING:
    import tenacity

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
    """The one event loop of this process that talks to judges, on a thread of its own: callers may have any loop, or
    none, and as many requests can be in flight as there are callers."""
    # lru_cache lets callers that come at one time each make a value.
    with _starting:
        return _start_loop()


@lru_cache(maxsize=1)
def _start_loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name=_THREAD, daemon=True).start()
    return loop


def _after_fork() -> None:
    """In a forked process: its parent's threads are not there, and who waited for them would wait for ever."""
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


def _close(client: ChatClient) -> None:
    """Close connections, or aiohttp complains at the end of every command."""
    closing = _submit(client.close())
    # Garbage may be collected on the loop's own thread, which must not wait for itself.
    if threading.current_thread().name != _THREAD:
        closing.result(2)


@dataclass(slots=True)
class _Question:
    """A verdict on its way: estimated tokens per request, its counts, the lease of its first request until that begins,
    and when it must be there."""

    tokens: int
    tally: Tally
    lease: int | None
    deadline: float
    last_failure: JudgeUnavailable | None = None

    @property
    def seconds_left(self) -> float:
        return max(0.0, self.deadline - time.monotonic())


class LLMJudge:
    """A chat model as judge of captions; safe to share between threads and event loops of a process.

    Args:
        config: the options.
        limiter: what the judges of the whole job share; default: a coordinator of this process.
    """

    def __init__(self, config: JudgeConfig, limiter: Limiter | None = None) -> None:
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
        self._client: ChatClient | None = None
        self._closing: weakref.finalize | None = None
        # Both belong to the judge's loop. Who waits for a slot does not yet wait for the limiter, where time runs out.
        self._running: dict[bytes, asyncio.Task[Verdict | JudgeUnavailable]] = {}
        self._slots = asyncio.Semaphore(4 * self.config.concurrency)

    def start_anew(self) -> None:
        """Begin again in a forked process, with connections of its own."""
        if self._closing is not None:
            self._closing.detach()
        _inherited.append((self._client, self.cache, self._running))
        if isinstance(self.limiter, Coordinator):
            self.limiter.start_anew()
        self._start()

    def judge(self, pairs: Sequence[CaptionPair]) -> list[Verdict]:
        """One verdict per pair, in order.

        Raises:
            JudgeUnavailable: a verdict could not be had; those of the other pairs are in the cache by then.
        """
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
        """One verdict past the cache, with its tokens and latency.

        Raises:
            JudgeUnavailable: there is none; the message says what to set.
        """
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
        """One verdict, past the cache."""
        config = self.config
        if self._client is None:
            await self._connect()
        # Three characters of English make less than a token; the estimate only paces `tpm`.
        tokens = sum(len(message["content"]) for message in self._messages(pair)) // 3 + config.max_tokens
        lease = await self.limiter.acquire(tokens, config.queue_limit)
        question = _Question(tokens, tally, lease, time.monotonic() + config.deadline)
        try:
            verdict = await asyncio.wait_for(self._ask(pair, question), config.deadline)
        except (TimeoutError, asyncio.TimeoutError, NoPermission):
            last = f"; before that: {question.last_failure}" if question.last_failure else ""
            raise Transient(f"no verdict within the deadline of {config.deadline:g} s{last}") from None
        tally.latencies.append(time.monotonic() - question.deadline + config.deadline)
        return verdict

    async def _connect(self) -> None:
        # The import takes a second or more, in which other verdicts' clocks run.
        await asyncio.to_thread(import_openai)
        if self._client is None:
            self._client = ChatClient(self.config)
            self._closing = weakref.finalize(self, _close, self._client)

    def _messages(self, pair: CaptionPair, again: bool = False) -> list[dict[str, str]]:
        return prompt.messages(pair, self.config.rubric, self.config.system_role, again)

    async def _ask(self, pair: CaptionPair, question: _Question) -> Verdict:
        """Ask, and ask once more if the reply cannot be used."""
        reason = None
        for again in (False, True):
            try:
                reply = await self._request(self._messages(pair, again), question)
                question.tally.input_tokens += reply.input_tokens
                question.tally.output_tokens += reply.output_tokens
                return prompt.read_reply(reply.content, reply.refusal, reply.cut, pair)
            except (prompt.BadReply, NoCompletion) as error:
                reason = error
        if isinstance(reason, NoCompletion):
            raise reason
        raise Unusable(f"no usable reply, asked twice: {reason}")

    async def _request(self, messages: list[dict[str, str]], question: _Question) -> Completion:
        """One reply, however many attempts it takes within the deadline."""
        import tenacity

        attempts = tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception_type(Transient),
            wait=self._pause,
            stop=lambda state: state.upcoming_sleep >= question.seconds_left,
            reraise=True,
        )
        return await attempts(self._attempt, messages, question)

    async def _attempt(self, messages: list[dict[str, str]], question: _Question) -> Completion:
        lease, question.lease = question.lease, None
        if lease is None:
            lease = await self.limiter.acquire(question.tokens, question.seconds_left, retry=True)
        question.tally.requests += 1
        try:
            return await self._client.complete(messages, self._extra)
        except JudgeUnavailable as error:
            question.last_failure = error
            raise
        finally:
            await self.limiter.release(lease)

    def _pause(self, state: "tenacity.RetryCallState") -> float:
        """Seconds before the next attempt: doubling with jitter, and never before the endpoint's Retry-After."""
        backoff = min(self.config.max_backoff, self.config.backoff * 2 ** (state.attempt_number - 1))
        asked = state.outcome.exception().retry_after
        # Jitter, so that hundreds of refused requests do not come back at one moment.
        return max(backoff * random.uniform(0.5, 1.0), asked and asked + random.uniform(0, 0.1 * self.config.backoff))


def _all(results: Sequence[Verdict | JudgeUnavailable]) -> list[Verdict]:
    """The verdicts.

    Raises:
        JudgeUnavailable: one of them is missing; the first one's reason.
    """
    failed = [result for result in results if isinstance(result, JudgeUnavailable)]
    if failed:
        raise JudgeUnavailable(f"{len(failed)} of {len(results)} captions have no verdict: {failed[0]}") from failed[0]
    return list(results)
