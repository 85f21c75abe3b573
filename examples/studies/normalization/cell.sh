#!/usr/bin/env bash
# One cell of the study: the world of a seed (made once), and RL under one setting. Started by run.sh, which reads the
# variables from study.yaml.
#   RUN=... SETTING=... SEED=... bash examples/studies/normalization/cell.sh [hydra overrides of the RL stage]
set -euo pipefail

REPOSITORY=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../.." && pwd)
# shellcheck source=examples/common.sh
source "$REPOSITORY/examples/common.sh"
: "${RUN:?}" "${SETTING:?}" "${SEED:?}" "${SOURCES:?}" "${CLIPS:?}" "${TASKS:?}" "${RL_TASKS:?}" "${SFT_STEPS:?}" "${RL_STEPS:?}" "${VAL_BEFORE:?}"
TWINS=${TWINS:-}                 # 1: every TAG question has its twin
POSITION_FPS=${POSITION_FPS:-}   # one fps for all clips; empty: each clip's own
UNLIKE=${UNLIKE:-}               # {"scale": {SOURCE: X}, "shift": {SOURCE: X}}: raw rewards that are made unlike

cd "$REPOSITORY"
read -ra sources <<<"$SOURCES"
read -ra tasks <<<"$TASKS"
read -ra rl_tasks <<<"$RL_TASKS"
rows=rows-${RL_TASKS// /-}
ARTIFACT=$RUN/normalization.json
mkdir -p "$RUN"
# shellcheck source=examples/cpu.sh
source examples/cpu.sh
stage() { python -m recipe.medgrpo.stage --run "$RUN" "$@"; }

draw_world --sources "${sources[@]}" ${TWINS:+--twins}

# More is held out than usual: what is compared are small differences of held-out means.
CONVERT=(
  python -m data_preprocess.medvidbench --json "$RUN/world/medvidbench_synthetic.json"
  --frames-root "$RUN/world/frames" --seed "$SEED" --val-ratio 0.4 ${POSITION_FPS:+--position-fps "$POSITION_FPS"}
)

# SFT and validation see all tasks, RL those that are rewarded. Rows hold the absolute paths of their frames.
stage --name data --rooted --after world --output "$RUN/data" -- \
  "${CONVERT[@]}" --out "$RUN/data" --tasks "${tasks[@]}"

stage --name "$rows" --rooted --after world --output "$RUN/$rows" -- \
  "${CONVERT[@]}" --out "$RUN/$rows" --tasks "${rl_tasks[@]}"

warm_start

REWARDED="[${TASKS// /,}]"
calibrate --max-tokens 96 --max-per-pair 200 "medgrpo.reward.reward_tasks=$REWARDED"

before=calibrate
if [ -n "$UNLIKE" ]; then
  ARTIFACT=$RUN/unlike.$SETTING.json before=unlike.$SETTING
  stage --name "$before" --after calibrate --output "$ARTIFACT" -- \
    python -m recipe.medgrpo.study unlike --artifact "$RUN/normalization.json" --factors "$UNLIKE" --out "$ARTIFACT"
fi

DATA=(
  data.train_files="$(hydra "$RUN/$rows/train.parquet")"
  data.val_files="$(hydra "$RUN/data/val.parquet")"
  "${DATA[@]}"
  data.train_batch_size=8
)
# All tasks have a reward, so that validation scores them; RL's rows are those of its own tasks.
REWARD=(
  medgrpo.reward.artifact="$(hydra "$ARTIFACT")"
  medgrpo.reward.reward_tasks="$REWARDED"
  medgrpo.alarm.action=warn
)
ROLLOUT+=(
  actor_rollout_ref.rollout.val_kwargs.do_sample=true
  actor_rollout_ref.rollout.val_kwargs.temperature=1
  actor_rollout_ref.rollout.val_kwargs.n=2
)
# Validation after the last step, and before the first (true or false); nothing is saved, an interrupted cell starts anew.
TRAINER=(
  trainer.total_epochs=1000
  trainer.total_training_steps="$RL_STEPS"
  trainer.val_before_train="$VAL_BEFORE"
  trainer.test_freq="$RL_STEPS"
  trainer.save_freq=-1
  trainer.resume_mode=disable
  trainer.default_local_dir="$(hydra "$RUN/$SETTING")"
  hydra.run.dir="$(hydra "$RUN/$SETTING")"
)

stage --name "$SETTING" --after "$before" --output "$RUN/$SETTING" --metrics "$RUN/$SETTING" --total "$RL_STEPS" -- \
  python -m recipe.medgrpo.main_medgrpo platform=cpu \
  "${DATA[@]}" "${MODEL[@]}" "${ACTOR[@]}" "${ROLLOUT[@]}" "${REWARD[@]}" "${TRAINER[@]}" "$@"
