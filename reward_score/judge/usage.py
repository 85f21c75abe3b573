# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Counts of what judges did, to be added up over processes and read once per step."""

import math
from dataclasses import dataclass, field, fields

from reward_score.judge.config import JudgeConfig

#: Latencies kept for the percentiles of a step, newest last.
MAX_LATENCIES = 100_000


@dataclass(slots=True)
class Tally:
    """What happened since the last reading.

    Args:
        asked: verdicts asked for, cached ones included.
        cached: of these, answered by the cache.
        failed: of these, not to be had.
        similarity_only: captions scored without a judge because their group lost it (``on_failure=similarity_only``).
        requests: HTTP requests, retries included.
        input_tokens, output_tokens: as the endpoint counted them.
        cache_errors: reads and writes of the cache file that failed.
        latencies: seconds per verdict that was got from the endpoint, from its first request.
    """

    asked: int = 0
    cached: int = 0
    failed: int = 0
    similarity_only: int = 0
    requests: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cache_errors: int = 0
    latencies: list[float] = field(default_factory=list)

    def add(self, other: "Tally") -> None:
        """Add another tally to this one."""
        for one in fields(self):
            setattr(self, one.name, getattr(self, one.name) + getattr(other, one.name))
        del self.latencies[:-MAX_LATENCIES]

    @property
    def fail_rate(self) -> float:
        return self.failed / self.asked if self.asked else 0.0

    def metrics(self, config: JudgeConfig) -> dict[str, float]:
        """Figures for a log, all under ``judge/``; shares in [0, 1], latencies in seconds, cost in USD if known."""
        latencies = sorted(self.latencies)
        metrics = {
            "asked": self.asked,
            "fail_rate": self.fail_rate,
            "cache_hit_rate": self.cached / self.asked if self.asked else 0.0,
            "similarity_only": self.similarity_only,
            "requests": self.requests,
            "tokens": self.input_tokens + self.output_tokens,
            "cache_errors": self.cache_errors,
        }
        cost = config.cost(self.input_tokens, self.output_tokens)
        if not math.isnan(cost):
            metrics["cost_usd"] = cost
        for name, share in (("latency_p50", 0.5), ("latency_p99", 0.99)) if latencies else ():
            metrics[name] = latencies[min(len(latencies) - 1, int(share * len(latencies)))]
        return {f"judge/{name}": float(value) for name, value in metrics.items()}
