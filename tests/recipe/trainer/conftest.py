# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Of the trainer's tests."""

import pytest


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """By default alarms go into a folder relative to this one."""
    monkeypatch.chdir(tmp_path)
