# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""What runs inside verl's trainers: data set, sampler, reward manager, patches, metrics."""
