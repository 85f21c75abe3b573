#!/usr/bin/env bash
# The study of cross-dataset normalization, on two processor cores: runs the cells that have no result, then writes
# docs/evidence.md's part about it. What it consists of, and what was predicted, stands in study.yaml.
#   bash examples/studies/normalization/run.sh [--hours 8] [--only SETTING...] [--seeds SEED...]
# A second call goes on. OUT=... chooses another folder for the runs; results go to examples/studies/normalization/results.
set -euo pipefail

REPOSITORY=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../.." && pwd)
# shellcheck source=examples/common.sh
source "$REPOSITORY/examples/common.sh"
help_wanted "${BASH_SOURCE[0]}" "$@"
OUT=$(absolute "${OUT:-$REPOSITORY/outputs/study_normalization}")
cd "$REPOSITORY"
# shellcheck source=requirements/setup_cpu.sh
source requirements/setup_cpu.sh

status=0
python -m recipe.medgrpo.study run --study examples/studies/normalization --out "$OUT" "$@" || status=$?
# A mistake in what was given has run nothing: the page stays.
[ "$status" -ne 2 ] || exit 2
python -m recipe.medgrpo.study page --study examples/studies/normalization --page docs/evidence.md
exit "$status"
