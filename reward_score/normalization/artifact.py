# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""The normalization artifact: the SFT model's score distribution per (source, task, component), as a JSON file."""

import hashlib
import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from reward_score.errors import NormalizationError
from reward_score.similarity import DEFAULT_ENCODER

#: Source of the entries that stand for all sources of a task together.
ALL_SOURCES = "*"
# (source, task, component).
Key = tuple[str, str, str]

REWARD_VERSION = "3"
_GRID = 101
Finite = Annotated[float, Field(allow_inf_nan=False)]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Entry(_Strict):
    """Distribution of one raw component over the SFT model's answers, failures included as 0.

    Args:
        n: number of answers.
        p25, p50, p75: percentiles, linearly interpolated.
        mean, std: mean and population standard deviation.
        quantiles: the 0th, 1st, ... 100th percentile.
    """

    n: Annotated[int, Field(ge=1)]
    p25: Finite
    p50: Finite
    p75: Finite
    mean: Finite
    std: Annotated[Finite, Field(ge=0)]
    quantiles: Annotated[tuple[Finite, ...], Field(min_length=_GRID, max_length=_GRID)]

    @model_validator(mode="after")
    def _ordered(self) -> "Entry":
        if list(self.quantiles) != sorted(self.quantiles):
            raise ValueError("quantiles must not fall")
        if (self.p25, self.p50, self.p75) != (self.quantiles[25], self.quantiles[50], self.quantiles[75]):
            raise ValueError("p25, p50 and p75 must be the quantiles at 25, 50 and 75")
        return self

    @classmethod
    def of(cls, values: Sequence[float]) -> "Entry":
        """Entry of a set of raw scores."""
        ordered = sorted(map(float, values))
        mean = math.fsum(ordered) / len(ordered)
        std = math.sqrt(math.fsum((value - mean) ** 2 for value in ordered) / len(ordered))
        return cls._of_grid([_quantile(ordered, i / (_GRID - 1)) for i in range(_GRID)], len(ordered), mean, std)

    @classmethod
    def pooled(cls, entries: Sequence["Entry"]) -> "Entry":
        """Entry of several sets together, from their entries alone: moments exact, quantiles to about a percent."""
        n = sum(entry.n for entry in entries)
        mean = math.fsum(entry.n * entry.mean for entry in entries) / n
        square = math.fsum(entry.n * (entry.std**2 + entry.mean**2) for entry in entries) / n
        weighted = sorted((value, entry.n / n / _GRID) for entry in entries for value in entry.quantiles)
        grid, share, i = [], 0.0, 0
        for value, weight in weighted:
            share += weight
            while i < _GRID and share >= (i + 0.5) / _GRID - 1e-12:
                grid.append(value)
                i += 1
        return cls._of_grid(grid, n, mean, math.sqrt(max(0.0, square - mean * mean)))

    @classmethod
    def _of_grid(cls, grid: Sequence[float], n: int, mean: float, std: float) -> "Entry":
        return cls(n=n, p25=grid[25], p50=grid[50], p75=grid[75], mean=mean, std=std, quantiles=tuple(grid))


