# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""``medgrpo data``: can every row be trained on, and do two files share anything."""
