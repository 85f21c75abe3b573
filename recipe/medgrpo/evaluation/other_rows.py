# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Whether a model looks at its clips: what its answers are worth when they are given to other rows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from recipe.medgrpo.evaluation.answers import Answer, mean_and_error, number, or_none, row_means, task_rank
from reward_score.tasks.registry import task_module

#: To how many other rows an answer is given at most, one after the other.
TURNS = 8


def compare(
    answers: Sequence[Answer],
    results: Sequence[dict[str, Any]],
    score: Callable[[Sequence[Answer]], Sequence[dict[str, Any]]],
) -> dict[str, dict[str, Any]]:
    """Of each task that needs no judge: raw scores of ``answers``, and of the same answers for other rows.

    In each of at most TURNS turns all answers of a (source, task) go to those of its rows that lie as far on, perhaps
    of the same clip. A model whose answers do as well there does not look. A (source, task) of one row is left out;
    one of few rows has fewer turns, and repeats them where others of its task have more.

    Args:
        answers: of an evaluation.
        results: what ``score`` says of them, in the same order; of a result ``raw`` is read.
        score: scores answers for the rows that they carry.

    Returns:
        Task to ``n`` (rows), ``own`` and ``other`` (mean raw scores), ``gap`` (own less other), ``gap_sd`` (the
        standard deviation of the turns' mean scores: how far chance alone moves them; None for a single turn) and
        ``different`` (number of different answers).
    """
    groups: dict[tuple[str, str], dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
    for i, answer in enumerate(answers):
        if "judge" not in task_module(answer.row.task).COMPONENTS:
            groups[answer.row.task, answer.row.source][answer.row.index].append(i)
    found = {}
    for task in sorted({task for task, _ in groups}, key=task_rank):
        rows = [list(own.values()) for (of, _), own in groups.items() if of == task and len(own) > 1]
        positions = [i for own in rows for row in own for i in row]
        if not positions:
            continue
        means = [_mean([answers[i] for i in positions], [results[i] for i in positions])]
        distances = [_distances(len(own)) for own in rows]
        for turn in range(max(map(len, distances))):
            given = []
            for own, fars in zip(rows, distances, strict=True):
                far = fars[turn % len(fars)]
                for row, other in zip(own, own[far:] + own[:far], strict=True):
                    given += [answers[i]._replace(row=answers[other[0]].row) for i in row]
            means.append(_mean(given, score(given)))
        own, other = means[0], float(np.mean(means[1:]))
        found[task] = {
            "n": sum(map(len, rows)),
            "own": or_none(own),
            "other": or_none(other),
            "gap": or_none(own - other),
            "gap_sd": or_none(float(np.std(means[1:], ddof=1))) if len(means) > 2 else None,
            "different": len({answers[i].response for i in positions}),
        }
    return found


def _distances(rows: int) -> list[int]:
    """How far on, of so many rows, the answers go in each turn: no distance twice, which would feign agreement."""
    return sorted({max(1, turn * rows // (TURNS + 1)) for turn in range(1, TURNS + 1)})


def _mean(answers: Sequence[Answer], results: Sequence[dict[str, Any]]) -> float:
    raws = [number(result["raw"]) for result in results]
    return mean_and_error(row_means([answer.row.index for answer in answers], raws).values())[0]
