# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""``medgrpo train``, or ``python -m recipe.medgrpo.main_medgrpo``: verl's V1 trainer with this recipe's configuration
and checks.
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from recipe.medgrpo import PLUGIN

# For this process and all that it starts; verl looks for plugins as it is imported.
os.environ[PLUGIN] = "1"

import hydra
from omegaconf import DictConfig, ListConfig, OmegaConf
from verl.trainer.main_ppo import TaskRunnerV1, run_ppo
from verl.trainer.ppo.utils import need_critic, need_reference_policy
from verl.utils.config import validate_config
from verl.utils.device import auto_set_device

from recipe.medgrpo import plugin
from recipe.medgrpo.cli import complaint
from recipe.medgrpo.common.configuration import check_given
from recipe.medgrpo.common.listed import listed
from recipe.medgrpo.common.run_folder import keep_configuration
from recipe.medgrpo.preflight.errors import SetupError
from recipe.medgrpo.preflight.judge import check_judge
from recipe.medgrpo.preflight.longest_prompt import check_longest
from recipe.medgrpo.preflight.normalization import check_normalization
from recipe.medgrpo.preflight.parallel import check_parallel
from recipe.medgrpo.preflight.positions import check_before_training
from recipe.medgrpo.preflight.unused_keys import UNUSED, refuse_unused
from recipe.medgrpo.scoring.training_options import read_tasks

#: The folder that `recipe` is in.
HOME = Path(__file__).parents[2]


def check_plugin() -> None:
    """Raise if verl's workers would run without the plugin: verl itself logs a plugin that fails only at DEBUG."""
    if not any(entry.value == plugin.__name__ for entry in entry_points(group="verl.plugins")):
        raise SetupError("this recipe's verl plugin is not installed: pip install --no-deps -e . in its repository")


def _absolute(value, root: str | Path = "."):
    """Paths that exist as absolute ones, in a list too; a model's name on the hub stays."""
    if isinstance(value, ListConfig):
        return [_absolute(one, root) for one in value]
    place = None if value is None else os.path.abspath(os.path.join(root, value))
    return place if place is not None and os.path.exists(place) else value


def keep_logs_together(config: DictConfig) -> None:
    """Logs of verl's ``file`` and ``tensorboard`` loggers go next to the checkpoints, not into the working folder.

    The report needs the file, so that logger is always on. Each start has a file of its own, because it truncates.
    Paths become absolute, because the trainer of an existing Ray cluster has another working folder.
    """
    inputs = ("data.train_files", "data.val_files", "actor_rollout_ref.model.path", "medgrpo.reward.artifact")
    for key in (*inputs, "trainer.resume_from_path"):
        OmegaConf.update(config, key, _absolute(OmegaConf.select(config, key)))
    # The user's own file, or the one that comes with the recipe.
    rollout = config.actor_rollout_ref.rollout
    rollout.router_config_path = _absolute(_absolute(rollout.router_config_path), HOME)
    config.trainer.default_local_dir = os.path.abspath(config.trainer.default_local_dir)
    config.trainer.logger = list(dict.fromkeys([*listed(config.trainer.logger), "file"]))
    folder = Path(config.trainer.default_local_dir)
    folder.mkdir(parents=True, exist_ok=True)
    places = {
        "VERL_FILE_LOGGER_PATH": folder / f"metrics.{time.time_ns()}.jsonl",
        "TENSORBOARD_DIR": folder / "tensorboard",
    }
    for name, place in places.items():
        os.environ[name] = os.path.abspath(os.environ.get(name, place))
    for name in (PLUGIN, *places):
        # The trainer may run on another node of an existing Ray cluster.
        OmegaConf.update(config, f"ray_kwargs.ray_init.runtime_env.env_vars.{name}", os.environ[name], force_add=True)


def fit_context(config: DictConfig) -> None:
    """Give vLLM the room of the longest prompt and answer; by default it keeps that of the model's whole context."""
    rollout, data = config.actor_rollout_ref.rollout, config.data
    if rollout.max_model_len is None:
        rollout.max_model_len = data.max_prompt_length + data.max_response_length


@contextmanager
def refusing() -> Iterator[None]:
    """What the user can fix ends the start with one sentence."""
    try:
        yield
    except Exception as error:
        message = complaint(error)
        if os.environ.get("MEDGRPO_TRACEBACK") == "1" or message is None:
            raise
        raise SystemExit(f"training does not start: {message}") from None


class Starting:
    """verl's task runner, which imports what it needs while ``ready`` waits for the last check of the start."""

    def __init__(self, runner: Any, ready: Callable[[], None]) -> None:
        self.runner, self.ready = runner, ready

    def options(self, **options: Any) -> "Starting":
        return Starting(self.runner.options(**options), self.ready)

    def remote(self) -> Any:
        started = self.runner.remote()
        self.ready()
        return started


@hydra.main(config_path="config", config_name="medgrpo", version_base=None)
def main(config: DictConfig) -> None:
    """Check everything that can be checked before the first step, then train."""
    with refusing():
        check_plugin()
        check_given(config)
        refuse_unused(config, UNUSED)
        fit_context(config)
        check_parallel(config, config.actor_rollout_ref.model.path)
        read_tasks(config)
        check_normalization(config)
        check_judge(config)
    with check_before_training(config) as positions:
        with refusing():
            check_longest(config)
        keep_logs_together(config)
        auto_set_device(config)
        validate_config(config, use_reference_policy=need_reference_policy(config), use_critic=need_critic(config))

        def ready() -> None:
            with refusing():
                print(positions())
            keep_configuration(config)

        run_ppo(config, task_runner_class=Starting(TaskRunnerV1, ready))


if __name__ == "__main__":
    main()
