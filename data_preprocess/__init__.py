# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""What becomes Parquet: one command per data set, one row schema. Knows neither verl nor torch."""
