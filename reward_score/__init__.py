# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""What an answer is worth: rewards and benchmark metrics of MedVidBench's eight tasks, rewards of medical VQA on images
(mcq, closed, open). Knows no verl and no torch.

Routing is by ``data_source = <benchmark>/<source>/<task>``, e.g. ``medvidbench/CoPESD/stg``; the tasks are tag,
stg, vs, rc, dvc, nap, sa and cvs, one file each. In verl 0.9.1 the function alone is used by
``reward.custom_reward_function.path=.../reward_score/__init__.py`` (name ``compute_score``), options under
``reward_kwargs``.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from reward_score.config import PAPER_TASKS, ScoreConfig, read_config
from reward_score.errors import RewardError
from reward_score.normalization.artifact import Artifact, Entry, Provenance
from reward_score.normalization.normalizer import METHODS, Normalizer
from reward_score.reward import SCORE_KEYS, RawScore, observations
from reward_score.sample import CaptionPair, Sample, make_sample, make_samples
from reward_score.scorer import Scorer, get_scorer
from reward_score.tasks.registry import TASKS

__all__ = [
    "METHODS",
    "PAPER_TASKS",
    "SCORE_KEYS",
    "TASKS",
    "Artifact",
    "CaptionPair",
    "Entry",
    "Normalizer",
    "Provenance",
    "RawScore",
    "RewardError",
    "Sample",
    "ScoreConfig",
    "Scorer",
    "compute_score",
    "compute_scores",
    "get_scorer",
    "make_sample",
    "make_samples",
    "observations",
    "read_config",
]


def compute_score(
    data_source: str,
    solution_str: str,
    ground_truth: str,
    extra_info: Mapping[str, Any] | None = None,
    *,
    reward_router_address: str | None = None,
    reward_model_tokenizer: Any = None,
    **options: Any,
) -> dict[str, float]:
    """Reward of one answer, with verl's signature; the batch of one.

    Args:
        data_source: ``<benchmark>/<source>/<task>``.
        solution_str: the model's answer.
        ground_truth: the reference answer's text.
        extra_info: may hold ``struc_info`` (JSON text), ``fps``, ``question``, ``index``; see `make_sample`.
        reward_router_address, reward_model_tokenizer: verl passes them when it serves a reward model; not needed here.
        options: see `ScoreConfig`.

    Returns:
        Always the keys SCORE_KEYS, NaN where one does not apply. ``score`` is the reward: in [0, 1] by default, for the
        VQA tasks at most the sum of their weights, and beyond with ``format_order=added``, ``shift`` or ``scale``.

    Raises:
        RewardError: the row, the options or the infrastructure are at fault; never for a bad answer, which scores 0.

    Example:
        >>> from reward_score import compute_score
        >>> result = compute_score("medvidbench/CholecT50/tag", "22.0-78.0 seconds.", "20.0-80.0 seconds.")
        >>> round(result["score"], 3), result["format"]
        (0.933, 1.0)
    """
    return compute_scores([data_source], [solution_str], [ground_truth], [extra_info], **options)[0]


def compute_scores(
    data_sources: Sequence[str],
    solution_strs: Sequence[str],
    ground_truths: Sequence[str],
    extra_infos: Sequence[Mapping[str, Any] | None] | None = None,
    **options: Any,
) -> list[dict[str, float]]:
    """Rewards of a batch, in order; encoder and judge are called once. Arguments as in `compute_score`, as columns.

    Example:
        >>> from reward_score import compute_scores
        >>> rows = ["slake/CT/closed", "slake/CT/open"], ["Yes.", "liver"], ["yes", "left kidney"]
        >>> [result["score"] for result in compute_scores(*rows, reward_tasks=["closed", "open"])]
        [1.0, 0.0]
    """
    scorer = get_scorer(read_config(options))
    return scorer.score(make_samples(data_sources, solution_strs, ground_truths, extra_infos))
