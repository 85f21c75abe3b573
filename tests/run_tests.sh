#!/usr/bin/env bash
# Set up and run all tests: style, then the fast ones, then the end-to-end run (minutes).
#   bash tests/run_tests.sh [fast|e2e] [pytest arguments]
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=requirements/setup_cpu.sh
source requirements/setup_cpu.sh
which=all
case ${1:-} in fast | e2e) which=$1 && shift ;; esac
if [ "$which" != e2e ]; then
  ruff check . && ruff format --check .
  python -m pytest -m "not e2e" --durations=5 "$@"
fi
if [ "$which" != fast ]; then
  python -m pytest -m e2e --capture=no "$@"
fi
