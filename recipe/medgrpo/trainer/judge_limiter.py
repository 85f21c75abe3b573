# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""One coordinator for all judges of a Ray job: limits, circuit breaker and counts are the job's, not one process's."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable
from concurrent.futures import Future
from typing import Any

import ray

from recipe.medgrpo.scoring.training_options import job_options
from reward_score.config import ScoreConfig
from reward_score.errors import JudgeUnavailable
from reward_score.judge import JudgeConfig
from reward_score.judge.job_limits import Coordinator
from reward_score.judge.usage import Tally

logger = logging.getLogger(__name__)

#: Calls of one actor that may wait at the same time: all the job's verdicts, and their reports.
_WAITING = 100_000
#: Seconds for the actor's answer beyond the time that the answer itself may take.
_GRACE = 30.0


class JudgeAborted(RuntimeError):
    """Training was stopped because the judge fails; the message says how often and what to do."""


def _name() -> str:
    return f"medgrpo_judge_{ray.get_runtime_context().get_job_id()}"


def _actor(config: JudgeConfig) -> ray.actor.ActorHandle:
    """The job's coordinator, made by whoever needs it first; it ends with that process. Ray restarts it if it dies."""
    options = {"name": _name(), "get_if_exists": True, "num_cpus": 0, "max_concurrency": _WAITING, "max_restarts": -1}
    return ray.remote(Coordinator).options(**options).remote(config)


def start(reward: ScoreConfig) -> ray.actor.ActorHandle | None:
    """The coordinator of the LLM judge in ``medgrpo.reward``; None for another judge.

    The trainer must call this, and hold the result, before there are reward workers. Otherwise one of these would own
    it, and take limits, counts and the reason of its own end with it when it dies.
    """
    config = job_options(reward)
    return None if config is None else _actor(config)


class JobLimiter:
    """The job's coordinator with the methods that a judge needs of it; the options of the first process count."""

    def __init__(self, config: JudgeConfig) -> None:
        self._actor = _actor(config)

    async def acquire(self, tokens: int, wait: float, retry: bool = False) -> int:
        answer = self._actor.acquire.remote(tokens, wait, retry)
        try:
            return await self._ask(answer, wait)
        except asyncio.CancelledError:
            # There it waits on, and would hold its slot for nobody. (Ray's own `cancel` is lost at times.)
            answer.future().add_done_callback(self._give_back)
            raise

    def _give_back(self, lease: Future[int]) -> None:
        if lease.exception() is None:
            self._actor.release.remote(lease.result())

    async def release(self, lease: int) -> None:
        self._actor.release.remote(lease)

    async def report(self, tally: Tally, healthy: bool | None = None) -> None:
        self._actor.report.remote(tally, healthy)

    async def fail(self, group: str) -> None:
        """Count an answer of this group that has got no verdict; awaited, so that it counts for the answer's step."""
        await self._ask(self._actor.fail.remote(group), 0)

    def condemn(self, message: str) -> None:
        """Have `step_metrics` stop the run with this message."""
        ray.get(self._actor.condemn.remote(message), timeout=_GRACE)

    async def _ask(self, answer: Awaitable[Any], wait: float) -> Any:
        async def answered() -> Any:
            return await answer

        try:
            return await asyncio.wait_for(answered(), wait + _GRACE)
        except ray.exceptions.RayTaskError as error:
            # Ray's own class repeats the actor's whole trace in its message.
            raise error.cause from None
        except (TimeoutError, asyncio.TimeoutError, ray.exceptions.RayError) as error:
            raise JudgeUnavailable(f"the job's judge limiter does not answer ({type(error).__name__})") from None


def step_metrics(actor: ray.actor.ActorHandle | None) -> dict[str, float]:
    """The judge's figures (``judge/*``, docs/judge.md) since the last call; {} without an LLM judge.

    It ends the judge's step: to be called by the trainer at every training step, and never for validation alone.

    Raises:
        JudgeAborted: more than ``abort_share`` of the verdicts failed in ``abort_steps`` steps in a row, the judge that
            verl serves did not answer at the start, or the coordinator is gone.
    """
    if actor is None:
        return {}
    try:
        metrics, fatal = ray.get(actor.end_step.remote(), timeout=_GRACE)
    except ray.exceptions.ActorUnavailableError:
        logger.warning("the job's judge limiter restarts: no judge/* figures of this step")
        return {}
    except (ray.exceptions.RayActorError, ray.exceptions.GetTimeoutError) as error:
        raise JudgeAborted(
            f"the job's judge limiter does not answer ({type(error).__name__}): without it nobody is judged. Ray's "
            "logs say why its process ended; start the run again to go on from the last checkpoint"
        ) from error
    if fatal is not None:
        raise JudgeAborted(fatal)
    return metrics


def failed_by_group(actor: ray.actor.ActorHandle | None) -> dict[str, int]:
    """Group -> its answers without a verdict since the last call; {} without an LLM judge."""
    if actor is None:
        return {}
    try:
        return ray.get(actor.pop_failed.remote(), timeout=_GRACE)
    except ray.exceptions.RayError:
        return {}
