# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""The error of every check before a run."""

from collections.abc import Iterator
from contextlib import contextmanager


class SetupError(RuntimeError):
    """The run cannot start as it is configured, or on these data; the message says what to change."""


@contextmanager
def usable(path: str, what: str = "config.json of a vision-language model") -> Iterator[None]:
    """What a model folder lacks is the user's to fix."""
    try:
        yield
    except (AttributeError, OSError, ValueError) as error:
        raise SetupError(f"{path}: no usable {what}: {error}") from None
