# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Raw scores of all sources on one scale: the percentiles that were measured, and the methods that use them."""
