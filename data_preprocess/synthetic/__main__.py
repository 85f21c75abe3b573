# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""A small drawn world of clips in MedVidBench's own format."""

import sys

from data_preprocess.synthetic.clips import main

sys.exit(main())
