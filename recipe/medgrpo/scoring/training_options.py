# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""The reward's options of a training, from the same overrides or the same configuration."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import ValidationError

from recipe.medgrpo.common.configuration import composed
from recipe.medgrpo.common.listed import listed
from reward_score.config import ScoreConfig
from reward_score.errors import BadOption
from reward_score.judge import JudgeConfig, read_judge
from reward_score.judge.config import complaints


def add_overrides(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "overrides",
        nargs="*",
        help="of the configuration, as main_medgrpo takes them: judge, medgrpo.reward and preset say who scores",
    )


@contextmanager
def composed_reward(overrides: Sequence[str]) -> Iterator[DictConfig]:
    """``medgrpo.reward`` of the training with these overrides, for a block that resolves it, otherwise BadOption."""
    from hydra.errors import HydraException

    try:
        yield composed("medgrpo", overrides).medgrpo.reward
    except (HydraException, OmegaConfBaseException) as error:
        # It quotes values, and then lists the packages that it searched.
        text = str(error).split("\nConfig search path")[0]
        raise BadOption("overrides: " + re.sub(r"=\S+", "=...", text)) from None


def served_in_training(reward: DictConfig) -> bool:
    """Whether verl serves this judge within the training, so that nobody else can ask it."""
    return OmegaConf.select(reward, "judge.backend") == "local" and not OmegaConf.select(reward, "judge.base_url")


def resolved(reward: DictConfig) -> ScoreConfig:
    """``medgrpo.reward`` as one typed object; BadOption where an option makes no sense."""
    try:
        config = ScoreConfig(**OmegaConf.to_container(reward, resolve=True))
    except ValidationError as error:
        raise BadOption(f"medgrpo.reward: {complaints(error)}") from None
    # Otherwise its mistakes would show only after all answers are written.
    read_judge(config.judge)
    return config


def read_tasks(config: DictConfig) -> None:
    """Make a list of ``data.tasks``: if it was not set by itself, of all that is rewarded, ``extra_tasks`` included."""
    if OmegaConf.is_interpolation(config.data, "tasks"):
        config.data.tasks = list(resolved(config.medgrpo.reward).reward_tasks)
    elif not config.data.tasks:
        raise BadOption(f"data.tasks={config.data.tasks}: name tasks, or leave it out: then all that are rewarded")
    else:
        config.data.tasks = listed(config.data.tasks)


def reward_options(overrides: Sequence[str]) -> ScoreConfig:
    """The resolved ``medgrpo.reward`` of these overrides; a judge that only the training serves is refused."""
    with composed_reward(overrides) as reward:
        if served_in_training(reward) and reward.caption_mix < 1:
            raise BadOption(
                "judge=local: verl serves this judge within the training alone. Serve its model yourself for this "
                "command (vllm serve MODEL) and name it: +medgrpo.reward.judge.base_url=http://HOST:8000/v1 "
                "medgrpo.reward.judge.model=MODEL"
            )
        return resolved(reward)


def raw_options(options: ScoreConfig, judge: Any, reward_tasks: Any = "all") -> ScoreConfig:
    """The options that raw scores depend on, with this judge and without normalization."""
    own = ("similarity", "caption_mix", "format_fallback", "tag_raw", "overlong_buffer", "vqa")
    return ScoreConfig(reward_tasks=reward_tasks, judge=judge, **{name: getattr(options, name) for name in own})


def job_options(reward: ScoreConfig, router_address: str | None = None) -> JudgeConfig | None:
    """The LLM judge's options, with the address of the model that verl serves (``local``); None for others."""
    config = read_judge(reward.judge)
    if not isinstance(config, JudgeConfig):
        return None
    if config.backend == "local" and router_address:
        config = config.model_copy(update={"base_url": f"http://{router_address}/v1"})
    return config
