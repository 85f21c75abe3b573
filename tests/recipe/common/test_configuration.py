# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Configurations are those that Hydra composes for the trainers, in a fraction of the time."""

import os
import subprocess
import sys
from importlib.util import find_spec

import pytest

COMPARED = """
import sys
from hydra import compose, initialize_config_module
from recipe.medgrpo.common.configuration import composed

name, *overrides = sys.argv[1:]
ours = composed(name, overrides)
assert "verl" not in sys.modules and "torch" not in sys.modules
with initialize_config_module(config_module="recipe.medgrpo.config", version_base=None):
    assert ours == compose(name, overrides)
"""


@pytest.mark.parametrize("name", ["medgrpo", "sft"])
def test_it_is_what_the_trainers_get_and_imports_no_verl(name, tmp_path):
    [verl] = find_spec("verl").submodule_search_locations
    place = tmp_path / "a user's place, with = and spaces"
    place.mkdir()
    (place / "verl").symlink_to(verl)
    needed = ["data.train_files=t"] + (["data.val_files=v"] if name == "medgrpo" else [])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(place), *sys.path])}
    subprocess.run([sys.executable, "-c", COMPARED, name, *needed], env=environment, check=True)
