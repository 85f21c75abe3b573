# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""A run's model as a folder that others can use: weights, processor, generation defaults, card and two programs."""
