#!/usr/bin/env bash
# Make .venv-lmms with lmms-eval, for tests/recipe/lmms_eval/test_lmms_eval_slow.py: bash requirements/setup_lmms.sh
# An environment of its own, because lmms-eval pins packages that training pins differently.
set -euo pipefail
cd "$(dirname "$0")/.."
python3.11 -m venv .venv-lmms
.venv-lmms/bin/python -m pip install --quiet torch==2.11.0 torchvision==0.26.0 transformers==5.9.0 decord==0.6.0 \
  lmms-eval==0.7.3 "filelock<4"  # lmms-eval 0.7.3 imports a part of filelock that version 4 has no more
.venv-lmms/bin/python -m pip install --quiet --editable ".[similarity]"
