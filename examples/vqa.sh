# Sourced by the scripts of the image papers: what they have in common. Start one of those instead.

# shellcheck source=examples/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

# train_and_evaluate OVERRIDE...: the stages rl and evaluate in OUT, of the data in DATA, which are the caller's variables.
train_and_evaluate() {
  if [ -n "${DRY_RUN:-}" ]; then
    exec python3 -m recipe.medgrpo.main_medgrpo --cfg job --resolve "$@"
  fi
  local name
  for name in train test; do
    need_file "$DATA/$name.parquet" "make it with data_preprocess (docs/papers.md says how), or set DATA"
  done
  # Ends the script if the model cannot be read or nothing fits.
  medgrpo estimate "$@"

  local stage=(python3 -m recipe.medgrpo.stage --run "$OUT" ${ACCEPT_CHANGE:+--accept})
  "${stage[@]}" --name rl --costly "$OUT" --metrics "$OUT" -- python3 -m recipe.medgrpo.main_medgrpo "$@"

  # The evaluation asks as the preset's validation does: some papers word the test's questions otherwise.
  local wording template tokens
  wording=$(python3 -c '
import sys
from hydra import compose, initialize_config_module
with initialize_config_module(config_module="recipe.medgrpo.config", version_base=None):
    data = compose("medgrpo", sys.argv[1:]).data
print(data.val_template or data.template, data.max_response_length)' "$@")
  read -r template tokens <<<"$wording"
  "${stage[@]}" --name evaluate --after rl --output "$OUT/eval" -- \
    medgrpo evaluate --name "${OUT##*/}" --data "$DATA/test.parquet" --out "$OUT/eval" \
    --model "$OUT/global_step_$(cat "$OUT/latest_checkpointed_iteration.txt")/actor/huggingface" \
    --template "$template" --max-tokens "$tokens"
  # The stage's output is in its log.
  echo "Answers, results and summary: $OUT/eval. The accuracies, of one or several models: medgrpo matrices --run" \
    "${OUT##*/}=$OUT/eval --out DIR"
}
