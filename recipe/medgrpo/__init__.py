# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""MedGRPO on verl. Nothing of verl or vLLM is changed by installing it: see ``PLUGIN``."""

#: Environment variable: "1" lets verl and vLLM load this recipe's plugin (plugin.py) in this process and in all that it
#: starts. This recipe's commands set it for themselves; without it both are as their authors made them.
PLUGIN = "MEDGRPO_PLUGIN"
