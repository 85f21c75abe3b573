#!/usr/bin/env bash
# One cell of the study: the world of a seed (made once), and RL under one setting. Started by run.sh, which reads the
# variables from study.yaml.
#   RUN=... SETTING=... SEED=... bash examples/studies/normalization/cell.sh [hydra overrides of the RL stage]
set -euo pipefail

REPOSITORY=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../.." && pwd)
# shellcheck source=examples/common.sh
source "$REPOSITORY/examples/common.sh"
: "${RUN:?}" "${SETTING:?}" "${SEED:?}" "${SOURCES:?}" "${CLIPS:?}" "${TASKS:?}" "${RL_TASKS:?}" "${SFT_STEPS:?}" "${RL_STEPS:?}"
TWINS=${TWINS:-}                 # 1: every TAG question has its twin
POSITION_FPS=${POSITION_FPS:-}   # one fps for all clips; empty: each clip's own
UNLIKE=${UNLIKE:-}               # {"scale": {SOURCE: X}, "shift": {SOURCE: X}}: raw rewards that are made unlike

cd "$REPOSITORY"
read -ra sources <<<"$SOURCES"
read -ra tasks <<<"$TASKS"
read -ra rl_tasks <<<"$RL_TASKS"
rows=rows-${RL_TASKS// /-}
SFT=$RUN/sft/global_step_$SFT_STEPS/huggingface
ARTIFACT=$RUN/normalization.json
mkdir -p "$RUN"
stage() { python -m recipe.medgrpo.stage --run "$RUN" "$@"; }

stage --name world --output "$RUN/world" -- \
  python -m data_preprocess.synthetic --out "$RUN/world" --seed "$SEED" --clips-per-source "$CLIPS" \
  --sources "${sources[@]}" ${TWINS:+--twins}

# More is held out than usual: what is compared are small differences of held-out means.
CONVERT=(
  python -m data_preprocess.medvidbench --json "$RUN/world/medvidbench_synthetic.json"
  --frames-root "$RUN/world/frames" --seed "$SEED" --val-ratio 0.4 ${POSITION_FPS:+--position-fps "$POSITION_FPS"}
)

# SFT and validation see all tasks, RL those that are rewarded.
stage --name data --after world --output "$RUN/data" -- \
  "${CONVERT[@]}" --out "$RUN/data" --tasks "${tasks[@]}"

stage --name "$rows" --after world --output "$RUN/$rows" -- \
  "${CONVERT[@]}" --out "$RUN/$rows" --tasks "${rl_tasks[@]}"

stage --name model --after data --output "$RUN/model" -- \
  medgrpo tiny-model --out "$RUN/model" --data "$RUN/data/train.parquet" --seed "$SEED"

stage --name sft --after model --output "$RUN/sft" --metrics "$RUN/sft" --total "$SFT_STEPS" -- \
  torchrun --standalone --nproc_per_node=1 -m recipe.medgrpo.main_sft platform=cpu_sft \
  model.path="$(hydra "$RUN/model")" data.train_files="$(hydra "$RUN/data/train.parquet")" data.train_batch_size=16 \
  data.max_length=384 data.max_token_len_per_gpu=6144 data.media.memory_gb=2 engine.seed="$SEED" trainer.seed="$SEED" \
  optim.lr=3e-3 "optim.betas=[0.9,0.95]" optim.lr_warmup_steps_ratio=0.05 \
  trainer.total_training_steps="$SFT_STEPS" trainer.total_epochs=100 trainer.save_freq=200 trainer.max_ckpt_to_keep=1 \
  trainer.default_local_dir="$(hydra "$RUN/sft")" "checkpoint.save_contents=[model,optimizer,extra,hf_model]"

REWARDED="[${TASKS// /,}]"
stage --name calibrate --after sft --output "$RUN/normalization.json" "$RUN/normalization.answers.jsonl" -- \
  medgrpo calibrate --model "$SFT" --data "$RUN/data/train.parquet" --out "$RUN/normalization.json" --max-tokens 96 \
  --max-per-pair 200 "medgrpo.reward.reward_tasks=$REWARDED"

before=calibrate
if [ -n "$UNLIKE" ]; then
  ARTIFACT=$RUN/unlike.$SETTING.json before=unlike.$SETTING
  stage --name "$before" --after calibrate --output "$ARTIFACT" -- \
    python -m recipe.medgrpo.study unlike --artifact "$RUN/normalization.json" --factors "$UNLIKE" --out "$ARTIFACT"
fi

DATA=(
  data.train_files="$(hydra "$RUN/$rows/train.parquet")"
  data.val_files="$(hydra "$RUN/data/val.parquet")"
  data.train_batch_size=16
  data.max_prompt_length=256
  data.max_response_length=96
  data.seed="$SEED"
)
MODEL=(
  actor_rollout_ref.model.path="$(hydra "$SFT")"
)
ACTOR=(
  actor_rollout_ref.actor.optim.lr=2e-4
  actor_rollout_ref.actor.ppo_max_token_len_per_gpu=6144
)
ROLLOUT=(
  actor_rollout_ref.rollout.n=8
  actor_rollout_ref.rollout.max_model_len=352
  actor_rollout_ref.rollout.seed="$SEED"
)
# All tasks have a reward, so that validation scores them; RL's rows are those of its own tasks.
REWARD=(
  medgrpo.reward.artifact="$(hydra "$ARTIFACT")"
  medgrpo.reward.reward_tasks="$REWARDED"
  medgrpo.alarm.action=warn
)
# Greedy validation before the first step and after the last; nothing is saved, an interrupted cell starts anew.
TRAINER=(
  trainer.total_epochs=1000
  trainer.total_training_steps="$RL_STEPS"
  trainer.val_before_train=true
  trainer.test_freq="$RL_STEPS"
  trainer.save_freq=-1
  trainer.resume_mode=disable
  trainer.default_local_dir="$(hydra "$RUN/$SETTING")"
  hydra.run.dir="$(hydra "$RUN/$SETTING")"
)

stage --name "$SETTING" --after "$before" --output "$RUN/$SETTING" --metrics "$RUN/$SETTING" --total "$RL_STEPS" -- \
  python -m recipe.medgrpo.main_medgrpo platform=cpu \
  "${DATA[@]}" "${MODEL[@]}" "${ACTOR[@]}" "${ROLLOUT[@]}" "${REWARD[@]}" "${TRAINER[@]}" "$@"
