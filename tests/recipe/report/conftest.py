# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
import shutil

import pytest

from recipe.medgrpo.common.run_folder import RunDir
from recipe.medgrpo.report import page as report


@pytest.fixture
def run_copy(finished_run, tmp_path):
    shutil.copytree(finished_run.root, tmp_path / "copy", ignore=shutil.ignore_patterns("report"))
    return RunDir(tmp_path / "copy")


@pytest.fixture(scope="module")
def page(finished_run, light_encoder_in_module):
    out, comparison, _ = report.write_report(finished_run)
    return out, out.read_text(encoding="utf-8"), comparison
