# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""What can go wrong while an answer is scored: row, configuration or infrastructure are at fault, never the answer."""


class RewardError(Exception):
    """Base of all errors of this package; catch this one to catch them all."""


class UnknownTask(RewardError):
    """A row names a task that this package does not know, or its data_source has another form."""


class TaskWithoutReward(RewardError):
    """A row's task is known, but the configuration gives it no reward."""


class BadGroundTruth(RewardError):
    """A row's reference cannot be read, so no answer to it can be scored."""


class BadOption(RewardError):
    """An option of the scorer is unknown or has a value that makes no sense."""


class NormalizationError(RewardError):
    """The normalization artifact is missing, damaged, or lacks pairs that the data needs."""


class BadSubmission(RewardError):
    """A predictions file or a ground-truth file cannot be evaluated."""


class JudgeUnavailable(RewardError):
    """A judge gave no verdict; the caption is unscorable, which is not a score of 0."""


class CacheUnusable(RewardError):
    """The judge's cache file cannot be read or written by a command that is about it."""


class EncoderUnavailable(RewardError):
    """The sentence encoder cannot be loaded."""