def _by_task(entries: Mapping[str, Entry]) -> dict[str, dict[str, Entry]]:
    """The sources' entries by the key of their task's entry over all sources."""
    groups: dict[str, dict[str, Entry]] = {}
    for key, entry in entries.items():
        source, rest = key.split("|", 1)
        if source != ALL_SOURCES:
            groups.setdefault(f"{ALL_SOURCES}|{rest}", {})[key] = entry
    return groups


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
        judge_prompt, judge_temperature: of an LLM judge, for the same reason; None for another, and in artifacts of
            version 1, which do not say.
        unjudged: answers left out because the judge gave no verdict; of a merge, the larger number.
        fingerprint: of the model's weights; None where they could not be read, and in artifacts of version 1.
        reward_version: version of the raw rewards, so that an artifact does not outlive a change of formula.
    """

    model: str
    split: str
    decoding: str
    judge: str = "lexical"
    similarity: str = DEFAULT_ENCODER
    judge_prompt: str | None = None
    judge_temperature: Finite | None = None
    unjudged: Annotated[int, Field(ge=0)] = 0
    fingerprint: str | None = None
    reward_version: str = REWARD_VERSION


#: Fields of the provenance that artifacts of version 1 lack.
_NEW_IN_2 = ("judge_prompt", "judge_temperature", "unjudged", "fingerprint")


class Artifact(_Strict):
    """All entries by ``<source>|<task>|<component>``, and where they come from.

    Args:
        version: of the file; 2 knows the fields of the provenance that 1 leaves at their defaults.
    """

    version: Literal[1, 2] = 2
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
        """SHA-256 of the content, hexadecimal; independent of the file's layout."""
        content = self.model_dump(mode="json")
        # Files from before there was such a field keep their hash.
        for name in ("judge", "similarity", *_NEW_IN_2):
            if content["provenance"][name] == Provenance.model_fields[name].default:
                del content["provenance"][name]
        text = json.dumps(content, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    def merge(self, other: "Artifact") -> "Artifact":
        """Both artifacts' pairs; `other` wins where both have one. Task-level entries are pooled anew, but one whose
        sources stay as they are is kept: what is pooled from entries is less exact than what was measured.

        Raises:
            NormalizationError: they do not come from the same model, decoding, judge, encoder and reward version.
        """
        mine, theirs = self.provenance, other.provenance
        judge = ("judge", "judge_prompt", "judge_temperature")
        for name in ("model", "fingerprint", "decoding", *judge, "similarity", "reward_version"):
            if getattr(mine, name) != getattr(theirs, name):
                raise NormalizationError(
                    f"cannot merge artifacts of different {name}: {getattr(mine, name)!r} and {getattr(theirs, name)!r}"
                )
        by_task = _by_task({**self.entries, **other.entries})
        entries = {key: entry for group in by_task.values() for key, entry in group.items()}
        before = [(own.entries, _by_task(own.entries)) for own in (self, other)]
        for key, group in by_task.items():
            kept = (own[key] for own, groups in before if key in own and groups.get(key) == group)
            entries[key] = next(kept, None) or Entry.pooled(list(group.values()))
        split = "; ".join(dict.fromkeys([*mine.split.split("; "), *theirs.split.split("; ")]))
        update = {"split": split, "unjudged": max(mine.unjudged, theirs.unjudged)}
        return Artifact(
            version=max(self.version, other.version),
            provenance=mine.model_copy(update=update),
            entries=dict(sorted(entries.items())),
        )

    def diff(self, other: "Artifact") -> dict[str, Any]:
        """What `other` has differently.

        Returns:
            `added` and `removed` keys, `changed` (key to old and new n, p25, p50, p75), `provenance` (field to
            old and new); all empty if the hashes agree.
        """
        fields = ("n", "p25", "p50", "p75")
        return {
            "added": sorted(other.entries.keys() - self.entries.keys()),
            "removed": sorted(self.entries.keys() - other.entries.keys()),
            "changed": {
                key: {"old": entry.model_dump(include=set(fields)), "new": new.model_dump(include=set(fields))}
                for key, entry in self.entries.items()
                if (new := other.entries.get(key)) is not None and new != entry
            },
            "provenance": {
                name: [getattr(self.provenance, name), getattr(other.provenance, name)]
                for name in Provenance.model_fields
                if getattr(self.provenance, name) != getattr(other.provenance, name)
            },
        }

    def save(self, path: str | os.PathLike) -> Path:
        """Write the JSON file, whole or not at all; the hash is written with it."""
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.{os.getpid()}")
        content = {"hash": self.hash, **self.model_dump(mode="json")}
        partial.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        partial.replace(path)
        return path

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
        except (ValueError, AttributeError, TypeError, ValidationError) as error:
            raise NormalizationError(f"{path} is no normalization artifact: {error}") from None
        if stored != artifact.hash:
            raise NormalizationError(f"{path} was changed after it was written (hash mismatch); calibrate again")
        if artifact.provenance.reward_version != REWARD_VERSION:
            raise NormalizationError(
                f"{path} was made with reward version {artifact.provenance.reward_version}, this is {REWARD_VERSION}; "
                "calibrate again"
            )
        return artifact
