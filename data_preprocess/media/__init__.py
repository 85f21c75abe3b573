# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Frames and clips: whether they can be read, how large they are, how many tokens they become."""
