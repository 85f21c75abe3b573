#!/usr/bin/env bash
# MedGRPO with the paper's settings: Qwen2.5-VL-7B, SFT, GRPO with an FSDP2 actor and vLLM rollout, 8 GPUs.
#   DATA=... OPENAI_API_KEY=... bash examples/run_medgrpo_qwen2_5vl_7b.sh [hydra overrides of the RL stage]
# Stages (STAGES="calibrate rl" runs these alone): a second call skips what is done and resumes what was interrupted.
# A stage whose settings changed is refused; ACCEPT_CHANGE=1 goes on from its checkpoints all the same.
# MODEL=... starts from an SFT checkpoint you have, NORMALIZATION=... takes an artifact you have: their stages are left out.
# DRY_RUN=1 prints the plan, writes the whole configuration to a file and stops; --help prints this.
# Settings for fewer and smaller GPUs: docs/install.md.
set -euo pipefail

DATA=${DATA:-data/medvidbench}                    # folder with train.parquet and val.parquet (data_preprocess.medvidbench)
TEST_JSON=${TEST_JSON:-}                          # the benchmark's test file; $DATA/test.parquet is made from it
RUN=${RUN:-checkpoints/medgrpo/qwen2_5vl_7b}      # everything that this script writes
BASE=${BASE:-Qwen/Qwen2.5-VL-7B-Instruct}         # what SFT starts from
if [ -z "${STAGES:-}" ]; then
  STAGES="sft calibrate rl evaluate${TEST_JSON:+ submission}"
  # Adapters are evaluated once they have been merged: the end of this script says how.
  [ "${LORA:-0}" = 0 ] || [ -n "${LAST:-}" ] || STAGES="sft calibrate rl"
  [ -z "${NORMALIZATION:-}" ] || STAGES=${STAGES/calibrate/}
fi
[ -z "${MODEL:-}" ] || STAGES=${STAGES/sft/}
MODEL=${MODEL:-}                                  # SFT checkpoint in Hugging Face format, a folder or a name on the hub
NORMALIZATION=${NORMALIZATION:-$RUN/normalization.json}   # written by the stage calibrate
PRESET=${PRESET:-medgrpo}                         # paper; medgrpo_all_tasks | medgrpo_no_norm: recipe/medgrpo/config/preset
JUDGE=${JUDGE:-openai}                            # paper; openai (OPENAI_API_KEY, OPENAI_BASE_URL) | local | lexical: docs/judge.md
JUDGE_MODEL=${JUDGE_MODEL:-gpt-4.1}               # paper; of JUDGE=openai
VAL_PER_PAIR=${VAL_PER_PAIR:-250}                 # rows of each source and task that are evaluated; val.parquet may have 80,000
# Per node, for the trainer; calibration and evaluation take those of one node.
# JUDGE=local needs GPUs in addition to these: of 8 give the trainer 6 or 4, which divide the batch.
N_GPUS=${N_GPUS:-8}
NNODES=${NNODES:-1}                               # more than one: RL on an existing Ray cluster, RAY_ADDRESS
EPOCHS=${EPOCHS:-3}                               # of SFT; paper
SFT_ARGS=${SFT_ARGS:-}                            # hydra overrides of SFT, between spaces: "data.max_length=12288 trainer.seed=3"
STEPS=${STEPS:-5000}                              # paper
LR=${LR:-5e-7}                                    # paper; LoRA wants about ten times as much
STRATEGY=${STRATEGY:-fsdp2}
TP=${TP:-1}                                       # GPUs that share one vLLM replica
SP=${SP:-1}                                       # sequence parallel (Ulysses): GPUs that share one sequence
OFFLOAD=${OFFLOAD:-0}                             # 1: the actor's parameters and optimizer wait in host memory
ATTN=${ATTN:-flash_attention_2}                   # sdpa: without flash-attn; slower, and SP=1
LORA=${LORA:-0}                                   # of RL: rank of adapters in the language model; 0: all weights are trained

