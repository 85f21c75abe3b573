# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Cross-dataset reward normalization: one scale for every (source, task), from the percentiles of the SFT model.

MedGRPO: ``r(x) = 1 / (1 + exp(-k (x - p50) / IQR))`` with k = 3 and IQR = p75 - p25 of the SFT model's scores on the
pair. A pair's median becomes 0.5, so that an easy data set pays no more than a hard one. The other methods exist to
test that claim on the same rewards, and are explained in docs/rewards.md. All but the controls ``shift`` and ``scale``
map to [0, 1]: a negative value would make an unparsable answer, which is 0, the better one.
"""

import math
import threading
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, get_args

from reward_score.errors import BadOption, NormalizationError
from reward_score.normalization.artifact import ALL_SOURCES, Artifact, Entry, Key

Method = Literal["none", "logistic", "linear", "shift", "scale", "zscore", "ema", "rank"]
METHODS: tuple[str, ...] = get_args(Method)

SPREAD_FLOOR = 0.02
MAX_EXPONENT = 30.0
MIN_OBSERVATIONS = 32
EMA_DECAY = 0.99


class Normalizer:
    """Maps raw components to one scale, per (source, task, component); safe to share between threads.

    Args:
        artifact: percentiles; needed by every method but ``none``.
        method: one of METHODS; see docs/rewards.md.
        k: slope of ``logistic``, ``linear`` and ``scale`` at the median, per IQR.

    Raises:
        BadOption: unknown method, or k not positive.
        NormalizationError: the method needs an artifact and there is none.

    Example:
        >>> from reward_score import Artifact, Normalizer, Provenance
        >>> scores = {("CoPESD", "stg", "raw"): [i / 100 for i in range(101)]}
        >>> artifact = Artifact.from_observations(scores, Provenance(model="sft", split="train", decoding="greedy"))
        >>> normalizer = Normalizer(artifact, "logistic")
        >>> [round(normalizer(raw, "CoPESD", "stg", "raw"), 3) for raw in (0.25, 0.5, 1.0)]
        [0.182, 0.5, 0.953]
    """

    def __init__(self, artifact: Artifact | None = None, method: Method = "none", k: float = 3.0) -> None:
        if method not in METHODS:
            raise BadOption(f"normalization {method!r} is unknown; known: {', '.join(METHODS)}")
        if not 0 < k < math.inf:
            raise BadOption(f"slope k must be positive, not {k!r}")
        if artifact is None and method != "none":
            raise NormalizationError(
                f"normalization {method!r} needs the option `artifact`, a file that `medgrpo calibrate` writes from "
                "the SFT model's answers; or set normalization=none"
            )
        self.artifact, self.method, self.k = artifact, method, k
        self._moments: dict[Key, tuple[float, float]] = {}
        self._lock = threading.Lock()

    def __call__(self, value: float, source: str, task: str, component: str) -> float:
        """Normalized value of one raw component."""
        if self.method == "none":
            return value
        entry = self._entry((source, task, component))
        if self.method == "rank":
            grid = entry.quantiles
            return (bisect_left(grid, value) + bisect_right(grid, value)) / (2 * len(grid))
        if self.method in ("zscore", "ema"):
            mean, std = self._mean_std((source, task, component), entry)
            return min(1.0, max(0.0, 0.5 + (value - mean) / (6 * std)))
        if self.method == "shift":
            return 0.5 + (value - entry.p50)
        spread = max(entry.p75 - entry.p25, SPREAD_FLOOR)
        if self.method == "scale":
            return self.k * value / (4 * spread)
        distance = self.k * (value - entry.p50) / spread
        if self.method == "linear":
            return min(1.0, max(0.0, 0.5 + distance / 4))
        return 1 / (1 + math.exp(-min(MAX_EXPONENT, max(-MAX_EXPONENT, distance))))

    def _entry(self, key: Key) -> Entry:
        self.check([key])
        entry = self.artifact.find(key)
        if entry.n >= MIN_OBSERVATIONS:
            return entry
        # Few observations: the percentiles of the task over all sources.
        return self.artifact.find((ALL_SOURCES, *key[1:])) or entry

    def _mean_std(self, key: Key, entry: Entry) -> tuple[float, float]:
        if self.method == "ema" and key in self._moments:
            mean, square = self._moments[key]
            return mean, max(SPREAD_FLOOR, math.sqrt(max(0.0, square - mean * mean)))
        return entry.mean, max(SPREAD_FLOOR, entry.std)

    def observe(self, values: Mapping[Key, Sequence[float]]) -> None:
        """Let the running statistics of ``ema`` follow one training step, given the raw components of its answers."""
        if self.method != "ema":
            return
        with self._lock:
            for key, batch in values.items():
                if not batch:
                    continue
                entry = self._entry(key)
                mean, square = self._moments.get(key, (entry.mean, entry.std**2 + entry.mean**2))
                new = math.fsum(batch) / len(batch), math.fsum(x * x for x in batch) / len(batch)
                self._moments[key] = tuple(
                    EMA_DECAY * before + (1 - EMA_DECAY) * now for before, now in zip((mean, square), new, strict=True)
                )

    def check(self, keys: Iterable[Key]) -> None:
        """Raise NormalizationError, naming every (source, task, component) of the data that the artifact lacks."""
        # Without normalization an artifact is only carried along.
        if self.artifact is None or self.method == "none":
            return
        if missing := sorted({key for key in keys if self.artifact.find(key) is None}):
            raise NormalizationError(
                f"the normalization artifact {self.artifact.hash[:12]} (model {self.artifact.provenance.model}) lacks "
                f"{', '.join('|'.join(key) for key in missing)}; run `medgrpo calibrate` on data that holds these "
                "pairs, or take the rows out"
            )

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint must keep, JSON-able."""
        return {
            "method": self.method,
            "k": self.k,
            "artifact": self.artifact.hash if self.artifact else None,
            "moments": {"|".join(key): list(moments) for key, moments in self._moments.items()},
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from a checkpoint.

        Raises:
            NormalizationError: method, slope or artifact are not those of the checkpoint.
        """
        own = self.state_dict()
        changed = [name for name in ("method", "k", "artifact") if state.get(name) != own[name]]
        if changed:
            raise NormalizationError(
                "the checkpoint was trained with another normalization: "
                + ", ".join(f"{name} {state.get(name)!r}, now {own[name]!r}" for name in changed)
                + "; continue with the former one, or start a new run"
            )
        with self._lock:
            self._moments = {tuple(text.split("|")): tuple(pair) for text, pair in state["moments"].items()}
