# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""examples/gpu_check.sh on a machine whose card is a stand-in: its settings compose, and its table always comes."""

import subprocess
import sys

import pytest
from configuration import composed
from scripts import CLEAN, EXAMPLES, executable


@pytest.fixture
def check(tmp_path):
    """``check(*words, **variables)``: the script's end, and the arguments of each program that it started."""
    bin, calls = tmp_path / "bin", tmp_path / "calls"
    note = f'printf "%s\\0" "$(basename "$0")" "$@" >> "{calls}"; echo >> "{calls}"\n'
    executable(bin / "nvidia-smi", "")
    for name in ("medgrpo", "torchrun"):
        executable(bin / name, note + '[ "$(basename "$0")$1" != "${FAILS:-}" ]\n')
    own = (
        f'[ "$2" != recipe.medgrpo.stage ] || exec "{sys.executable}" "$@"\n[ "$1" != -c ] || exit "${{NO_FLASH:-0}}"\n'
    )
    executable(bin / "python3", own + note + f'printf %s "${{ATTN:-}}" > "{tmp_path}/attention"\n')

    def call(*words, **variables):
        environment = CLEAN | {"PATH": f"{bin}:{CLEAN['PATH']}", "PYTHONPATH": str(EXAMPLES.parent)}
        environment |= {"RUN": str(tmp_path / "run"), **variables}
        command = ["bash", EXAMPLES / "gpu_check.sh", *words]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        lines = calls.read_text().splitlines() if calls.exists() else []
        return done, [line.split("\0")[:-1] for line in lines]

    return call


def configurations(calls):
    """The composed configurations of SFT and RL."""
    sft = next(call for call in calls if call[0] == "torchrun")
    rl = next(call for call in calls if call[2] == "recipe.medgrpo.main_medgrpo")
    overrides = [[word for word in call[1:] if "=" in word and not word.startswith("--")] for call in (sft, rl)]
    return composed(*overrides[0], name="sft"), composed(*overrides[1])


def test_stages_and_settings_of_a_card(check):
    done, calls = check(N_GPUS="2")
    assert done.returncode == 0, done.stderr
    assert [call[2] if call[0] == "python3" else call[0] for call in calls] == [
        "data_preprocess.synthetic", "data_preprocess.medvidbench", "medgrpo", "torchrun", "medgrpo",
        "recipe.medgrpo.main_medgrpo", "medgrpo", "recipe.medgrpo.report.gpu_check",
    ]  # fmt: skip
    assert "--like" in calls[2]
    for name in ("calibrate", "evaluate"):
        [own] = [call for call in calls if call[1] == name]
        assert own[own.index("--engines") + 1] == "2"
    sft, rl = configurations(calls)
    assert sft.model.use_remove_padding and rl.actor_rollout_ref.model.use_remove_padding
    # What a run on GPUs takes and a run on a CPU does not.
    rollout = rl.actor_rollout_ref.rollout
    assert "enable_sleep_mode" not in rollout and rollout.free_cache_engine and not rollout.enforce_eager
    assert rl.trainer.n_gpus_per_node == sft.trainer.n_gpus_per_node == 2
    longest = rl.data.max_prompt_length + rl.data.max_response_length
    assert longest <= rollout.max_model_len <= rl.actor_rollout_ref.actor.ppo_max_token_len_per_gpu


def test_without_flash_attention_and_with_little_memory(check, tmp_path):
    _, calls = check(NO_FLASH="1", OFFLOAD="1")
    assert calls[-1][2] == "recipe.medgrpo.report.gpu_check"
    assert (tmp_path / "attention").read_text() == "sdpa", "the table's doctor asks for flash-attn"
    sft, rl = configurations(calls)
    for model in (sft.model, rl.actor_rollout_ref.model):
        assert not model.use_remove_padding and model.override_config.attn_implementation == "sdpa"
    assert sft.engine.param_offload and rl.actor_rollout_ref.actor.fsdp_config.optimizer_offload


def test_without_a_card_on_demand(check, tmp_path):
    (tmp_path / "bin/nvidia-smi").unlink()
    done, calls = check(VERL_PLATFORM="cpu")
    assert done.returncode == 0, done.stderr
    sft, rl = configurations(calls)
    assert "--like" not in calls[2] and sft.trainer.device == rl.trainer.device == "cpu"


def test_the_table_comes_after_a_failure_too(check):
    done, calls = check(FAILS="medgrpocalibrate")
    assert calls[-1][2] == "recipe.medgrpo.report.gpu_check" and calls[-2][1] == "calibrate"
    assert "stage calibrate failed" in done.stderr


def test_a_second_call_goes_on_after_the_stage_that_failed(check):
    _, before = check(FAILS="medgrpocalibrate")
    done, calls = check()
    assert done.returncode == 0, done.stderr
    again = [call[1] if call[0] == "medgrpo" else call[0] for call in calls[len(before) :]]
    assert "torchrun" not in again and {"calibrate", "evaluate"} <= set(again)


def test_other_settings_start_anew(check, tmp_path):
    """Otherwise a trainer would find its last checkpoint there, train no step, and the table would be the old run's."""
    _, before = check()
    names = [f"{folder}/latest_checkpointed_iteration.txt" for folder in ("sft", "rl")]
    names += ["normalization.json", "normalization.answers.jsonl", "eval/rl/answers.jsonl"]
    left = [tmp_path / "run" / name for name in names]
    for file in left:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("60")
    done, same = check()
    assert done.returncode == 0 and all(file.exists() for file in left)
    assert "torchrun" not in [call[0] for call in same[len(before) :]]
    done, other = check(ATTN="sdpa")
    assert done.returncode == 0 and "torchrun" in [call[0] for call in other[len(same) :]]
    assert [file for file in left if file.exists()] == []


def test_a_second_call_goes_on_after_one_that_did_not_reach_a_stage(check, tmp_path):
    python = tmp_path / "bin/python3"
    stand_in = python.read_text()
    python.write_text("#!/bin/bash\nexit 1\n")  # The environment is not active.
    assert check()[0].returncode == 1
    python.write_text(stand_in)
    done, _ = check()
    assert done.returncode == 0, done.stderr


def test_help_and_other_words_start_nothing(check, tmp_path):
    done, calls = check("--help")
    assert done.returncode == 0 and not calls and "bash examples/gpu_check.sh" in done.stdout and "ATTN=" in done.stdout
    done, calls = check("sdpa")
    assert done.returncode == 2 and not calls and "sdpa: gpu_check.sh takes no arguments" in done.stderr
    assert not (tmp_path / "run").exists()


def test_a_folder_of_something_else_is_refused(check, tmp_path):
    (tmp_path / "run").mkdir()
    done, calls = check()
    assert done.returncode == 1 and not calls and "is no check's folder" in done.stderr


def test_no_card_is_said_at_once(check, tmp_path):
    (tmp_path / "bin/nvidia-smi").unlink()
    done, calls = check()
    assert done.returncode == 1 and not calls and "No NVIDIA GPU was found" in done.stderr
