# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""``python -m data_preprocess.synthetic``: draws the clips."""

import sys

from data_preprocess.synthetic.clips import main

sys.exit(main())
