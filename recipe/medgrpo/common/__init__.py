# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""What several rooms need: the run's folder, tables and the house style of pictures."""
