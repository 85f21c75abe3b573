# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""What the newest verl on the package index would change: reported as a warning, never a failure; skipped offline.

Our configuration is composed against that version's own tree of configurations; nothing of it is installed or imported.
"""

import subprocess
import sys
import warnings
import zipfile
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

import recipe.medgrpo.config

pytestmark = pytest.mark.e2e

OURS = Path(recipe.medgrpo.config.__file__).parent
NEEDED = {
    "medgrpo": (
        "data.train_files=t",
        "data.val_files=v",
        "actor_rollout_ref.model.path=m",
        "medgrpo.reward.artifact=a",
    ),
    "sft": (),
}
#: Names of verl that the plugin and the recipe's classes hold on to.
MODULES = (
    "verl/plugin/platform/__init__.py",
    "verl/trainer/main_ppo.py",
    "verl/trainer/ppo/v1/trainer_base.py",
    "verl/utils/dataset/rl_dataset.py",
    "verl/utils/dataset/multiturn_sft_dataset.py",
    "verl/models/transformers/qwen2_vl.py",
)


class DriftWarning(UserWarning):
    """A newer verl no longer fits this recipe."""


def keys_of(tree: Path, name: str) -> set[str]:
    """All keys of our configuration ``name``, composed with verl's configurations in ``tree``."""
    path = f"hydra.searchpath=[file://{tree}]"
    with initialize_config_dir(config_dir=str(OURS), version_base=None):
        config = OmegaConf.to_container(compose(name, [*NEEDED[name], path]), resolve=False)

    def walk(node, prefix):
        for key, value in node.items():
            yield f"{prefix}{key}"
            if isinstance(value, dict):
                yield from walk(value, f"{prefix}{key}.")

    return set(walk(config, ""))


def drift(package: Path, installed: Path) -> list[str]:
    """What differs for this recipe between two unpacked verl packages (folders that hold ``verl``)."""
    found = [f"{module} is gone" for module in MODULES if not (package / module).exists()]
    for name in NEEDED:
        before = keys_of(installed / "verl/trainer/config", name)
        try:
            after = keys_of(package / "verl/trainer/config", name)
        except Exception as error:  # whatever Hydra says about it is the report
            found.append(f"{name}.yaml does not compose: {type(error).__name__}: {error}")
            continue
        found += [f"{name}.yaml: {key} is gone" for key in sorted(before - after)]
    return found


@pytest.fixture(scope="module")
def installed() -> Path:
    import verl

    return Path(verl.__file__).parents[1]


@pytest.fixture(scope="module")
def newest(tmp_path_factory) -> tuple[str, Path]:
    """Version and unpacked wheel of the newest verl that pip finds."""
    folder = tmp_path_factory.mktemp("newest verl")
    pip = (sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--disable-pip-version-check", "--pre")
    done = subprocess.run([*pip, "--dest", folder, "verl"], capture_output=True, text=True, timeout=120)
    wheels = list(folder.glob("verl-*.whl"))
    if done.returncode or not wheels:
        pytest.skip(f"no wheel of verl can be had here: {done.stderr.strip()[-200:]}")
    with zipfile.ZipFile(wheels[0]) as wheel:
        wheel.extractall(folder / "unpacked")
    return wheels[0].name.split("-")[1], folder / "unpacked"


def test_the_newest_verl_is_reported(newest, installed):
    version, package = newest
    found = drift(package, installed)
    print(f"verl {version}: {len(found)} differences for this recipe", *found, sep="\n")
    if found:
        warnings.warn(f"verl {version}: " + "; ".join(found), DriftWarning, stacklevel=1)


def test_the_report_sees_what_is_missing(installed, tmp_path):
    import shutil

    tree = tmp_path / "verl/trainer/config"
    shutil.copytree(installed / "verl/trainer/config", tree)
    assert drift(tmp_path, installed) == [f"{module} is gone" for module in MODULES]
    base = tree / "rollout/rollout.yaml"
    base.write_text(base.read_text().replace("\nmax_model_len:", "\nlongest:"))
    assert "medgrpo.yaml: actor_rollout_ref.rollout.max_model_len is gone" in drift(tmp_path, installed)
    (tree / "ppo_trainer.yaml").unlink()
    assert any(line.startswith("medgrpo.yaml does not compose") for line in drift(tmp_path, installed))
