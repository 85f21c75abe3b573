#!/usr/bin/env bash
# Supervised warm start with the paper's learning rate and epochs, on verl's SFT trainer: Qwen2.5-VL-7B, 3 epochs, FSDP2, 8 GPUs.
#   DATA=... bash examples/run_sft_qwen2_5vl_7b.sh [hydra overrides]
# It resumes from its last checkpoint; $OUT/latest is the finished model. DRY_RUN=1 prints the plan and
# writes the whole configuration to a file; --help prints this.
# On several nodes, start it on each, with NNODES, NODE_RANK and MASTER_ADDR (examples/slurm/sft.sbatch).
set -euo pipefail

BASE=${BASE:-Qwen/Qwen2.5-VL-7B-Instruct}         # or a folder
DATA=${DATA:-data/medvidbench}                    # folder with train.parquet (data_preprocess.medvidbench)
OUT=${OUT:-checkpoints/medgrpo/qwen2_5vl_7b/sft}
N_GPUS=${N_GPUS:-8}                               # per node
NNODES=${NNODES:-1}
NODE_RANK=${NODE_RANK:-0}
MASTER_ADDR=${MASTER_ADDR:-127.0.0.1}
MASTER_PORT=${MASTER_PORT:-29511}
EPOCHS=${EPOCHS:-3}                               # paper
STRATEGY=${STRATEGY:-fsdp2}
SP=${SP:-1}                                       # sequence parallel (Ulysses): GPUs that share one sequence
ATTN=${ATTN:-flash_attention_2}                   # sdpa: without flash-attn; slower, and SP=1
OFFLOAD=${OFFLOAD:-0}                             # 1: parameters and optimizer wait in host memory

# shellcheck source=examples/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
help_wanted "${BASH_SOURCE[0]}" "$@"
as_argument="give it as an argument:"
refuse_variables RUN="the folder is OUT" MODEL="SFT starts from BASE" LORA="SFT trains all weights" \
  STEPS="it is EPOCHS, or $as_argument trainer.total_training_steps=..." LR="$as_argument optim.lr=..." \
  BATCH="$as_argument data.train_batch_size=..." SEED="$as_argument trainer.seed=... engine.seed=..." \
  SFT_ARGS="give them as arguments" MODALITY="$as_argument data.only.modality=[...]" \
  QUESTION_TYPE="$as_argument data.only.question_type=[...]" TP="SFT has no rollout" PRESET="SFT has no reward" \
  JUDGE="SFT has no reward" JUDGE_MODEL="SFT has no reward" NORMALIZATION="SFT has no reward" \
  STAGES="it is the stage sft alone" TEST_JSON="it trains only" LAST="it trains only" \
  VAL_PER_PAIR="it trains only"
DATA=$(absolute "$DATA") OUT=$(absolute "$OUT") BASE=$(absolute_folder "$BASE")
need_gpus
need_file "$DATA/train.parquet" "make it with python -m data_preprocess.medvidbench, or set DATA"

attention model
# The paper's learning rate, and the batch, stand in recipe/medgrpo/config/sft.yaml.
DATA_ARGS=(
  data.train_files="$(hydra "$DATA/train.parquet")"
  data.max_token_len_per_gpu=18432
)
MODEL_ARGS=(
  model.path="$(hydra "$BASE")"
  "${ATTENTION[@]}"
  model.enable_gradient_checkpointing=True
)
ENGINE=(
  engine.strategy="$STRATEGY"
  engine.ulysses_sequence_parallel_size="$SP"
)
TRAINER=(
  trainer.total_epochs="$EPOCHS"
  trainer.n_gpus_per_node="$N_GPUS"
  trainer.nnodes="$NNODES"
  trainer.max_ckpt_to_keep=2                      # with 1, verl removes the old one before it has noted the new one
  trainer.default_local_dir="$(hydra "$OUT")"
  hydra.run.dir="$(hydra "$OUT")"
  "checkpoint.save_contents=[model,optimizer,extra,hf_model]"
)
if [ "$OFFLOAD" = 1 ]; then
  ENGINE+=(engine.param_offload=True engine.optimizer_offload=True)
fi

ARGS=("${DATA_ARGS[@]}" "${MODEL_ARGS[@]}" "${ENGINE[@]}" "${TRAINER[@]}" "$@")
plan sft sft "${ARGS[@]}"
SFT=(recipe.medgrpo.main_sft "${ARGS[@]}")
# Also ends here, before any GPU has loaded anything, if rows are too long.
TOTAL=$(medgrpo estimate --sft-steps "${ARGS[@]}" | tail -n 1)
echo "$TOTAL steps in all"
# From the last checkpoint of a finished training, verl would train a step more than asked for. On every node alike.
LAST=$(cat "$OUT/latest_checkpointed_iteration.txt" 2>/dev/null) || LAST=0
if [ "$LAST" -ge "$TOTAL" ]; then
  echo "SFT has ended before, at step $LAST"
else
  torchrun --nnodes="$NNODES" --node_rank="$NODE_RANK" --nproc_per_node="$N_GPUS" \
    --master_addr="$MASTER_ADDR" --master_port="$MASTER_PORT" -m "${SFT[@]}"
fi
if [ "$NODE_RANK" = 0 ]; then
  LAST=$(cat "$OUT/latest_checkpointed_iteration.txt")
  # A trainer that ends early without an error must not pass for a finished one.
  [ "$LAST" -ge "$TOTAL" ] || die "SFT ended at step $LAST of $TOTAL: $OUT/latest is not set; start it again to go on"
  ln -sfn "global_step_$LAST/huggingface" "$OUT/latest"
fi
