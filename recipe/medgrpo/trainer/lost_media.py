# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Frames, pictures and videos that cannot be read during training: the workers report them, the sampler stops the run.

verl drops an answer whose media cannot be read, and trains on without it. They were there when the run was checked.
"""

from contextlib import suppress

import ray

#: Of the actor; every Ray job has names of its own.
BOARD = "medgrpo_lost_media"


class MediaLost(RuntimeError):
    """Training was stopped because media can no longer be read; the message names the first file."""


@ray.remote(num_cpus=0)
class _Board:
    """Holds what could not be read until the sampler takes it."""

    def __init__(self) -> None:
        self.lost: list[str] = []

    def add(self, message: str) -> None:
        self.lost.append(message)

    def take(self) -> list[str]:
        taken, self.lost = self.lost, []
        return taken


def start() -> ray.actor.ActorHandle:
    """The job's board; it lives as long as whoever holds it."""
    return _Board.options(name=BOARD, get_if_exists=True).remote()


async def report(error: Exception) -> None:
    """Count an answer that is lost to ``error``, before verl learns that it failed. Nobody may be there to count."""
    with suppress(ValueError, ray.exceptions.RayError):
        if ray.is_initialized():
            await ray.get_actor(BOARD).add.remote(str(error))


def take(board: ray.actor.ActorHandle) -> list[str]:
    """The message of each answer lost since the last call."""
    return ray.get(board.take.remote(), timeout=30.0)
