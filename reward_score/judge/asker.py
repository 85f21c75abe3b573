# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""One question to a chat model, with limiter, retries and deadline; judges and authors of captions both ask so."""

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from reward_score.errors import JudgeUnavailable
from reward_score.judge.client import ChatClient, Completion, NoCompletion, Transient, Unusable, import_openai
from reward_score.judge.config import JudgeConfig
from reward_score.judge.job_limits import Coordinator, NoPermission
from reward_score.judge.prompt import BadReply
from reward_score.judge.usage import Tally

if TYPE_CHECKING:
    import tenacity

_T = TypeVar("_T")
_Messages = list[dict[str, Any]]


@dataclass(slots=True)
class _Question:
    """An answer on its way."""

    #: Of one request, estimated.
    tokens: int
    tally: Tally
    #: Of its first request, until that begins.
    lease: int | None
    deadline: float
    last_failure: JudgeUnavailable | None = None

    @property
    def seconds_left(self) -> float:
        return max(0.0, self.deadline - time.monotonic())


class Asker:
    """Asks one endpoint, for use in one event loop; `limiter` is the job's, here or in another process, `extra`
    are further fields of a request."""

    def __init__(
        self, config: JudgeConfig, limiter: Coordinator, extra: dict[str, Any], key_variable: str = "OPENAI_API_KEY"
    ) -> None:
        self.config, self.limiter = config, limiter
        self._extra, self._key_variable = extra, key_variable
        self._client: ChatClient | None = None

    async def ask(
        self, messages: Callable[[bool], _Messages], read: Callable[[Completion], _T], tokens: int, tally: Tally
    ) -> _T:
        """What `read` makes of the reply; if it raises `BadReply`, the model is asked once more, by ``messages(True)``.

        Raises:
            JudgeUnavailable: there is no usable reply.
        """
        config = self.config
        if self._client is None:
            # The import takes a second or more, in which other answers' clocks run.
            await asyncio.to_thread(import_openai)
            self._client = self._client or ChatClient(config, self._key_variable)
        lease = await self.limiter.acquire(tokens, config.queue_limit)
        question = _Question(tokens, tally, lease, time.monotonic() + config.deadline)
        try:
            answer = await asyncio.wait_for(self._ask(messages, read, question), config.deadline)
        except (TimeoutError, asyncio.TimeoutError, NoPermission):
            last = f"; before that: {question.last_failure}" if question.last_failure else ""
            raise Transient(f"no verdict within the deadline of {config.deadline:g} s{last}") from None
        tally.latencies.append(time.monotonic() - question.deadline + config.deadline)
        return answer

    @property
    def connected(self) -> bool:
        return self._client is not None

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.close()

    async def _ask(
        self, messages: Callable[[bool], _Messages], read: Callable[[Completion], _T], question: _Question
    ) -> _T:
        reason = None
        for again in (False, True):
            try:
                reply = await self._request(messages(again), question)
                question.tally.input_tokens += reply.input_tokens
                question.tally.output_tokens += reply.output_tokens
                return read(reply)
            except (BadReply, NoCompletion) as error:
                reason = error
        if isinstance(reason, NoCompletion):
            raise reason
        raise Unusable(f"no usable reply, asked twice: {reason}")

    async def _request(self, messages: _Messages, question: _Question) -> Completion:
        """One reply, however many attempts it takes within the deadline."""
        import tenacity

        attempts = tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception_type(Transient),
            wait=self._pause,
            stop=lambda state: state.upcoming_sleep >= question.seconds_left,
            reraise=True,
        )
        return await attempts(self._attempt, messages, question)

    async def _attempt(self, messages: _Messages, question: _Question) -> Completion:
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
