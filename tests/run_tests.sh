#!/usr/bin/env bash
# Set up and run all tests: the fast ones (style among them), then the end-to-end runs (30 minutes).
#   bash tests/run_tests.sh [fast|e2e] [pytest arguments]
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=requirements/setup_cpu.sh
source requirements/setup_cpu.sh
which=all
case ${1:-} in fast | e2e) which=$1 && shift ;; esac
if [ "$which" != e2e ]; then
  # Half of the time is imports of torch and vLLM: two processes, each with whole files.
  python -m pytest -m "not e2e and not slow" -n 2 --dist loadfile --durations=5 "$@"
fi
if [ "$which" != fast ]; then
  python -m pytest -m "e2e and not slow" --capture=no "$@"
fi
