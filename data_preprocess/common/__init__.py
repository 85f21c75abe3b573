# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""What several of the rooms need: files that appear whole, errors, downloads, the split, the summary of a run."""
