# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""From an answer's raw components to one number: normalization, mix and format."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from reward_score.config import ScoreConfig
from reward_score.judge import DIMENSIONS
from reward_score.normalization.artifact import Key
from reward_score.normalization.normalizer import Normalizer
from reward_score.tasks import vqa_reward

SCORE_KEYS = (
    "score",
    "raw",
    "normalized",
    "rule",
    "format",
    "parsed",
    "concise",
    "cut",
    "similarity",
    "similarity_normalized",
    "judge",
    "judge_normalized",
    *(f"judge_{dimension}" for dimension in DIMENSIONS),
    *vqa_reward.KEYS,
)


@dataclass(slots=True)
class RawScore:
    """One answer's raw components, before any normalization; fields of a `Rating` have its meaning.

    Args:
        components: value in [0, 1] of each of the task's components: ``raw`` (by rule), ``similarity``, ``judge``.
        dimensions: the judge's mean grades (1-5) by dimension; {} if no caption was judged.
        concise: factor for surplus, already part of format and components.
        cut: whether the answer reached its token limit without ending.
    """

    source: str
    task: str
    format: float
    components: dict[str, float]
    dimensions: dict[str, float]
    parts: dict[str, float] = field(default_factory=dict)
    concise: float = 1.0
    cut: bool = False


def observations(raws: Iterable[RawScore]) -> dict[Key, list[float]]:
    """Raw components by (source, task, component), for `Artifact.from_observations` and `Normalizer.observe`."""
    result: dict[Key, list[float]] = {}
    for raw in raws:
        for name, value in raw.components.items():
            result.setdefault((raw.source, raw.task, name), []).append(value)
    return result


def finish(raw: RawScore, config: ScoreConfig, normalizer: Normalizer) -> dict[str, float]:
    """The reward of one answer from its raw components: normalized, mixed, with format; a dict with SCORE_KEYS."""
    result = dict.fromkeys(SCORE_KEYS, math.nan) | {"concise": raw.concise, "cut": float(raw.cut)}
    plain = raw.components
    if raw.parts:
        accuracy = plain["raw"]
        total = 0.0 if raw.cut else vqa_reward.reward(raw.parts, config.vqa.weights, raw.concise)
        own = {"score": total, "raw": accuracy, "normalized": accuracy, "format": raw.format}
        return result | own | {"parsed": float(raw.format > 0)} | raw.parts
    before = raw.format if config.format_order == "before" else 1.0
    normal = {name: _normalize(before * value, raw, name, config, normalizer) for name, value in plain.items()}
    result["raw"], result["normalized"] = _mix(plain, config.caption_mix), _mix(normal, config.caption_mix)
    result["rule"] = plain.get("raw", math.nan)
    result["format"], result["parsed"] = raw.format, float(raw.format > 0)
    after = raw.format * result["normalized"] if raw.format > 0 else 0.0
    scores = {"after": after, "before": result["normalized"], "added": result["normalized"] + raw.format}
    result["score"] = scores[config.format_order]
    for name in ("similarity", "judge"):
        if name in plain:
            result[name], result[f"{name}_normalized"] = plain[name], normal[name]
    for name, grade in raw.dimensions.items():
        result[f"judge_{name}"] = grade
    return result


def _normalize(value: float, raw: RawScore, component: str, config: ScoreConfig, normalizer: Normalizer) -> float:
    if component == "judge" and config.judge_norm == "linear":
        return value
    return normalizer(value, raw.source, raw.task, component)


def _mix(values: Mapping[str, float], caption_mix: float) -> float:
    """Rule and captions half and half where a task has both; similarity and judge are mixed by `caption_mix`."""
    captions = [values[name] for name in ("similarity", "judge") if name in values]
    if len(captions) == 2:
        captions = [caption_mix * captions[0] + (1 - caption_mix) * captions[1]]
    parts = [values["raw"], *captions] if "raw" in values else captions
    return sum(parts) / len(parts)
