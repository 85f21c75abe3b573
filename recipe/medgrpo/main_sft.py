# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""``torchrun ... -m recipe.medgrpo.main_sft``: verl's SFT trainer with this recipe's configuration and data set."""

import os

from recipe.medgrpo import PLUGIN

# For this process and all that it starts; verl looks for plugins as it is imported.
os.environ[PLUGIN] = "1"

import hydra
from omegaconf import DictConfig
from verl.trainer.sft_trainer import run_sft
from verl.utils.device import auto_set_device

from recipe.medgrpo.common.configuration import ConfigurationError, check_given
from recipe.medgrpo.common.run_folder import keep_configuration
from recipe.medgrpo.preflight.errors import SetupError
from recipe.medgrpo.preflight.unused_keys import UNUSED_IN_SFT, refuse_unused


@hydra.main(config_path="config", config_name="sft", version_base=None)
def main(config: DictConfig) -> None:
    try:
        check_given(config)
        refuse_unused(config, UNUSED_IN_SFT)
    except (ConfigurationError, SetupError) as error:
        raise SystemExit(f"training does not start: {error}") from None
    keep_configuration(config)
    auto_set_device(config)
    run_sft(config)


if __name__ == "__main__":
    main()
