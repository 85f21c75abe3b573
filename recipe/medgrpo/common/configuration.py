# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""The recipe's configurations, composed without a training."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from recipe.medgrpo.common.run_folder import RunDir, RunDirError

if TYPE_CHECKING:
    from omegaconf import DictConfig


#: Keys that a training must be given: verl has values of its own for most of them, which are nobody's data or model.
GIVEN_IN_RL = ("data.train_files", "data.val_files", "actor_rollout_ref.model.path")
GIVEN_IN_SFT = ("data.train_files", "model.path")


class ConfigurationError(ValueError):
    """A configuration lacks what only the user knows; the message names the keys."""


def composed(name: str, overrides: Sequence[str], **options: Any) -> DictConfig:
    """The configuration ``medgrpo`` or ``sft`` with these overrides; ``options`` are those of Hydra's ``compose``."""
    from hydra import compose, initialize_config_module

    verl = find_spec("verl")
    if verl is None:
        raise ModuleNotFoundError("No module named 'verl'", name="verl")
    # As a folder: for the package that stands in our YAML, Hydra would import verl, which takes many seconds.
    folder = f"file://{verl.submodule_search_locations[0]}/trainer/config".replace("'", "\\'")
    with initialize_config_module(config_module="recipe.medgrpo.config", version_base=None):
        return compose(name, [f"hydra.searchpath=['{folder}']", *overrides], **options)


def check_given(config: DictConfig) -> None:
    """Raise if a composed configuration, of RL or of SFT, lacks a value that only the user knows."""
    from omegaconf import OmegaConf

    needed = GIVEN_IN_RL if "actor_rollout_ref" in config else GIVEN_IN_SFT
    if OmegaConf.select(config, "reward.reward_model.enable"):
        needed += ("reward.reward_model.model_path",)
    if missing := [key for key in needed if not OmegaConf.select(config, key)]:
        raise ConfigurationError("there is no value for " + ", ".join(f"{key}: give {key}=..." for key in missing))


def read_config(run: RunDir) -> DictConfig:
    """The configuration with which a run's RL was started; empty without its file."""
    from omegaconf import DictConfig, OmegaConf
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    if not run.config.is_file():
        return OmegaConf.create()
    try:
        config = OmegaConf.load(run.config)
    except (OmegaConfBaseException, YAMLError, OSError, ValueError) as error:
        raise RunDirError(f"{run.config}: no configuration: {error}") from None
    return config if isinstance(config, DictConfig) else OmegaConf.create()
