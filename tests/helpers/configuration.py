# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""The recipe's configurations, composed in this process."""

from recipe.medgrpo.common import configuration


def composed(*overrides: str, name: str = "medgrpo"):
    """The configuration ``medgrpo`` or ``sft`` with these overrides."""
    return configuration.composed(name, overrides)
