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
    """``medgrpo.reward`` of the training with these overrides, for a block that resolves it.

    Raises:
        BadOption: they make no sense.
    """
    from hydra import compose, initialize_config_module
    from hydra.errors import HydraException

    try:
        with initialize_config_module(config_module="recipe.medgrpo.config", version_base=None):
            config = compose("medgrpo", list(overrides))
        yield config.medgrpo.reward
    except (HydraException, OmegaConfBaseException) as error:
        # It quotes values, and then lists the packages that it searched.
        text = str(error).split("\nConfig search path")[0]
        raise BadOption("overrides: " + re.sub(r"=\S+", "=...", text)) from None


def reward_options(overrides: Sequence[str]) -> ScoreConfig:
    """The resolved ``medgrpo.reward`` of the training with these overrides.

    Raises:
        BadOption: they make no sense, or name a judge that only the training itself serves.
    """
    with composed_reward(overrides) as reward:
        options: dict[str, Any] = OmegaConf.to_container(reward, resolve=True)
    try:
        config = ScoreConfig(**options)
    except ValidationError as error:
        raise BadOption(f"medgrpo.reward: {complaints(error)}") from None
    own = config.judge
    local = isinstance(own, JudgeConfig) and own.backend == "local"
    if local and not (own.base_url and "model" in own.model_fields_set) and config.caption_mix < 1:
        raise BadOption(
            "judge=local: verl serves this judge within the training alone. Serve its model yourself for this command "
            "(vllm serve MODEL) and name it: +medgrpo.reward.judge.base_url=http://HOST:8000/v1 "
            "medgrpo.reward.judge.model=MODEL"
        )
    # Else its mistakes would show only after all answers are written.
    read_judge(config.judge)
    return config


def job_options(reward: dict[str, Any], router_address: str | None) -> JudgeConfig | None:
    """The LLM judge's options from ``medgrpo.reward``, with the address of the model that verl serves for the backend
    ``local``; None for another judge.

    Raises:
        reward_score.errors.BadOption: the options make no sense.
    """
    config = read_judge(reward.get("judge", "lexical"))
    if not isinstance(config, JudgeConfig):
        return None
    if config.backend == "local" and router_address:
        config = config.model_copy(update={"base_url": f"http://{router_address}/v1"})
    return config
