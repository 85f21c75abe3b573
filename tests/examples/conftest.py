# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
import subprocess

import pytest
from scripts import CLEAN, EXAMPLES, SFT, executable


@pytest.fixture
def dry_run(tmp_path):
    """A script with DRY_RUN=1; its arguments are its own, the interpreter is a stand-in that prints them."""
    executable(tmp_path / "bin/python3", "printf '%s\\0' \"$@\"\n")

    def call(script, *overrides, **variables):
        environment = {**CLEAN, "PATH": f"{tmp_path}/bin:{CLEAN['PATH']}", "DRY_RUN": "1", **variables}
        command = ["bash", EXAMPLES / script, *overrides]
        return subprocess.run(command, env=environment, capture_output=True, text=True, cwd=tmp_path)

    return call


@pytest.fixture
def composed(dry_run):
    """The configuration of a script's DRY_RUN."""
    import configuration

    def call(script, *overrides, **variables):
        done = dry_run(script, *overrides, **variables)
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith("-m\0recipe.medgrpo.plan\0--config\0")
        arguments = [word for word in done.stdout.split("\0") if "=" in word]
        return configuration.composed(*arguments, name="sft" if script == SFT else "medgrpo")

    return call
