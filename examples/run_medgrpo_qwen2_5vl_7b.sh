#!/usr/bin/env bash
# MedGRPO's RL stage with the paper's settings: Qwen2.5-VL-7B after SFT, GRPO, FSDP actor, vLLM rollout, 8 GPUs.
#   DATA=... MODEL=... NORMALIZATION=... bash examples/run_medgrpo_qwen2_5vl_7b.sh [hydra overrides]
# DRY_RUN=1 prints the composed configuration and stops.
set -euo pipefail

DATA=${DATA:-data/medvidbench}                    # folder with train.parquet and val.parquet (data_preprocess.medvidbench)
MODEL=${MODEL:-checkpoints/medgrpo/sft/latest}    # SFT checkpoint in Hugging Face format
NORMALIZATION=${NORMALIZATION:-$MODEL/normalization.json}   # written by: medgrpo calibrate
OUT=${OUT:-checkpoints/medgrpo/qwen2_5vl_7b}
N_GPUS=${N_GPUS:-8}
NNODES=${NNODES:-1}
STEPS=${STEPS:-5000}                              # paper
TP=${TP:-1}

if [ -z "${DRY_RUN:-}" ] && ! nvidia-smi -L >/dev/null 2>&1; then
  echo "No NVIDIA GPU was found (nvidia-smi fails): this script needs $N_GPUS per node." \
    "Without a GPU, run: bash examples/run_medgrpo_cpu.sh" >&2
  exit 1
fi

DATA_ARGS=(
  data.train_files="$DATA/train.parquet"
  data.val_files="$DATA/val.parquet"
  data.train_batch_size=48
  data.max_prompt_length=8192
  data.max_response_length=512
)
MODEL_ARGS=(
  actor_rollout_ref.model.path="$MODEL"
  actor_rollout_ref.model.use_remove_padding=True
  actor_rollout_ref.model.enable_gradient_checkpointing=True
)
ACTOR=(
  actor_rollout_ref.actor.optim.lr=5e-7           # paper
  actor_rollout_ref.actor.clip_ratio_low=0.2      # paper
  actor_rollout_ref.actor.clip_ratio_high=0.3     # paper
  actor_rollout_ref.actor.use_kl_loss=False       # paper
  actor_rollout_ref.actor.ppo_max_token_len_per_gpu=20480
)
ROLLOUT=(
  actor_rollout_ref.rollout.n=8                   # paper
  actor_rollout_ref.rollout.tensor_model_parallel_size="$TP"
  actor_rollout_ref.rollout.gpu_memory_utilization=0.6
)
REWARD=(
  medgrpo.reward.artifact="$NORMALIZATION"
  medgrpo.reward.normalization=logistic           # paper
  medgrpo.reward.k=3.0                            # paper
)
TRAINER=(
  trainer.n_gpus_per_node="$N_GPUS"
  trainer.nnodes="$NNODES"
  trainer.total_epochs=1000
  trainer.total_training_steps="$STEPS"
  trainer.save_freq=100
  trainer.default_local_dir="$OUT"
  hydra.run.dir="$OUT"
)

exec python3 -m recipe.medgrpo.main_medgrpo ${DRY_RUN:+--cfg job --resolve} \
  "${DATA_ARGS[@]}" "${MODEL_ARGS[@]}" "${ACTOR[@]}" "${ROLLOUT[@]}" "${REWARD[@]}" "${TRAINER[@]}" "$@"
