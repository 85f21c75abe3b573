# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Of the trainer's tests."""

import pytest
import ray


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """By default alarms go into a folder relative to this one."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def local_ray():
    """Ray on this machine. A call of a remote function in an earlier test may have started one with other options."""
    ray.shutdown()
    ray.init(num_cpus=4, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()
