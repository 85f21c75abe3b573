# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""One file per task: how an answer is read, what it is worth, and the benchmark's own metric."""
