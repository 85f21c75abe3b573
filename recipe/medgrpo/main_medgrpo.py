# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""``python -m recipe.medgrpo.main_medgrpo``: verl's V1 trainer with this recipe's configuration and checks."""

import os
import shutil
import time
from pathlib import Path

import hydra
import pyarrow.parquet as pq
import verl  # noqa: F401  (loads the plugin)
from omegaconf import DictConfig, ListConfig, OmegaConf
from verl.trainer.main_ppo import TaskRunnerV1, run_ppo
from verl.trainer.ppo.utils import need_critic, need_reference_policy
from verl.utils.checkpoint.checkpoint_manager import find_latest_ckpt_path
from verl.utils.config import validate_config
from verl.utils.device import auto_set_device

import reward_score
from recipe.medgrpo import plugin
from recipe.medgrpo.generate import weights_fingerprint
from recipe.medgrpo.judge_check import check_judge
from recipe.medgrpo.probe import check_longest
from recipe.medgrpo.self_check import check_before_training


class SetupError(RuntimeError):
    """The run cannot start as it is configured; the message says what to change."""


def check_plugin() -> None:
    """Raise if verl's workers would run without the plugin: verl itself logs a plugin that fails only at DEBUG."""
    from importlib.metadata import entry_points

    if not any(entry.value == plugin.__name__ for entry in entry_points(group="verl.plugins")):
        raise SetupError("this recipe's verl plugin is not installed: pip install --no-deps -e . in its repository")


def check_normalization(config: DictConfig) -> None:
    """Raise unless the artifact covers all pairs of the data, was measured on the model that the training starts from,
    and is the one that a resumed run was started with.

    The artifact is copied beside the checkpoints.
    """
    options = OmegaConf.to_container(config.medgrpo.reward, resolve=True)
    scorer = reward_score.get_scorer(**options)
    files = config.data.train_files
    for file in [files] if isinstance(files, str) else files:
        sources = set(pq.read_table(file, columns=["data_source"])["data_source"].to_pylist())
        scorer.check(source for source in sources if source.rsplit("/", 1)[-1] in config.data.tasks)
    if options["normalization"] == "none":
        return
    kept = Path(config.trainer.default_local_dir) / "normalization.json"
    artifact = reward_score.Artifact.load(options["artifact"])
    _check_model(config, artifact)
    resumes = config.trainer.resume_mode != "disable" and find_latest_ckpt_path(str(kept.parent)) is not None
    if resumes and kept.exists() and (old := reward_score.Artifact.load(kept)).hash != artifact.hash:
        raise SetupError(
            f"{kept.parent} was trained with normalization {old.hash[:12]}, "
            f"{options['artifact']} is {artifact.hash[:12]}: "
            f"set medgrpo.reward.artifact={kept} to go on, or another trainer.default_local_dir to start anew"
        )
    kept.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(options["artifact"], kept.with_suffix(".tmp"))
    kept.with_suffix(".tmp").replace(kept)
    print(f"normalization {artifact.hash[:12]} from {options['artifact']}")


def _check_model(config: DictConfig, artifact: reward_score.Artifact) -> None:
    """Raise if the artifact was measured on other weights than the training starts from."""
    file, model = config.medgrpo.reward.artifact, config.actor_rollout_ref.model.path
    measured = artifact.provenance
    own = weights_fingerprint(Path(model)) if measured.fingerprint else None
    if own is None:
        # Not to be had of a name on the hub, and of an artifact of version 1.
        if Path(measured.model).resolve() != Path(model).resolve():
            print(
                f"WARNING: the normalization {file} was measured on {measured.model}, but training starts from {model}."
                " If these are different weights, a median answer no longer gets 0.5: calibrate with this model",
                flush=True,
            )
        return
    if own != measured.fingerprint and not config.medgrpo.accept_other_model:
        raise SetupError(
            f"the normalization {file} was measured on {measured.model} (weights {measured.fingerprint[:12]}), but "
            f"training starts from {model} (weights {own[:12]}), so a median answer would not get 0.5: calibrate with "
            "this model (`medgrpo calibrate --model`), or set medgrpo.accept_other_model=true if that is meant"
        )


def _absolute(value):
    """Paths that exist as absolute ones, in a list too; a model's name on the hub stays."""
    if isinstance(value, ListConfig):
        return [_absolute(one) for one in value]
    return os.path.abspath(value) if value is not None and os.path.exists(value) else value


def keep_logs_together(config: DictConfig) -> None:
    """Logs of verl's ``file`` and ``tensorboard`` loggers go beside the checkpoints, not into the working folder.

    Each start has a file of its own, because verl's file logger truncates. Paths become absolute, because the trainer
    of an existing Ray cluster has another working folder.
    """
    inputs = ("data.train_files", "data.val_files", "actor_rollout_ref.model.path", "medgrpo.reward.artifact")
    for key in (*inputs, "trainer.resume_from_path"):
        OmegaConf.update(config, key, _absolute(OmegaConf.select(config, key)))
    config.trainer.default_local_dir = os.path.abspath(config.trainer.default_local_dir)
    folder = Path(config.trainer.default_local_dir)
    folder.mkdir(parents=True, exist_ok=True)
    places = {
        "VERL_FILE_LOGGER_PATH": folder / f"metrics.{time.time_ns()}.jsonl",
        "TENSORBOARD_DIR": folder / "tensorboard",
    }
    for name, place in places.items():
        value = os.environ[name] = os.path.abspath(os.environ.get(name, place))
        # The trainer may run on another node of an existing Ray cluster.
        OmegaConf.update(config, f"ray_kwargs.ray_init.runtime_env.env_vars.{name}", value, force_add=True)


@hydra.main(config_path="config", config_name="medgrpo", version_base=None)
def main(config) -> None:
    check_plugin()
    check_normalization(config)
    check_judge(config)
    check_longest(config)
    check_before_training(config)
    keep_logs_together(config)
    auto_set_device(config)
    validate_config(config, use_reference_policy=need_reference_policy(config), use_critic=need_critic(config))
    run_ppo(config, task_runner_class=TaskRunnerV1)


if __name__ == "__main__":
    main()
