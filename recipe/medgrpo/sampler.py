# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""The recipe's replay buffer for verl's hook ``trainer.v1.sampler.custom_sampler``.

verl 0.9.1 looks every two seconds whether a batch is complete, which is a third of a step of the CPU run; and its
built-in interval cannot be configured.
"""

from verl.trainer.ppo.v1.replay_buffer import ReplayBuffer


class MedGRPOReplayBuffer(ReplayBuffer):
    """verl's replay buffer with ``poll_interval`` (seconds) from ``trainer.v1.sampler.sampler_kwargs``."""

    def __init__(self, *args, sampler_kwargs, **kwargs):
        kwargs["poll_interval"] = sampler_kwargs.get("poll_interval", 2.0)
        super().__init__(*args, sampler_kwargs=sampler_kwargs, **kwargs)
