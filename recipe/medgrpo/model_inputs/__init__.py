# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""What the model is fed, the same in SFT, rollout, training and evaluation."""