# shellcheck source=examples/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
help_wanted "${BASH_SOURCE[0]}" "$@"
refuse_overrides STEPS=trainer.total_training_steps RUN=trainer.default_local_dir MODEL=actor_rollout_ref.model.path \
  NORMALIZATION=medgrpo.reward.artifact LORA=actor_rollout_ref.model.lora_rank -- "$@"
refuse_variables OUT="the folder is RUN" BATCH="give data.train_batch_size=... as an argument" \
  SEED="give data.seed=... as an argument" RL_STEPS="it is STEPS" SFT_STEPS="SFT has EPOCHS" \
  MODALITY="give data.only.modality=[...] as an argument" QUESTION_TYPE="give data.only.question_type=[...] as an argument"
for word in "$@"; do
  case $word in
    preset=*) PRESET=${word#*=} ;;
    judge=*) JUDGE=${word#*=} ;;
  esac
done
refuse_family "$PRESET" medgrpo
refuse_wording "$@"
DATA=$(absolute "$DATA") RUN=$(absolute "$RUN") NORMALIZATION=$(absolute "$NORMALIZATION")
MODEL=$(absolute_folder "${MODEL:-$RUN/sft/latest}") BASE=$(absolute_folder "$BASE")
LAST=$(absolute "${LAST:-$RUN/rl/global_step_$STEPS/actor/huggingface}")   # what is evaluated; with LORA: a merged model
need_gpus
if [ -z "${DRY_RUN:-}" ] && on_hub "$MODEL"; then
  # Calibration and evaluation read a folder.
  MODEL=$(hf download --quiet "$MODEL") || die "MODEL: there is no such folder, and the hub gives no such model"
fi

attention actor_rollout_ref.model
# What the paper states of rewards and losses stands in recipe/medgrpo/config/medgrpo.yaml and its presets.
DATA_ARGS=(
  data.train_files="$(hydra "$DATA/train.parquet")"
  data.val_files="$(hydra "$DATA/val.parquet")"
)
MODEL_ARGS=(
  actor_rollout_ref.model.path="$(hydra "$MODEL")"
  "${ATTENTION[@]}"
  actor_rollout_ref.model.enable_gradient_checkpointing=True
)
ACTOR=(
  actor_rollout_ref.actor.strategy="$STRATEGY"
  actor_rollout_ref.actor.optim.lr="$LR"
  actor_rollout_ref.actor.ppo_max_token_len_per_gpu=20480
  actor_rollout_ref.actor.fsdp_config.ulysses_sequence_parallel_size="$SP"
  # verl 0.9.1 would write adapters under names that no loader knows into the Hugging Face folder.
  "actor_rollout_ref.actor.checkpoint.save_contents=[model,optimizer,extra$([ "$LORA" != 0 ] || echo ,hf_model)]"
)
ROLLOUT=(
  actor_rollout_ref.rollout.tensor_model_parallel_size="$TP"
)
REWARD=(
  preset="$PRESET"
  judge="$JUDGE"
  medgrpo.reward.artifact="$(hydra "$NORMALIZATION")"
)
TRAINER=(
  trainer.n_gpus_per_node="$N_GPUS"
  trainer.nnodes="$NNODES"
  trainer.total_epochs=1000
  trainer.total_training_steps="$STEPS"
  trainer.max_actor_ckpt_to_keep=2
  trainer.default_local_dir="$(hydra "$RUN/rl")"
  hydra.run.dir="$(hydra "$RUN/rl")"
)
if [ "$OFFLOAD" = 1 ]; then
  ACTOR+=(actor_rollout_ref.actor.fsdp_config.param_offload=True actor_rollout_ref.actor.fsdp_config.optimizer_offload=True)
fi
if [ "$JUDGE" = openai ]; then
  REWARD+=(medgrpo.reward.judge.model="$(hydra "$JUDGE_MODEL")")
fi
if [ "$LORA" != 0 ]; then
  MODEL_ARGS+=(
    actor_rollout_ref.model.lora_rank="$LORA"
    actor_rollout_ref.model.lora_alpha="$((2 * LORA))"
    actor_rollout_ref.model.target_modules=all-linear
    # The vision tower and its projection stay as they are; vLLM loads no adapters there.
    "actor_rollout_ref.model.exclude_modules='.*visual.*'"
  )
  # vLLM gets the frozen weights from the checkpoint, and only the adapters from the trainer.
  ROLLOUT+=(actor_rollout_ref.rollout.load_format=safetensors)
fi
TOKENS=$(last_value data.max_response_length 512 "$@")   # of an answer, in every stage
read -ra SFT_OVERRIDES <<<"$SFT_ARGS"
scoring_overrides "${REWARD[@]}" "$@"
ARGS=("${DATA_ARGS[@]}" "${MODEL_ARGS[@]}" "${ACTOR[@]}" "${ROLLOUT[@]}" "${REWARD[@]}" "${TRAINER[@]}" "$@")

wanted() { [[ " $STAGES " == *" $1 "* ]]; }
for name in $STAGES; do
  [[ " sft calibrate rl evaluate submission " == *" $name "* ]] || die "STAGES: $name is none of sft calibrate rl evaluate submission"
done
plan medgrpo "$STAGES" "${ARGS[@]}"

if [ "$NNODES" != 1 ]; then
  ! wanted sft || die "SFT on several nodes is started on each of them (examples/slurm/sft.sbatch); then set MODEL and STAGES=\"calibrate rl\""
  ! wanted rl || [ -n "${RAY_ADDRESS:-}" ] || die "NNODES=$NNODES needs a running Ray cluster: set RAY_ADDRESS (examples/slurm/rl.sbatch shows one)"
fi
MERGE="the adapters must be merged before they are evaluated (medgrpo export $RUN --out <merged model>): \
leave STAGES unset or without evaluate and submission first, then set LAST=<merged model> and STAGES=evaluate"
OWN_LAST=$RUN/rl/global_step_$STEPS/actor/huggingface
if [ "$LORA" != 0 ] && [ "$LAST" = "$OWN_LAST" ] && { wanted evaluate || wanted submission; }; then
  die "LORA: $MERGE"
fi
if [ "$JUDGE" = local ] && { wanted calibrate || wanted evaluate; }; then
  die "JUDGE=local lives in the stage rl alone: calibrate and evaluate against an endpoint that serves the same model" \
    "(JUDGE=openai JUDGE_MODEL=... OPENAI_BASE_URL=...), and set NORMALIZATION and STAGES=rl here (docs/judge.md)"
fi
if { wanted calibrate || wanted rl || wanted evaluate; } && [ "$JUDGE" = openai ] &&
  [[ "$PRESET $*" != *@(medgrpo_dev|caption_mix=1|judge.base_url=)* ]] && [ -z "${OPENAI_API_KEY:-}${OPENAI_BASE_URL:-}" ]; then
  die "JUDGE=openai needs OPENAI_API_KEY in the environment, or OPENAI_BASE_URL of an endpoint without keys;" \
    "JUDGE=lexical needs nothing, but is not the paper's judge"
fi
need_file "$DATA/train.parquet" "make it with python -m data_preprocess.medvidbench, or set DATA"
! wanted evaluate || need_file "$DATA/val.parquet" "make it with python -m data_preprocess.medvidbench, or set DATA"
if wanted submission; then
  [ -n "$TEST_JSON" ] || die "the stage submission needs TEST_JSON, the benchmark's test file"
  need_file "$DATA/test.parquet" "make it with python -m data_preprocess.medvidbench --questions-only --json $TEST_JSON"
fi
wanted sft || need_file "$MODEL/config.json" "run the stage sft, or set MODEL"
wanted calibrate || ! { wanted rl || wanted evaluate; } ||
  need_file "$NORMALIZATION" "run the stage calibrate, or set NORMALIZATION"
wanted rl || ! { wanted evaluate || wanted submission; } ||
  need_file "$LAST/config.json" "run the stage rl to its end (STEPS=$STEPS), or set LAST"

mkdir -p "$RUN"
if wanted sft || wanted calibrate || wanted rl; then
  # Ends the script if rows are too long for RL; the stage sft begins with the same for its own limits.
  medgrpo estimate --base "$BASE" "${ARGS[@]}"
fi

if wanted calibrate || wanted rl || wanted evaluate; then
  # A judge that does not answer would otherwise be found out after days of SFT. It says so if there is nobody to ask.
  medgrpo judge probe "${SCORING[@]}"
fi

stage() { python3 -m recipe.medgrpo.stage --run "$RUN" ${ACCEPT_CHANGE:+--accept} "$@"; }
# A stage follows the one before it if that one is this run's own: SFT on several nodes leaves no record, only a model.
after() {
  [ "$2" = "$3" ] || return 0
  if wanted "$1" || [ -e "$RUN/stages/$1.json" ]; then echo "--after $1"; fi
}

# What SFT refuses from its user.
RL_ALONE=(LAST LORA LR JUDGE JUDGE_MODEL MODEL NORMALIZATION PRESET RUN SFT_ARGS STAGES STEPS TEST_JSON TP VAL_PER_PAIR)
if wanted sft; then
  stage --name sft --costly "$RUN/sft" --metrics "$RUN/sft" -- \
    env "${RL_ALONE[@]/#/--unset=}" DATA="$DATA" BASE="$BASE" OUT="$RUN/sft" \
    N_GPUS="$N_GPUS" STRATEGY="$STRATEGY" SP="$SP" OFFLOAD="$OFFLOAD" ATTN="$ATTN" EPOCHS="$EPOCHS" \
    bash "$(absolute "$(dirname "${BASH_SOURCE[0]}")")/run_sft_qwen2_5vl_7b.sh" "${SFT_OVERRIDES[@]}"
fi
if wanted calibrate; then
  stage --name calibrate $(after sft "$MODEL" "$RUN/sft/latest") \
    --output "$NORMALIZATION" "${NORMALIZATION%.json}.answers.jsonl" -- \
    medgrpo calibrate --model "$MODEL" --data "$DATA/train.parquet" --out "$NORMALIZATION" --max-tokens "$TOKENS" \
    --engines "$N_GPUS" "${SCORING[@]}"
fi
# evaluate STAGE NAME MODEL [--after STAGE]
evaluate() {
  stage --name "$1" "${@:4}" --output "$RUN/eval/$2" -- \
    medgrpo evaluate --name "$2" --model "$3" --data "$DATA/val.parquet" --normalization "$NORMALIZATION" \
    --out "$RUN/eval/$2" --max-tokens "$TOKENS" --per-pair "$VAL_PER_PAIR" --engines "$N_GPUS" "${SCORING[@]}"
}
if wanted evaluate; then
  # What RL must better; and what is wrong with the evaluation shows before RL's days, not after them.
  evaluate eval-sft sft "$MODEL" $(after calibrate "$NORMALIZATION" "$RUN/normalization.json")
fi
if wanted rl; then
  stage --name rl $(after calibrate "$NORMALIZATION" "$RUN/normalization.json") \
    --costly "$RUN/rl" --metrics "$RUN/rl" --total "$STEPS" -- python3 -m recipe.medgrpo.main_medgrpo "${ARGS[@]}"
fi
if wanted evaluate; then
  evaluate evaluate rl "$LAST" $(after rl "$LAST" "$OWN_LAST")
fi
if wanted submission; then
  stage --name answers $(after rl "$LAST" "$OWN_LAST") --output "$RUN/submission/answers.jsonl" -- \
    medgrpo generate --model "$LAST" --data "$DATA/test.parquet" --out "$RUN/submission/answers.jsonl" \
    --max-tokens "$TOKENS" --engines "$N_GPUS"
  stage --name submission --after answers --output "$RUN/submission/submission.json" -- \
    medgrpo submit --answers "$RUN/submission/answers.jsonl" --ground-truth "$TEST_JSON" --out "$RUN/submission/submission.json"
fi
if wanted evaluate; then
  medgrpo report "$RUN"
elif [ "$LORA" != 0 ] && [ "$LAST" = "$OWN_LAST" ]; then
  echo "Next: $MERGE. The adapters: $RUN/rl/global_step_$STEPS/actor"
fi
