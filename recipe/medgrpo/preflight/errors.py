# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""The error of every check before a run."""


class SetupError(RuntimeError):
    """The run cannot start as it is configured, or on these data; the message says what to change."""
