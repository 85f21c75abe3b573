# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""What all judges of one job share: the limiter, the circuit breaker and the counts. In training one Ray actor holds
them for all processes (recipe/medgrpo/trainer/judge_limiter.py); elsewhere each process has its own.
"""

import asyncio
import heapq
import itertools
import time
from collections import Counter
from typing import NamedTuple

from reward_score.errors import JudgeUnavailable
from reward_score.judge.config import JudgeConfig
from reward_score.judge.usage import Tally


class CircuitOpen(JudgeUnavailable):
    """The judge has failed so often in a row that no request is made for a while."""


class NoPermission(JudgeUnavailable):
    """The limits let no request go within the time that its verdict has."""


class _Turn(NamedTuple):
    """A request that waits; retries sort first, because their deadline runs."""

    first_attempt: bool
    number: int
    tokens: int
    granted: "asyncio.Future[None]"


class Coordinator:
    """Limiter, breaker and counts of one job, for use in one event loop."""

    def __init__(self, config: JudgeConfig) -> None:
        self.config = config
        self.start_anew()

    def start_anew(self) -> None:
        """Forget what runs, waits and was counted: at the beginning, and in a forked process."""
        config = self.config
        self._free = config.concurrency
        self._queue: list[_Turn] = []
        self._wake: asyncio.TimerHandle | None = None
        self._leases: dict[int, asyncio.TimerHandle] = {}
        self._ids = itertools.count()
        self._seconds_per_request = 60 / config.rpm if config.rpm else 0.0
        self._seconds_per_token = 60 / config.tpm if config.tpm else 0.0
        self._next_departure = 0.0
        self._failures = 0
        self._open_until = 0.0
        self._tally = Tally()
        self._failed: Counter[str] = Counter()
        self._bad_steps = 0
        self._fatal: str | None = None

    async def acquire(self, tokens: int, wait: float, retry: bool = False) -> int:
        """Wait until one request of about `tokens` tokens may go; returns a lease to be given back by `release`.

        Raises:
            CircuitOpen: the breaker is open.
            NoPermission: none within `wait` seconds.
        """
        self._check_breaker()
        loop = asyncio.get_running_loop()
        turn = _Turn(not retry, next(self._ids), tokens, loop.create_future())
        heapq.heappush(self._queue, turn)
        self._grant()
        try:
            await asyncio.wait([turn.granted], timeout=wait)
            # To cancel what is granted already has no effect.
            if turn.granted.cancel():
                limits = {name: getattr(self.config, name) for name in ("concurrency", "rpm", "tpm")}
                shown = ", ".join(f"{name}={value}" for name, value in limits.items() if value)
                raise NoPermission(
                    f"no permission for a request within {wait:.0f} s: "
                    f"the job's limits ({shown}) are too low for its needs"
                )
            self._check_breaker()
        except BaseException:
            turn.granted.cancel()
            if not turn.granted.cancelled():
                self._give_back()
            raise
        if self._open_until:
            # Half open: this request tries, the others wait for another cooling time or for its success.
            self._open_until = time.monotonic() + self.config.breaker_cooldown
        # A second more than the request itself may take, so that only dead owners lose their lease.
        self._leases[turn.number] = loop.call_later(self.config.request_timeout + 1, self._end, turn.number)
        return turn.number

    def _grant(self) -> None:
        """Let those go whose turn it is, as far as the limits allow now."""
        if self._wake is not None:
            self._wake.cancel()
            self._wake = None
        while self._free and self._queue:
            turn = self._queue[0]
            if not turn.granted.done():
                now = time.monotonic()
                if (pause := self._next_departure - now) > 0:
                    self._wake = asyncio.get_running_loop().call_later(pause, self._grant)
                    return
                # Evenly spaced, without bursts.
                self._next_departure = now + max(self._seconds_per_request, turn.tokens * self._seconds_per_token)
                self._free -= 1
                turn.granted.set_result(None)
            heapq.heappop(self._queue)

    def _give_back(self) -> None:
        self._free += 1
        self._grant()

    async def release(self, lease: int) -> None:
        """The request of this lease has ended."""
        self._end(lease)

    def _end(self, lease: int) -> None:
        if timer := self._leases.pop(lease, None):
            timer.cancel()
            self._give_back()

    def _check_breaker(self) -> None:
        if (left := self._open_until - time.monotonic()) > 0:
            raise CircuitOpen(
                f"the judge failed {self._failures} times in a row; no request for another {left:.0f} s "
                "(breaker_failures, breaker_cooldown)"
            )

    async def report(self, tally: Tally, healthy: bool | None = None) -> None:
        """Add to the counts; `healthy` says whether the service worked for a verdict, None if that does not show."""
        self._tally.add(tally)
        if healthy:
            self._failures, self._open_until = 0, 0.0
        elif healthy is False:
            self._failures += 1
            if self._failures >= self.config.breaker_failures:
                self._open_until = time.monotonic() + self.config.breaker_cooldown

    async def fail(self, group: str) -> None:
        """An answer of this group has got no verdict."""
        self._failed[group] += 1

    async def pop_failed(self) -> dict[str, int]:
        """Group -> its answers without a verdict since the last call."""
        failed, self._failed = self._failed, Counter()
        return dict(failed)

    async def condemn(self, message: str) -> None:
        """Have the run stopped at the end of this step, with this message."""
        self._fatal = message

    async def end_step(self) -> tuple[dict[str, float], str | None]:
        """Metrics since the last call, and why the run must stop now, None if it need not."""
        tally, self._tally = self._tally, Tally()
        config = self.config
        if tally.asked:
            self._bad_steps = self._bad_steps + 1 if tally.fail_rate > config.abort_share else 0
        if self._fatal is None and self._bad_steps >= config.abort_steps:
            self._fatal = (
                f"the judge {config.name} failed for {tally.fail_rate:.0%} of this step's captions, and for more than "
                f"{config.abort_share:.0%} in {self._bad_steps} steps in a row (abort_share, abort_steps). "
                "See the reasons in the log above; `medgrpo judge probe` asks it for one verdict"
            )
        return tally.metrics(config), self._fatal
