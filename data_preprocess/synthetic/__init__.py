# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Drawn worlds in the formats of the real data sets, for runs and tests without any of them."""
