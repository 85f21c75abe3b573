#!/usr/bin/env bash
# Does RL learn on the drawn clips, and more than SFT would in the same time? What holds the tasks that earn no reward?
#   SEEDS="3 4 5" bash examples/studies/learning/run.sh
# The arms of a seed, and what was predicted of them, stand in study.yaml. A second call goes on. OUT=... chooses another
# folder for the runs; results go to examples/studies/learning/results, and from there to docs/evidence.md.
set -euo pipefail

REPOSITORY=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../.." && pwd)
cd "$REPOSITORY"
# shellcheck source=examples/common.sh
source examples/common.sh
# shellcheck source=requirements/setup_cpu.sh
source requirements/setup_cpu.sh
OUT=$(absolute "${OUT:-$REPOSITORY/outputs/study_learning}")
CLIPS=120           # per source; 85% of the rows are held out
SFT_STEPS=100
RL_STEPS=24
MORE_STEPS=900      # of SFT: about as long as SFT and RL take together, without validation
STUDY=examples/studies/learning
ALL=[tag,stg,vs,nap,sa,cvs]
SCORING=(--max-tokens 96 "medgrpo.reward.reward_tasks=$ALL")   # of greedy answers

stage() { python -m recipe.medgrpo.stage --run "$RUN" "$@"; }

# reinforce ARM [hydra overrides]: RL from the SFT model. So many clips, all validated at once, would fill the memory.
reinforce() {
  stage --name "$1" --after calibrate --costly "$RUN/$1" --metrics "$RUN/$1" --total "$RL_STEPS" -- \
    python -m recipe.medgrpo.main_medgrpo platform=cpu \
    data.train_files="$(hydra "$RUN/data/train.parquet")" data.val_files="$(hydra "$RUN/data/val.parquet")" \
    "${DATA[@]}" "${MODEL[@]}" "${ACTOR[@]}" "${ROLLOUT[@]}" \
    data.val_batch_size=256 data.media.memory_gb=0.5 \
    actor_rollout_ref.actor.loss_agg_mode=seq-mean-token-mean \
    medgrpo.reward.artifact="$(hydra "$RUN/normalization.json")" "medgrpo.reward.reward_tasks=$ALL" \
    "actor_rollout_ref.actor.checkpoint.save_contents=[model,optimizer,extra,hf_model]" trainer.max_actor_ckpt_to_keep=1 \
    trainer.total_epochs=1000 trainer.total_training_steps="$RL_STEPS" trainer.save_freq=12 \
    trainer.default_local_dir="$(hydra "$RUN/$1")" hydra.run.dir="$(hydra "$RUN/$1")" "${@:2}"
  evaluate "$1" "$1" "$RUN/$1/global_step_$RL_STEPS/actor/huggingface" "${SCORING[@]}"
}

for SEED in ${SEEDS:-3 4 5}; do
  RUN=$OUT/seed$SEED
  mkdir -p "$RUN"
  # shellcheck source=examples/cpu.sh
  source examples/cpu.sh
  draw_world
  stage --name data --rooted --after world --output "$RUN/data" -- \
    python -m data_preprocess.medvidbench --json "$RUN/world/medvidbench_synthetic.json" \
    --frames-root "$RUN/world/frames" --out "$RUN/data" --seed "$SEED" --val-ratio 0.85
  warm_start
  calibrate "${SCORING[@]}"
  evaluate sft calibrate "$SFT" "${SCORING[@]}"
  # Its curve comes from verl's own validation, which the other arms do without: it takes as long as two steps.
  reinforce rl "data.tasks=[tag,stg]" trainer.test_freq=8 trainer.val_before_train=true
  fine_tune more-sft "$MORE_STEPS"
  evaluate more-sft more-sft "$RUN/more-sft/global_step_$MORE_STEPS/huggingface" "${SCORING[@]}"
  reinforce all-tasks
  reinforce kl "data.tasks=[tag,stg]" actor_rollout_ref.actor.use_kl_loss=true \
    actor_rollout_ref.actor.kl_loss_coef=0.04
  python -m recipe.medgrpo.study.learning --study "$STUDY" --page docs/evidence.md --run "$RUN"
done
