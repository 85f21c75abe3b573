# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""After and between trainings: answers of a checkpoint, their scores, calibration, and the leaderboard's files."""
