# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Reference captions by two models from expert annotations, what is kept of them, and their review by people."""
