# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""What to expect of a normalization, in words, from the figures of a replay."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from recipe.medgrpo.replay.figures import Figures

#: Change of a pair's share of the gradient from which a normalization counts as rebalancing.
REBALANCES = 0.02
#: Mean advantage of a pair from which its level counts as rewarded by itself.
LEVEL = 0.1
_SHARES = {"grpo": "With division by the group's deviation (grpo)", "grpo without std": "Without that division"}


def expectations(figures: Iterable[Figures], method: str) -> list[str]:
    """Sentences about one method against ``none``, each with the numbers that it rests on."""
    of = {(one.method, one.estimator): one for one in figures}
    found = [_share(start, of["none", name], of[method, name], method) for name, start in _SHARES.items()]
    found.append(_level(of["none", "batch mean"], of[method, "batch mean"], method))
    found.append(_form(of["none", "grpo"], of[method, "grpo"], method))
    found.append(_ties(of["none", "grpo"], of[method, "grpo"], method))
    return [sentence for sentence in found if sentence]


def _share(start: str, raw: Figures, own: Figures, method: str) -> str:
    pair = _largest({pair: own.share[pair] - raw.share[pair] for pair in raw.share})
    change = abs(own.share[pair] - raw.share[pair])
    numbers = f"{pair} from {_percent(raw.share[pair])} to {_percent(own.share[pair])}"
    if change >= REBALANCES:
        return f"{start}, {method} moves weight between the pairs: {numbers} of the gradient."
    return f"{start}, {method} does not rebalance these pairs: the largest change of a share is {numbers}."


def _level(raw: Figures, own: Figures, method: str) -> str:
    if max(map(abs, raw.mean.values())) < LEVEL:
        return "Against a batch mean, no pair's level is rewarded by itself, with raw rewards either."
    up, down = (choose(raw.mean, key=raw.mean.__getitem__) for choose in (max, min))
    left = own.mean[_largest(own.mean)]
    return (
        f"Against a batch mean, raw rewards push {up} up (mean advantage {raw.mean[up]:+.2f}) and {down} down "
        f"({raw.mean[down]:+.2f}), whatever the answer is; {method} leaves at most {abs(left):.2f}."
    )


def _form(raw: Figures, own: Figures, method: str) -> str:
    if raw.unparsable is None:
        return "All answers can be parsed, so no method changes what the form is worth."
    return (
        f"An answer that cannot be parsed gets an advantage of {raw.unparsable:+.2f} with raw rewards and "
        f"{own.unparsable:+.2f} with {method} (grpo)."
    )


def _ties(raw: Figures, own: Figures, method: str) -> str:
    before, after = (_percent(float(np.mean(list(one.tied.values())))) for one in (raw, own))
    return (
        f"{before} of the groups teach nothing with raw rewards, {after} with "
        f"{method}: all their answers earn the same."
    )


def _largest(values: Mapping[str, float]) -> str:
    return max(values, key=lambda pair: abs(values[pair]))


def _percent(share: float) -> str:
    return f"{100 * share:.1f}%"
