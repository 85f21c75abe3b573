# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""What a normalization would do to given answers: ``medgrpo replay``, without training."""
