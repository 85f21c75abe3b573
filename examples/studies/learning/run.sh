#!/usr/bin/env bash
# Does RL learn on the drawn clips, and more than SFT would in the same time? What holds the tasks that earn no reward?
#   bash examples/studies/learning/run.sh one_source
# There are two worlds: `one_source`, where the SFT model looks at the clips, and `eight_sources`, where it does not. The
# arms of a seed, and what was predicted of them, stand in the world's study.yaml. A second call goes on. SEEDS="3 4" and
# ARMS="rl more-sft" run a part. OUT=... chooses another folder for the runs; results go to the world's folder, and from
# there to docs/evidence.md.
set -euo pipefail

REPOSITORY=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../.." && pwd)
# shellcheck source=examples/common.sh
source "$REPOSITORY/examples/common.sh"
OUT=$(absolute "${OUT:-$REPOSITORY/outputs/study_learning/${1:-}}")
cd "$REPOSITORY"

case "$*" in
  eight_sources)
    SOURCES=()
    CLIPS=120           # per source
    HELD_OUT=0.85       # of the rows
    SFT_STEPS=100
    RL_STEPS=24
    EVERY=8             # steps of RL from one validation to the next
    RATE=()             # the newcomer's
    ALL_ARMS="rl more-sft all-tasks kl"
    ;;
  one_source)
    SOURCES=(--sources CoPESD)
    CLIPS=1600
    HELD_OUT=0.6
    SFT_STEPS=300
    RL_STEPS=36
    EVERY=18
    RATE=(
      actor_rollout_ref.actor.optim.lr=4e-4
      actor_rollout_ref.actor.optim.lr_warmup_steps=3
      actor_rollout_ref.actor.optim.lr_scheduler_type=cosine
    )
    ALL_ARMS="rl rl-longer more-sft all-tasks-longer"
    ;;
  *)
    echo "'$*' is not one world: start run.sh one_source|eight_sources, with SEEDS=... and ARMS=... before it" >&2
    exit 2
    ;;
esac
STUDY=examples/studies/learning/$1
# Now, and not after the hours that others take.
ALL_SEEDS="3 4 5"
for SEED in ${SEEDS:=$ALL_SEEDS}; do
  [[ " $ALL_SEEDS " == *" $SEED "* ]] || { echo "SEEDS: $1 has no seed $SEED; choose among $ALL_SEEDS" >&2; exit 2; }
done
for ARM in ${ARMS:=$ALL_ARMS}; do
  [[ " $ALL_ARMS " == *" $ARM "* ]] || { echo "ARMS: $1 has no arm $ARM; choose among $ALL_ARMS" >&2; exit 2; }
done
# shellcheck source=requirements/setup_cpu.sh
source requirements/setup_cpu.sh
MORE_STEPS=900   # of SFT: with eight sources about as long as SFT and RL take together, without validation
ALL=[tag,stg,vs,nap,sa,cvs]
LONGER=(actor_rollout_ref.actor.optim.lr=2e-4 actor_rollout_ref.rollout.temperature=0.7)
SCORING=(--max-tokens 96 "medgrpo.reward.reward_tasks=$ALL")   # of greedy answers

stage() { python -m recipe.medgrpo.stage --run "$RUN" "$@"; }

# reinforce ARM [hydra overrides]: RL from the SFT model. So many clips, all validated at once, would fill the memory.
reinforce() {
  stage --name "$1" --after calibrate --costly "$RUN/$1" --metrics "$RUN/$1" --total "$RL_STEPS" -- \
    python -m recipe.medgrpo.main_medgrpo platform=cpu \
    data.train_files="$(hydra "$RUN/data/train.parquet")" data.val_files="$(hydra "$RUN/data/val.parquet")" \
    "${DATA[@]}" "${MODEL[@]}" "${ACTOR[@]}" "${ROLLOUT[@]}" "${RATE[@]}" \
    data.val_batch_size=256 data.media.memory_gb=0.5 \
    actor_rollout_ref.actor.loss_agg_mode=seq-mean-token-mean \
    medgrpo.reward.artifact="$(hydra "$RUN/normalization.json")" "medgrpo.reward.reward_tasks=$ALL" \
    "actor_rollout_ref.actor.checkpoint.save_contents=[model,optimizer,extra,hf_model]" trainer.max_actor_ckpt_to_keep=1 \
    trainer.total_epochs=1000 trainer.total_training_steps="$RL_STEPS" trainer.save_freq=12 \
    trainer.default_local_dir="$(hydra "$RUN/$1")" hydra.run.dir="$(hydra "$RUN/$1")" "${@:2}"
  evaluate "$1" "$1" "$RUN/$1/global_step_$RL_STEPS/actor/huggingface" "${SCORING[@]}"
}

arm() {
  case "$1" in
    # The curves come from verl's own validation, which the other arms do without: in `one_source` it takes as long as
    # ten steps.
    rl) reinforce rl "data.tasks=[tag,stg]" trainer.test_freq="$EVERY" trainer.val_before_train=true ;;
    rl-longer)
      RL_STEPS=200 reinforce rl-longer "${LONGER[@]}" "data.tasks=[tag,stg]" trainer.test_freq=50 \
        trainer.val_before_train=true
      ;;
    more-sft)
      fine_tune more-sft "$MORE_STEPS"
      evaluate more-sft more-sft "$RUN/more-sft/global_step_$MORE_STEPS/huggingface" "${SCORING[@]}"
      ;;
    all-tasks) reinforce all-tasks ;;
    all-tasks-longer) RL_STEPS=200 reinforce all-tasks-longer "${LONGER[@]}" ;;
    kl)
      reinforce kl "data.tasks=[tag,stg]" actor_rollout_ref.actor.use_kl_loss=true actor_rollout_ref.actor.kl_loss_coef=0.04
      ;;
  esac
}

for SEED in $SEEDS; do
  RUN=$OUT/seed$SEED
  mkdir -p "$RUN"
  # shellcheck source=examples/cpu.sh
  source examples/cpu.sh
  draw_world "${SOURCES[@]}"
  stage --name data --rooted --after world --output "$RUN/data" -- \
    python -m data_preprocess.medvidbench --json "$RUN/world/medvidbench_synthetic.json" \
    --frames-root "$RUN/world/frames" --out "$RUN/data" --seed "$SEED" --val-ratio "$HELD_OUT"
  warm_start
  calibrate "${SCORING[@]}"
  evaluate sft calibrate "$SFT" "${SCORING[@]}"
  for ARM in $ARMS; do
    arm "$ARM"
  done
  python -m recipe.medgrpo.study.learning --study "$STUDY" --page docs/evidence.md --run "$RUN"
done
