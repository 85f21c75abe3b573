# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""A study: settings times seeds, run one after another, compared with what was predicted, and reported on a page."""
