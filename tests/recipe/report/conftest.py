# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
import shutil

import pytest

from recipe.medgrpo.common.run_folder import RunDir


@pytest.fixture
def run_copy(finished_run, tmp_path):
    shutil.copytree(finished_run.root, tmp_path / "copy", ignore=shutil.ignore_patterns("report"))
    return RunDir(tmp_path / "copy")
