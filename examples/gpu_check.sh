#!/usr/bin/env bash
# All stages of MedGRPO on one card, with random weights at Qwen2.5-VL-7B's widths and few layers, on the drawn world at
# the paper's pixels per frame. Nothing is downloaded. It ends with a table and gpu_check.json: docs/gpu_check.md.
#   bash examples/gpu_check.sh
# With VERL_PLATFORM=cpu and a tiny model it tries the stages, and no GPU. --help prints this.
set -euo pipefail

RUN=${RUN:-outputs/gpu_check}      # a second call goes on there
N_GPUS=${N_GPUS:-1}
LAYERS=${LAYERS:-4}                # of the language model, and of the vision tower
CLIPS=${CLIPS:-24}                 # clips per source of the drawn world
SFT_STEPS=${SFT_STEPS:-60}
RL_STEPS=${RL_STEPS:-3}
OFFLOAD=${OFFLOAD:-0}              # 1: parameters and optimizer wait in host memory, for cards under 80 GiB
GPU_SHARE=${GPU_SHARE:-0.4}        # of a card's memory, for vLLM
ATTN=${ATTN:-}                     # sdpa: without flash-attn, the default where it cannot be imported

# shellcheck source=examples/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
help_wanted "${BASH_SOURCE[0]}" "$@"
[ $# = 0 ] || { echo "$*: gpu_check.sh takes no arguments; set variables, which --help lists" >&2; exit 2; }
RUN=$(absolute "$RUN")
cd "$(dirname "${BASH_SOURCE[0]}")/.."
stage() { python3 -m recipe.medgrpo.stage --run "$RUN" "$@"; }

if [ "${VERL_PLATFORM:-}" = cpu ]; then
  MODEL_ARGS=(--layers "$LAYERS")
  SFT_ARGS=(platform=cpu_sft optim.lr=3e-3)
  RL_ARGS=(platform=cpu data.train_batch_size=4 actor_rollout_ref.rollout.n=4 data.max_response_length=64)
  TOKENS=6144
else
  need_gpus
  [ -n "$ATTN" ] || python3 -c 'import flash_attn' 2>/dev/null || ATTN=sdpa
  export ATTN                        # `medgrpo doctor`, in the table, then does not ask for flash-attn
  MODEL_ARGS=(--like qwen2.5-vl-7b --layers "$LAYERS")
  SFT_ARGS=(engine.strategy=fsdp2 optim.lr=3e-4 model.enable_gradient_checkpointing=True)
  RL_ARGS=(
    data.train_batch_size=16
    data.max_response_length=128
    actor_rollout_ref.model.enable_gradient_checkpointing=True
    actor_rollout_ref.rollout.gpu_memory_utilization="$GPU_SHARE"
  )
  attention model
  SFT_ARGS+=("${ATTENTION[@]}")
  attention actor_rollout_ref.model
  RL_ARGS+=("${ATTENTION[@]}")
  # As in the script for the real model.
  TOKENS=20480
fi
if [ "$OFFLOAD" = 1 ]; then
  SFT_ARGS+=(engine.param_offload=True engine.optimizer_offload=True)
  RL_ARGS+=(
    actor_rollout_ref.actor.fsdp_config.param_offload=True
    actor_rollout_ref.actor.fsdp_config.optimizer_offload=True
  )
fi
export HF_HUB_OFFLINE=1 TOKENIZERS_PARALLELISM=false

[ ! -e "$RUN" ] || [ -d "$RUN/stages" ] || die "$RUN is no check's folder: set RUN to another"
mkdir -p "$RUN/stages"   # marks the folder as a check's, should the first stage not get as far
# The table comes whatever happens, and says which stage failed; its status is the script's.
trap 'trap - EXIT; python3 -m recipe.medgrpo.report.gpu_check --run "$RUN"; exit $?' EXIT

stage --name world -- \
  python3 -m data_preprocess.synthetic --out "$RUN/world" --clips-per-source "$CLIPS"

# The drawn frames are enlarged nearly to the 48 tokens per frame (two frames) that the paper's pixels allow.
stage --name data --after world -- \
  python3 -m data_preprocess.medvidbench --json "$RUN/world/medvidbench_synthetic.json" \
  --frames-root "$RUN/world/frames" --out "$RUN/data" --min-pixels 31360

stage --name model --after data --output "$RUN/model" -- \
  medgrpo tiny-model --out "$RUN/model" --data "$RUN/data/train.parquet" "${MODEL_ARGS[@]}"

stage --name sft --after model --output "$RUN/sft" --metrics "$RUN/sft" --total "$SFT_STEPS" -- \
  torchrun --standalone --nproc_per_node="$N_GPUS" -m recipe.medgrpo.main_sft "${SFT_ARGS[@]}" \
  model.path="$(hydra "$RUN/model")" data.train_files="$(hydra "$RUN/data/train.parquet")" data.train_batch_size=16 \
  data.max_length=1152 data.max_token_len_per_gpu="$TOKENS" trainer.n_gpus_per_node="$N_GPUS" \
  "optim.betas=[0.9,0.95]" optim.lr_warmup_steps_ratio=0.1 \
  trainer.total_training_steps="$SFT_STEPS" trainer.total_epochs=100 trainer.save_freq="$SFT_STEPS" \
  trainer.default_local_dir="$(hydra "$RUN/sft")" "checkpoint.save_contents=[model,hf_model]"
SFT=$RUN/sft/global_step_$SFT_STEPS/huggingface

stage --name calibrate --after sft --output "$RUN/normalization.json" "$RUN/normalization.answers.jsonl" -- \
  medgrpo calibrate --model "$SFT" --data "$RUN/data/train.parquet" --out "$RUN/normalization.json" --max-tokens 128 \
  --engines "$N_GPUS"

# The learning rate is high so that weights which do not reach vLLM show in the next step's probabilities.
stage --name rl --after calibrate --output "$RUN/rl" --metrics "$RUN/rl" --total "$RL_STEPS" -- \
  python3 -m recipe.medgrpo.main_medgrpo "${RL_ARGS[@]}" \
  data.train_files="$(hydra "$RUN/data/train.parquet")" data.val_files="$(hydra "$RUN/data/val.parquet")" \
  data.max_prompt_length=1024 actor_rollout_ref.model.path="$(hydra "$SFT")" actor_rollout_ref.actor.optim.lr=3e-5 \
  actor_rollout_ref.actor.ppo_max_token_len_per_gpu="$TOKENS" actor_rollout_ref.rollout.max_model_len=1152 \
  "actor_rollout_ref.actor.checkpoint.save_contents=[model,hf_model]" \
  medgrpo.reward.artifact="$(hydra "$RUN/normalization.json")" trainer.n_gpus_per_node="$N_GPUS" \
  trainer.total_epochs=100 trainer.total_training_steps="$RL_STEPS" trainer.save_freq="$RL_STEPS" \
  trainer.default_local_dir="$(hydra "$RUN/rl")" hydra.run.dir="$(hydra "$RUN/rl")"

stage --name evaluate --after rl --output "$RUN/eval/rl" -- \
  medgrpo evaluate --name rl --model "$RUN/rl/global_step_$RL_STEPS/actor/huggingface" --out "$RUN/eval/rl" \
  --data "$RUN/data/val.parquet" --normalization "$RUN/normalization.json" --max-tokens 128 --engines "$N_GPUS"
