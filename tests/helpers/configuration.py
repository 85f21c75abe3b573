# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""The recipe's configurations, composed in this process."""

from hydra import compose, initialize_config_module


def composed(*overrides: str, name: str = "medgrpo"):
    """The configuration ``medgrpo`` or ``sft`` with these overrides."""
    with initialize_config_module(config_module="recipe.medgrpo.config", version_base=None):
        return compose(name, list(overrides))
