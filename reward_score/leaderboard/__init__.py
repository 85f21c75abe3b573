# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""The MedVidBench leaderboard: its metrics and its submission files."""

from reward_score.leaderboard.metrics import LeaderboardResult, score_files, score_records
from reward_score.leaderboard.submission import check_submission, write_submission

__all__ = ["LeaderboardResult", "check_submission", "score_files", "score_records", "write_submission"]
