# Sourced by the run scripts: what they have in common. Start one of those instead.

# help_wanted SCRIPT WORD...: if a word is --help, what the script's head and its variables say, and the end.
help_wanted() {
  local word
  for word in "${@:2}"; do
    case $word in -h | --help)
      awk -F= 'NR > 1 && !/^#/ { past = 1 } NR > 1 && !past { sub(/^# ?/, ""); print }
        { sub(/^export /, "") } /^[A-Z_]+=\$\{[A-Z_]+:-/ && !seen[$1]++ { print "  " $0 }' "$1"
      exit 0 ;;
    esac
  done
}

# plan CONFIG STAGES OVERRIDE...: with DRY_RUN, what would be done, and the end. Wherever the caller is, and without an
# environment: then it says that it needs one.
plan() {
  [ -n "${DRY_RUN:-}" ] || return 0
  PYTHONPATH=$(absolute "$(dirname "${BASH_SOURCE[0]}")/..")${PYTHONPATH:+:$PYTHONPATH}
  export PYTHONPATH
  exec python3 -m recipe.medgrpo.plan --config "$1" --stages "$2" -- "${@:3}"
}

need_gpus() {
  if [ -z "${DRY_RUN:-}" ] && ! nvidia-smi -L >/dev/null 2>&1; then
    echo "No NVIDIA GPU was found (nvidia-smi fails): this script needs $N_GPUS per node." \
      "Without a GPU, run: bash examples/run_medgrpo_cpu.sh" >&2
    exit 1
  fi
}

# A path as a quoted Hydra value: folders may have spaces and apostrophes in their names.
hydra() { printf "'%s'" "${1//\'/\\\'}"; }

# Workers of an existing Ray cluster have a working folder of their own: paths must be absolute. Links stay (sft/latest).
absolute() { realpath -ms -- "$1"; }
# A model is a folder, or a name on the hub.
absolute_folder() { if [ -d "$1" ]; then absolute "$1"; else echo "$1"; fi; }

on_hub() { [ ! -d "$1" ] && [[ $1 =~ ^[[:alnum:]][[:alnum:]._-]*/[[:alnum:]][[:alnum:]._-]*$ ]]; }

# attention PREFIX: the model's options by ATTN, as ATTENTION. Without padding flash-attn is needed; torch's attention is not
# told where one sequence ends and the next begins.
attention() {
  case ${ATTN:=flash_attention_2} in
    flash_attention_2) ATTENTION=("$1.use_remove_padding=True") ;;
    sdpa) ATTENTION=("$1.use_remove_padding=False") ;;
    *) die "ATTN=$ATTN is none of flash_attention_2, sdpa" ;;
  esac
  ATTENTION+=("++$1.override_config.attn_implementation=$ATTN")
}

die() { echo "$*" >&2; exit 1; }

need_file() {
  [ -n "${DRY_RUN:-}" ] || [ -e "$1" ] || die "$1 is missing: $2"
}

# refuse_overrides VARIABLE=KEY... -- WORD...: a value that other stages need too must not reach one of them alone.
refuse_overrides() {
  local pairs=() pair word
  while [ "$1" != -- ]; do pairs+=("$1"); shift; done
  for word in "${@:2}"; do
    for pair in "${pairs[@]}"; do
      [[ $word != *(+)"${pair#*=}="* ]] || die "$word: set ${pair%%=*}=... in the environment instead: other stages need it too"
    done
  done
}

# refuse_wording WORD...: calibration could not follow these two.
refuse_wording() {
  local word
  for word in "$@"; do
    [[ $word != *(+)data.@(template|val_template)=* ]] ||
      die "$word: the other stages would ask without it: write the wording into the rows' prompts and messages instead"
    [[ $word != *(+)actor_rollout_ref.model.custom_chat_template=* ]] ||
      die "${word%%=*}: the other stages would not follow: write it into the model's folder (chat_template.jinja) instead"
  done
}

# refuse_family PRESET PREFIX: presets of a script's own paper have names in common.
refuse_family() {
  [[ $1 == "$2"* ]] || die "PRESET=$1 is none of this script's ($2...): the other papers have scripts of their own" \
    "(docs/papers.md)"
}

# refuse_variables NAME='what to do instead'...: variables of other scripts, which this one would not follow.
refuse_variables() {
  local pair name
  for pair in "$@"; do
    name=${pair%%=*}
    [ -z "${!name:-}" ] || die "$name=${!name}: this script does not take it; ${pair#*=}"
  done
}

# last_value KEY DEFAULT WORD...: what the last override of KEY says.
last_value() {
  local value=$2 word
  for word in "${@:3}"; do
    [[ $word != *(+)"$1="* ]] || value=${word#*=}
  done
  echo "$value"
}

# Those of a script's overrides that say how answers are scored, as SCORING: calibration and evaluation get them too, but
# not, say, a learning rate, with which they would have to be done anew.
scoring_overrides() {
  SCORING=()
  local word
  for word in "$@"; do
    [[ ! $word =~ ^[+~]*(preset|judge|medgrpo\.reward)[.=] ]] || SCORING+=("$word")
  done
}
