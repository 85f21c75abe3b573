# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""The options of the scorer; an unknown one is an error at the start."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, ValidationInfo

from reward_score.errors import BadOption
from reward_score.judge import read_judge
from reward_score.judge.config import complaints
from reward_score.normalization.normalizer import Method
from reward_score.tasks.registry import TASKS, add_task
from reward_score.tasks.tag import TagRaw
from reward_score.tasks.vqa_reward import Share, VQAOptions

PAPER_TASKS = ("tag", "stg", "vs", "rc")


def _names(value: Any) -> tuple[str, ...]:
    # Lists from a Hydra configuration are sequences of their own type.
    return tuple(value.replace(",", " ").split()) if isinstance(value, str) else tuple(value)


def _task_names(value: Any, info: ValidationInfo) -> tuple[str, ...]:
    # `extra_tasks` comes before this field, and is missing here if it was refused.
    extra, names = [*map(add_task, info.data.get("extra_tasks", ()))], _names(value)
    if names == ("all",):
        return tuple(TASKS)
    names = tuple(dict.fromkeys([*names, *extra]))
    if unknown := set(names) - set(TASKS):
        raise ValueError(f"unknown {sorted(unknown)}; known: {', '.join(TASKS)}, or all")
    return names


def _typed_judge(value: Any) -> Any:
    return read_judge(value) if isinstance(value, Mapping) else value


class ScoreConfig(BaseModel):
    """Options of `Scorer` and `compute_score`.

    Args:
        normalization: see docs/rewards.md; the paper's is ``logistic``.
        artifact: path of the file with the percentiles, or an `Artifact`; needed unless normalization is ``none``.
        k: slope of the normalization at the median.
        caption_mix: weight of similarity in caption rewards, the judge has the rest; at 1 no judge is called, at 0 no
            encoder.
        judge_norm: ``logistic`` normalizes the judge as every other component, by `normalization`; ``linear`` takes its
            (mean - 1) / 4 as it is.
        extra_tasks: names of modules that are tasks (docs/write_a_reward.md), rewarded in addition to `reward_tasks`.
        reward_tasks: tasks that rows may have in training, or ``all``; others raise. Default: the paper's.
        format_order: where the format factor f acts. ``after``: f norm(x), so that an unparsable answer is 0 for every
            source; ``before``: norm(f x); ``added``: norm(x) + f. An artifact's percentiles are those of x in any case.
        format_fallback: format factor of answers that only the leaderboard's lenient parser understands.
        tag_raw: TAG's raw score: ``union`` or ``matched``, see `reward_score.tasks.tag`.
        overlong_buffer: last share of the token limit, over which a caption's format factor falls from 1 to 0
            (`Sample.overlong_factor`); 0 switches it off. Answers of other tasks are 0 when they are cut.
        similarity: sentence-transformers name or folder, or an object with ``similarity(pairs)``.
        judge: ``lexical``; ``openai``, GPT-4.1 with the defaults of `reward_score.judge.JudgeConfig`; those options,
            also as a mapping; or an object with ``judge(pairs)``.
        vqa: options of the medical VQA tasks (mcq, closed, open): `reward_score.tasks.vqa_reward.VQAOptions`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    normalization: Method = "none"
    artifact: Any = None
    k: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 3.0
    caption_mix: Share = 0.5
    judge_norm: Literal["logistic", "linear"] = "logistic"
    extra_tasks: Annotated[tuple[str, ...], BeforeValidator(_names)] = ()
    reward_tasks: Annotated[tuple[str, ...], BeforeValidator(_task_names), Field(validate_default=True)] = PAPER_TASKS
    format_order: Literal["after", "before", "added"] = "after"
    format_fallback: Share = 0.5
    tag_raw: TagRaw = "union"
    overlong_buffer: Share = 0.1
    similarity: Any = "all-MiniLM-L6-v2"
    judge: Annotated[Any, BeforeValidator(_typed_judge)] = "lexical"
    vqa: VQAOptions = VQAOptions()

    def __hash__(self) -> int:
        # Judges, encoders and artifacts need no hash; equality compares them.
        return hash((self.normalization, self.k, self.caption_mix, self.reward_tasks))


def read_config(options: Mapping[str, Any]) -> ScoreConfig:
    """Options from a configuration or from keywords.

    Raises:
        BadOption: one is unknown or makes no sense; the message does not quote values, which may be secret.
    """
    try:
        return ScoreConfig(**options)
    except (ValidationError, TypeError) as error:
        raise BadOption(f"reward options: {complaints(error)}") from None
