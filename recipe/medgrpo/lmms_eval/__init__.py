# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""MedVidBench for lmms-eval 0.7: task files (``tasks/``), what they call, and a model class that knows times."""
