# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Counts of what judges did, to be added up over processes and read once per step."""

import math
from dataclasses import dataclass, field, fields

from reward_score.judge.config import JudgeConfig


@dataclass(slots=True)
class Tally:
    """What happened since the last reading; `latencies` are seconds from a verdict's first request."""

    asked: int = 0
    cached: int = 0
    failed: int = 0
    requests: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cache_errors: int = 0
    latencies: list[float] = field(default_factory=list)

    def add(self, other: "Tally") -> None:
        """Add another tally to this one."""
        for one in fields(self):
            setattr(self, one.name, getattr(self, one.name) + getattr(other, one.name))

    @property
    def fail_rate(self) -> float:
        return self.failed / max(1, self.asked)

    def metrics(self, config: JudgeConfig) -> dict[str, float]:
        """Figures for a log, all under ``judge/``; shares in [0, 1], latencies in seconds, cost in USD if known."""
        metrics: dict[str, float] = {
            "asked": self.asked,
            "fail_rate": self.fail_rate,
            "cache_hit_rate": self.cached / max(1, self.asked),
            "requests": self.requests,
            "tokens": self.input_tokens + self.output_tokens,
            "cache_errors": self.cache_errors,
        }
        if not math.isnan(cost := config.cost(self.input_tokens, self.output_tokens)):
            metrics["cost_usd"] = cost
        if latencies := sorted(self.latencies):
            metrics["latency_p50"] = latencies[len(latencies) // 2]
            metrics["latency_p99"] = latencies[int(0.99 * len(latencies))]
        return {f"judge/{name}": float(value) for name, value in metrics.items()}
