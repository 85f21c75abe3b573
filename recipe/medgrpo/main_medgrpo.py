# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""``python -m recipe.medgrpo.main_medgrpo``: verl's V1 trainer with this recipe's configuration and checks."""

import hydra

import verl  # noqa: F401  (loads the plugin)
from recipe.medgrpo import plugin
from verl.trainer.main_ppo import TaskRunnerV1, run_ppo
from verl.trainer.ppo.utils import need_critic, need_reference_policy
from verl.utils.config import validate_config
from verl.utils.device import auto_set_device


@hydra.main(config_path="config", config_name="medgrpo", version_base=None)
def main(config) -> None:
    auto_set_device(config)
    validate_config(config, use_reference_policy=need_reference_policy(config), use_critic=need_critic(config))
    run_ppo(config, task_runner_class=TaskRunnerV1)


if __name__ == "__main__":
    main()
