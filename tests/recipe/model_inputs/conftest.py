# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Fixtures of several of this package's tests."""

import pytest
from drawn_inputs import draw_frame


@pytest.fixture
def frames(tmp_path) -> list[str]:
    """Five frames of one clip."""
    return [draw_frame(tmp_path / f"{i}.png", i) for i in range(5)]
