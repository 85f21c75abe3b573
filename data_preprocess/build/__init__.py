# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Makes MedVidBench records from the annotations of its eight public sources, as their publishers distribute them."""
