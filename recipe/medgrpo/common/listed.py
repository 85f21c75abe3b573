# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""What a configuration may give as one text or as a list of texts."""

from collections.abc import Sequence


def listed(values: str | Sequence[str]) -> list[str]:
    return [values] if isinstance(values, str) else list(values)
