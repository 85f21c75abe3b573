#!/usr/bin/env bash
# The whole of MedGRPO on two processor cores: real verl, real vLLM, a drawn world and a model of 1.7 M parameters.
#   bash examples/run_medgrpo_cpu.sh [hydra overrides of the RL stage]
# A second call resumes: stages that have ended are skipped. RUN=... chooses another folder. RL of other settings is
# refused once it has a checkpoint; ACCEPT_CHANGE=1 goes on from it all the same. DRY_RUN=1 prints the plan, writes the
# whole configuration to a file and stops; --help prints this.
set -euo pipefail

# shellcheck source=examples/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
help_wanted "${BASH_SOURCE[0]}" "$@"
REPOSITORY=$(absolute "$(dirname "${BASH_SOURCE[0]}")/..")
RUN=$(absolute "${RUN:-$REPOSITORY/outputs/medgrpo_cpu}")
SEED=${SEED:-0}
CLIPS=${CLIPS:-200}              # clips per source of the drawn world
SFT_STEPS=${SFT_STEPS:-300}
RL_STEPS=${RL_STEPS:-24}

refuse_overrides RL_STEPS=trainer.total_training_steps RUN=trainer.default_local_dir SEED=data.seed -- "$@"
refuse_wording "$@"
as_argument="give it as an argument:" big="examples/run_medgrpo_qwen2_5vl_7b.sh takes it, on GPUs"
refuse_variables OUT="the folder is RUN" STEPS="it is RL_STEPS" EPOCHS="it is SFT_STEPS" DATA="its world is drawn; $big" \
  MODEL="its model is made; $big" BASE="its model is made; $big" PRESET="$as_argument preset=..." \
  JUDGE="$as_argument judge=..." JUDGE_MODEL="$as_argument medgrpo.reward.judge.model=..." \
  LR="$as_argument actor_rollout_ref.actor.optim.lr=..." BATCH="$as_argument data.train_batch_size=..." \
  STAGES="all stages are run, and skipped when done" NORMALIZATION="it calibrates itself" SFT_ARGS="$big" LORA="$big" \
  ATTN="$big" SP="$big" TP="$big" OFFLOAD="$big" STRATEGY="$big" N_GPUS="$big" NNODES="$big" TEST_JSON="$big" LAST="$big" VAL_PER_PAIR="$big"
cd "$REPOSITORY"
RL=$RUN/rl/global_step_$RL_STEPS/actor/huggingface
stage() { python -m recipe.medgrpo.stage --run "$RUN" ${ACCEPT_CHANGE:+--accept} "$@"; }

# shellcheck source=examples/cpu.sh
source examples/cpu.sh
DATA=(
  data.train_files="$(hydra "$RUN/data/train.parquet")"
  data.val_files="$(hydra "$RUN/data/val.parquet")"
  "${DATA[@]}"
)
ACTOR+=(
  "actor_rollout_ref.actor.checkpoint.save_contents=[model,optimizer,extra,hf_model]"
)
REWARD=(
  medgrpo.reward.artifact="$(hydra "$RUN/normalization.json")"
)
TRAINER=(
  trainer.total_epochs=100
  trainer.total_training_steps="$RL_STEPS"
  trainer.save_freq=8
  trainer.max_actor_ckpt_to_keep=2
  trainer.default_local_dir="$(hydra "$RUN/rl")"
  hydra.run.dir="$(hydra "$RUN/rl")"
)

RL_ARGS=(platform=cpu "${DATA[@]}" "${MODEL[@]}" "${ACTOR[@]}" "${ROLLOUT[@]}" "${REWARD[@]}" "${TRAINER[@]}" "$@")

# The plan needs the environment, but is no reason to make it.
[ -z "${DRY_RUN:-}" ] || PATH="$REPOSITORY/.venv/bin:$PATH"
plan medgrpo "world data model sft calibrate rl eval-sft eval-rl report" "${RL_ARGS[@]}"
# shellcheck source=requirements/setup_cpu.sh
source requirements/setup_cpu.sh
mkdir -p "$RUN"
TOKENS=$(last_value data.max_response_length 96 "$@")   # of an answer, in every stage
scoring_overrides "${REWARD[@]}" "$@"
draw_world

# Rows hold the absolute paths of their frames.
stage --name data --rooted --after world --output "$RUN/data" -- \
  python -m data_preprocess.medvidbench --json "$RUN/world/medvidbench_synthetic.json" \
  --frames-root "$RUN/world/frames" --out "$RUN/data" --seed "$SEED"

warm_start

calibrate --max-tokens "$TOKENS" "${SCORING[@]}"

stage --name rl --after calibrate --costly "$RUN/rl" --metrics "$RUN/rl" --total "$RL_STEPS" -- \
  python -m recipe.medgrpo.main_medgrpo "${RL_ARGS[@]}"

# Sampled as in training, several answers a row: 24 steps mostly make the policy surer, which greedy answers do not show.
EVALUATION=(--max-tokens "$TOKENS" --temperature 1 --n 4 "${SCORING[@]}")
# At once: each keeps one core busy.
evaluate sft calibrate "$SFT" "${EVALUATION[@]}" &
status=0
evaluate rl rl "$RL" "${EVALUATION[@]}" || status=$?
wait "$!" || status=$?
[ "$status" = 0 ] || exit "$status"

medgrpo report "$RUN"
