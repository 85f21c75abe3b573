# Sourced by the scripts of the image papers: what they have in common. Start one of those instead.

# shellcheck source=examples/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

as_argument="give it as an argument:"
refuse_variables RUN="the folder is OUT" BASE="the model is MODEL" STAGES="both stages are run, and skipped when done" \
  STEPS="$as_argument trainer.total_training_steps=..." EPOCHS="$as_argument trainer.total_epochs=..." \
  LR="$as_argument actor_rollout_ref.actor.optim.lr=..." SEED="$as_argument data.seed=..." \
  STRATEGY="$as_argument actor_rollout_ref.actor.strategy=..." NNODES="$as_argument trainer.nnodes=..." \
  TP="$as_argument actor_rollout_ref.rollout.tensor_model_parallel_size=..." \
  SP="$as_argument actor_rollout_ref.actor.fsdp_config.ulysses_sequence_parallel_size=..." \
  OFFLOAD="$as_argument actor_rollout_ref.actor.fsdp_config.{param,optimizer}_offload=True" \
  JUDGE_MODEL="$as_argument medgrpo.reward.judge.model=..." LORA="these papers train all weights" \
  NORMALIZATION="these papers normalize nothing" SFT_ARGS="there is no SFT" TEST_JSON="the test is DATA/test.parquet" \
  LAST="the last checkpoint is evaluated" VAL_PER_PAIR="the whole test is evaluated"

# train_and_evaluate OVERRIDE...: the stages rl and evaluate in OUT on N_GPUS, of the data in DATA, and of MODEL if it is not
# empty; these are the caller's variables.
train_and_evaluate() {
  attention actor_rollout_ref.model
  local common=(
    data.train_files="$(hydra "$DATA/train.parquet")"
    data.val_files="$(hydra "$DATA/test.parquet")"
    ${MODEL:+actor_rollout_ref.model.path="$(hydra "$MODEL")"}
    "${ATTENTION[@]}"
    actor_rollout_ref.model.enable_gradient_checkpointing=True
    actor_rollout_ref.actor.ppo_max_token_len_per_gpu=16384
    "actor_rollout_ref.actor.checkpoint.save_contents=[model,optimizer,extra,hf_model]"
    actor_rollout_ref.rollout.tensor_model_parallel_size=1
    actor_rollout_ref.rollout.gpu_memory_utilization=0.5
    trainer.n_gpus_per_node="$N_GPUS"
    trainer.nnodes=1
    trainer.save_freq=200
    trainer.max_actor_ckpt_to_keep=2
    trainer.default_local_dir="$(hydra "$OUT/rl")"
    hydra.run.dir="$(hydra "$OUT/rl")"
  )
  set -- "${common[@]}" "$@"
  plan medgrpo "rl evaluate" "$@"
  local name
  for name in train test; do
    need_file "$DATA/$name.parquet" "make it with data_preprocess (docs/papers.md says how), or set DATA"
  done
  # Ends the script if the model cannot be read or nothing fits.
  medgrpo estimate "$@"

  local stage=(python3 -m recipe.medgrpo.stage --run "$OUT" ${ACCEPT_CHANGE:+--accept})
  "${stage[@]}" --name rl --costly "$OUT/rl" --metrics "$OUT/rl" -- python3 -m recipe.medgrpo.main_medgrpo "$@"

  # The evaluation asks as the preset's validation does: some papers word the test's questions otherwise. It reads answers in
  # the preset's form.
  local wording template tokens form tasks
  wording=$(python3 -c '
import sys
from recipe.medgrpo.common.configuration import composed
from recipe.medgrpo.scoring.training_options import read_tasks
config = composed("medgrpo", sys.argv[1:])
read_tasks(config)
data, vqa = config.data, config.medgrpo.reward.vqa
print(data.val_template or data.template or "-", data.max_response_length)
print(*(f"medgrpo.reward.vqa.{key}={vqa[key]}" for key in ("form", "strict_tags", "nothink_strict")))
print(f"medgrpo.reward.reward_tasks=[{chr(44).join(config.data.tasks)}]")' "$@")
  { read -r template tokens && read -ra form && read -r tasks; } <<<"$wording"
  [ "$template" != - ] || template=
  "${stage[@]}" --name evaluate --after rl --output "$OUT/eval/rl" -- \
    medgrpo evaluate --name "${OUT##*/}" --data "$DATA/test.parquet" --out "$OUT/eval/rl" --engines "$N_GPUS" \
    --model "$OUT/rl/global_step_$(cat "$OUT/rl/latest_checkpointed_iteration.txt")/actor/huggingface" \
    ${template:+--template "$template"} --max-tokens "$tokens" "${form[@]}" "$tasks"
  # The stage's output is in its log.
  echo "Answers, results and summary: $OUT/eval/rl. The accuracies, of one or several models: medgrpo matrices --run" \
    "${OUT##*/}=$OUT/eval/rl --out DIR"
}
