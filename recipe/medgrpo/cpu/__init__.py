# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Only for the run on CPU: verl's platform, patches, and tiny models."""
