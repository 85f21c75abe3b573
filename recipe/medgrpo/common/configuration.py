# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""The recipe's configurations, composed without a training."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from omegaconf import DictConfig


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
