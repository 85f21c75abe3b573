#!/usr/bin/env bash
# MedGRPO on Qwen3.5-4B: the stages and options of run_medgrpo_qwen2_5vl_7b.sh with this model's own values.
#   DATA=... OPENAI_API_KEY=... bash examples/run_medgrpo_qwen3_5_4b.sh [hydra overrides of the RL stage]
# Qwen3.5 has patches of 16 pixels: make its data with python -m data_preprocess.medvidbench --patch 16.
# Its delta-net layers are faster with flash-linear-attention and causal-conv1d (docs/models.md); SP needs the former.
set -euo pipefail

# shellcheck source=examples/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
help_wanted "${BASH_SOURCE[0]}" "$@"

export BASE=${BASE:-Qwen/Qwen3.5-4B}
export DATA=${DATA:-data/medvidbench_patch16}
export RUN=${RUN:-checkpoints/medgrpo/qwen3_5_4b}

MODEL_ARGS=(
  trainer.experiment_name=medgrpo_qwen3_5_4b
)
ROLLOUT=(
  actor_rollout_ref.rollout.gpu_memory_utilization=0.7
)

exec bash "$(dirname "${BASH_SOURCE[0]}")/run_medgrpo_qwen2_5vl_7b.sh" "${MODEL_ARGS[@]}" "${ROLLOUT[@]}" "$@"
