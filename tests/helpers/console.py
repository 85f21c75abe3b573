# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""The console script, as a user calls it."""

import os
import subprocess
import sys
from pathlib import Path

MEDGRPO = Path(sys.executable).with_name("medgrpo")
#: A shell of Jupyter exports this; the environment has no matplotlib_inline.
NOTEBOOK = {"MPLBACKEND": "module://matplotlib_inline.backend_inline"}


def medgrpo(*argv, check: bool = True, **variables: str) -> subprocess.CompletedProcess:
    """Run a subcommand; it must end with 0 unless ``check`` is false."""
    command = [str(word) for word in (MEDGRPO, *argv)]
    done = subprocess.run(command, env=os.environ | NOTEBOOK | variables, capture_output=True, text=True)
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done
