# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""The normalization artifact: the SFT model's score distribution per (source, task, component), as a JSON file."""

import hashlib
import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from reward_score.errors import NormalizationError
from reward_score.json_file import write_json
from reward_score.similarity import DEFAULT_ENCODER

#: Source of the entries that stand for all sources of a task together.
ALL_SOURCES = "*"
# (source, task, component).
Key = tuple[str, str, str]

REWARD_VERSION = "4"
_GRID = 101
Finite = Annotated[float, Field(allow_inf_nan=False)]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Entry(_Strict):
    """Distribution of one raw component over the SFT model's `n` answers, failures included as 0: percentiles, mean,
    population standard deviation, and the 0th, 1st, ... 100th percentile."""

    n: Annotated[int, Field(ge=1)]
    p25: Finite
    p50: Finite
    p75: Finite
    mean: Finite
    std: Annotated[Finite, Field(ge=0)]
    quantiles: Annotated[tuple[Finite, ...], Field(min_length=_GRID, max_length=_GRID)]

    @classmethod
    def of(cls, values: Sequence[float]) -> "Entry":
        ordered = sorted(map(float, values))
        mean = math.fsum(ordered) / len(ordered)
        std = math.sqrt(math.fsum((value - mean) ** 2 for value in ordered) / len(ordered))
        grid = tuple(_quantile(ordered, i / (_GRID - 1)) for i in range(_GRID))
        return cls(n=len(ordered), p25=grid[25], p50=grid[50], p75=grid[75], mean=mean, std=std, quantiles=grid)


def _quantile(ordered: Sequence[float], share: float) -> float:
    position = share * (len(ordered) - 1)
    low = math.floor(position)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (position - low)


class Provenance(_Strict):
    """Where the numbers come from.

    Args:
        model: name or path of the SFT checkpoint.
        split: data that was answered, e.g. ``train, at most 500 per pair, seed 0``.
        decoding: e.g. ``greedy, max_tokens 512``.
        judge: name of the judge whose grades were measured; grades of another judge are on another scale.
        similarity: name or folder of the sentence encoder, for the same reason.
        judge_prompt, judge_temperature: of an LLM judge, for the same reason; None for another.
        tag_raw: how TAG was scored.
        unjudged: answers left out because the judge gave no verdict.
        fingerprint: of the model's weights; None where they could not be read.
        rows: fingerprint of the rows' file. With both, the same answers have the same hash wherever model and rows lie.
        reward_version: version of the raw rewards, so that an artifact does not outlive a change of formula.
    """

    model: str
    split: str
    decoding: str
    judge: str = "lexical"
    similarity: str = DEFAULT_ENCODER
    judge_prompt: str | None = None
    judge_temperature: Finite | None = None
    tag_raw: str = "union"
    unjudged: Annotated[int, Field(ge=0)] = 0
    fingerprint: str | None = None
    rows: str | None = None
    reward_version: str = REWARD_VERSION


class Artifact(_Strict):
    """All entries by ``<source>|<task>|<component>``, and where they come from."""

    version: Literal[2] = 2
    provenance: Provenance
    entries: dict[str, Entry]

    @classmethod
    def from_observations(cls, observations: Mapping[Key, Sequence[float]], provenance: Provenance) -> "Artifact":
        """Artifact of raw components, with an entry for every pair and one for every task over all sources.

        Raises:
            NormalizationError: no observations at all, an empty list, or a value that is not finite.
        """
        pooled: dict[Key, list[float]] = {}
        for key, values in observations.items():
            if any("|" in part for part in key):
                raise NormalizationError(f"{key}: names must not contain '|', which separates them in the file")
            if not len(values) or not all(math.isfinite(value) for value in values):
                raise NormalizationError(f"{'|'.join(key)}: needs at least one observation, and finite ones only")
            pooled.setdefault((ALL_SOURCES, *key[1:]), []).extend(values)
        if not pooled:
            raise NormalizationError("no observations to calibrate on")
        entries = {"|".join(key): Entry.of(values) for key, values in {**observations, **pooled}.items()}
        return cls(provenance=provenance, entries=dict(sorted(entries.items())))

    def find(self, key: Key) -> Entry | None:
        """Entry of (source, task, component), or None."""
        return self.entries.get("|".join(key))

    @property
    def hash(self) -> str:
        """SHA-256 of the content, hexadecimal."""
        content = self.model_dump(mode="json")
        # A field that is added later, with a default, changes no hash.
        said = self.provenance.model_dump(mode="json", exclude_defaults=True)
        if said.keys() >= {"fingerprint", "rows"}:
            said = {key: value for key, value in said.items() if key not in ("model", "split")}
        content["provenance"] = said | {"reward_version": self.provenance.reward_version}
        text = json.dumps(content, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    def save(self, path: str | os.PathLike) -> Path:
        """Write the JSON file, whole or not at all; the hash is written with it."""
        return write_json(path, {"hash": self.hash, **self.model_dump(mode="json")})

    @classmethod
    def load(cls, path: str | os.PathLike) -> "Artifact":
        """Read the JSON file.

        Raises:
            NormalizationError: missing, not an artifact, or changed since it was written.
        """
        try:
            content = json.loads(Path(path).read_text(encoding="utf-8"))
            stored = content.pop("hash", None)
            artifact = cls.model_validate(content)
        except OSError as error:
            raise NormalizationError(f"cannot read the normalization artifact {path}: {error.strerror}") from None
        except (ValueError, AttributeError, TypeError, RecursionError) as error:
            raise NormalizationError(f"{path} is no normalization artifact: {error}") from None
        if stored != artifact.hash:
            raise NormalizationError(f"{path} was changed after it was written (hash mismatch); calibrate again")
        if artifact.provenance.reward_version != REWARD_VERSION:
            raise NormalizationError(
                f"{path} was made with reward version {artifact.provenance.reward_version}, this is {REWARD_VERSION}; "
                "calibrate again"
            )
        return artifact
