# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""The GPU scripts: every option composes to a configuration that verl accepts; stages run in order and once.

The scripts run for real; the programs that they start are stand-ins which note their arguments.
"""

import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hydra import compose, initialize_config_module

from recipe.medgrpo.estimate import sft_steps

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
RL, QWEN3, SFT = (f"run_{name}.sh" for name in ("medgrpo_qwen2_5vl_7b", "medgrpo_qwen3vl_4b", "sft_qwen2_5vl_7b"))
MEDR1, ZHU = "run_medr1_qwen2vl_2b.sh", "run_medical_vqa_drgrpo_qwen2vl_2b.sh"
CLEAN = {"PATH": "/usr/bin:/bin", "HOME": os.environ.get("HOME", "/")}


def executable(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/bash\n" + text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


@pytest.fixture
def composed(tmp_path):
    """What a script's DRY_RUN composes: the arguments are its own, the interpreter is a stand-in."""
    executable(tmp_path / "bin/python3", "printf '%s\\0' \"$@\"\n")

    def call(script, *overrides, **variables):
        environment = {**CLEAN, "PATH": f"{tmp_path}/bin:{CLEAN['PATH']}", "DRY_RUN": "1", **variables}
        command = ["bash", EXAMPLES / script, *overrides]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        arguments = [word for word in done.stdout.split("\0") if "=" in word]
        with initialize_config_module(config_module="recipe.medgrpo.config", version_base=None):
            return compose("sft" if script == SFT else "medgrpo", arguments)

    return call


OPTIONS = {
    "plain": {},
    "lora": {"LORA": "64", "LR": "5e-6"},
    "fsdp1": {"STRATEGY": "fsdp"},
    "sequence parallel": {"SP": "2"},
    "offload": {"OFFLOAD": "1"},
    "two nodes": {"NNODES": "2", "RAY_ADDRESS": "head:6379"},
    "tensor parallel": {"TP": "2"},
    "all at once": {"LORA": "16", "SP": "4", "OFFLOAD": "1", "NNODES": "8", "TP": "4"},
    "local judge": {"JUDGE": "local", "JUDGE_OVERRIDE": "reward.reward_model.model_path=m"},
    "odd folders": {"DATA": "/a b/it's, {here}", "RUN": "/c d/=e"},
}


@pytest.mark.parametrize("script", [RL, QWEN3])
@pytest.mark.parametrize("name", OPTIONS)
def test_every_option_is_accepted_by_verl(composed, script, name):
    from verl.utils.config import validate_config

    variables = dict(OPTIONS[name])
    overrides = [variables.pop("JUDGE_OVERRIDE")] if "JUDGE_OVERRIDE" in variables else []
    config = composed(script, *overrides, **variables)
    validate_config(config, use_reference_policy=False, use_critic=False)
    actor, model, rollout = (config.actor_rollout_ref[key] for key in ("actor", "model", "rollout"))
    assert actor.strategy == variables.get("STRATEGY", "fsdp2")
    assert actor.fsdp_config.ulysses_sequence_parallel_size == int(variables.get("SP", 1))
    assert actor.fsdp_config.param_offload is actor.fsdp_config.optimizer_offload is ("OFFLOAD" in variables)
    assert config.trainer.nnodes == int(variables.get("NNODES", 1))
    assert rollout.tensor_model_parallel_size == int(variables.get("TP", 1))
    assert model.lora_rank == int(variables.get("LORA", 0))
    assert rollout.load_format == ("safetensors" if "LORA" in variables else "dummy")
    assert ("hf_model" in actor.checkpoint.save_contents) is ("LORA" not in variables)
    # The longest sequence fits where it must.
    longest = config.data.max_prompt_length + config.data.max_response_length
    assert longest <= rollout.max_model_len and longest <= actor.ppo_max_token_len_per_gpu
    if "DATA" in variables:
        assert config.data.train_files == variables["DATA"] + "/train.parquet"
        assert config.trainer.default_local_dir == variables["RUN"] + "/rl"


@pytest.mark.parametrize("script", [RL, QWEN3])
@pytest.mark.parametrize("preset", ["medgrpo", "medgrpo_all_tasks", "medgrpo_no_norm"])
def test_a_preset_keeps_its_own_rewards(composed, script, preset):
    with initialize_config_module(config_module="recipe.medgrpo.config", version_base=None):
        own = compose("medgrpo", [f"preset={preset}", "data.train_files=t", "data.val_files=v"])
    for config in (composed(script, PRESET=preset), composed(script, f"preset={preset}", "judge=lexical")):
        assert config.medgrpo.reward.normalization == own.medgrpo.reward.normalization
        assert config.data.tasks == config.medgrpo.reward.reward_tasks == own.data.tasks
    assert config.medgrpo.reward.judge == "lexical"
    assert composed(script, f"preset={preset}", "medgrpo.reward.k=2").medgrpo.reward.k == 2


@pytest.mark.parametrize("script", [RL, QWEN3, MEDR1, ZHU, SFT])
def test_paths_are_absolute_wherever_ray_starts_its_workers(composed, tmp_path, script):
    (tmp_path / "m").mkdir()
    variables = dict.fromkeys(("MODEL", "BASE"), "m") | dict.fromkeys(("RUN", "OUT"), "r") | {"NORMALIZATION": "n.json"}
    config = composed(script, DATA="d/", **variables)
    assert config.data.train_files == f"{tmp_path}/d/train.parquet"
    assert config.trainer.default_local_dir == f"{tmp_path}/r" + ("/rl" if script in (RL, QWEN3) else "")
    model = config.model if script == SFT else config.actor_rollout_ref.model
    assert model.path == f"{tmp_path}/m"
    if script in (RL, QWEN3):
        assert config.medgrpo.reward.artifact == f"{tmp_path}/n.json"


def test_a_name_on_the_hub_stays_a_name(composed):
    assert composed(SFT, BASE="a/b").model.path == "a/b"
    for script in (MEDR1, RL, QWEN3):
        assert composed(script, MODEL="a/b").actor_rollout_ref.model.path == "a/b"


def test_the_judges_model_reaches_the_run(composed):
    assert composed(RL, JUDGE_MODEL="m").medgrpo.reward.judge.model == "m"


def test_adapters_go_into_the_language_model_alone(composed):
    import torch
    from peft import LoraConfig, inject_adapter_in_model
    from transformers import AutoConfig, AutoModelForImageTextToText

    chosen = composed(RL, LORA="4").actor_rollout_ref.model
    options = {key: chosen[key] for key in ("target_modules", "exclude_modules")}
    for kind in ("qwen2_5_vl", "qwen3_vl"):
        config = AutoConfig.for_model(kind)
        config.text_config.num_hidden_layers = 1
        config.vision_config.depth = 1
        with torch.device("meta"):
            model = AutoModelForImageTextToText.from_config(config)
        injected = inject_adapter_in_model(LoraConfig(r=4, **options), model)
        names = [name for name, _ in injected.named_parameters() if "lora_" in name]
        assert names and all("language_model" in name for name in names), kind


@pytest.mark.parametrize("variables", [{}, {"SP": "2", "OFFLOAD": "1"}, {"NNODES": "2", "STRATEGY": "fsdp"}])
def test_sft_script_composes(composed, variables):
    config = composed(SFT, "trainer.seed=3", **variables)
    assert (config.trainer.total_epochs, config.optim.lr, config.trainer.seed) == (3, 5e-7, 3)
    assert config.engine.strategy == variables.get("STRATEGY", "fsdp2")
    assert config.engine.ulysses_sequence_parallel_size == int(variables.get("SP", 1))
    assert config.engine.param_offload is ("OFFLOAD" in variables)
    assert config.trainer.nnodes == int(variables.get("NNODES", 1))


@pytest.mark.parametrize(
    "overrides, steps",
    [
        ([], 9),
        (["trainer.total_epochs=5"], 15),
        (["trainer.total_training_steps=7"], 7),
        (["data.only.modality=[CT]"], 3),
        (["data.train_max_samples=4"], 6),
        (["data.train_max_samples=4", "data.only.modality=[CT]"], 0),
    ],
)
def test_number_of_sft_steps(composed, tmp_path, overrides, steps):
    rows = pa.table({"extra_info": [{"modality": "CT" if i < 3 else "MRI"} for i in range(7)]})
    (tmp_path / "d").mkdir()
    pq.write_table(rows, tmp_path / "d/train.parquet")
    assert sft_steps(composed(SFT, "data.train_batch_size=2", *overrides, DATA="d")) == steps


@pytest.mark.parametrize("script", sorted(EXAMPLES.glob("run_*.sh")), ids=lambda path: path.name)
def test_a_checkpoint_is_not_removed_before_the_next_is_noted(script):
    assert "ckpt_to_keep=1" not in script.read_text()


@pytest.mark.parametrize("script", [RL, QWEN3, SFT])
def test_without_a_gpu_a_script_says_so_at_once(script, tmp_path):
    start = time.monotonic()
    done = subprocess.run(["bash", EXAMPLES / script], env=CLEAN, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 1 and time.monotonic() - start < 1
    assert "No NVIDIA GPU" in done.stderr and "bash examples/run_medgrpo_cpu.sh" in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.fixture
def machine(tmp_path):
    """A script on a machine whose GPUs, trainers and commands are stand-ins; each call appends a line to ``calls``."""
    bin = tmp_path / "bin"
    executable(bin / "nvidia-smi", "")
    note = f'echo "$(basename "$0") $*" >> "{tmp_path}/calls"\n'
    out = 'while [ $# -gt 1 ]; do [ "$1" = --out ] && mkdir -p "$2"; shift; done\n'
    executable(bin / "medgrpo", f'{note}[ "$2" = --sft-steps ] && echo "${{SFT_STEPS:-3}}"\n{out}exit 0\n')
    step = '"$OUT/global_step_3/huggingface"'
    executable(
        bin / "torchrun",
        note + f'mkdir -p {step}; touch {step}/config.json; echo 3 > "$OUT/latest_checkpointed_iteration.txt"\n',
    )
    executable(
        bin / "python3",
        f'[ "$2" != recipe.medgrpo.stage ] || exec "{sys.executable}" "$@"\n{note}'
        f'mkdir -p "{tmp_path}/run/rl" && echo 1 > "{tmp_path}/run/rl/latest_checkpointed_iteration.txt"\n',
    )
    (tmp_path / "data").mkdir()
    for name in ("train", "val", "test"):
        (tmp_path / f"data/{name}.parquet").touch()
    (tmp_path / "test.json").touch()

    def call(*overrides, script=RL, **variables):
        environment = {
            **CLEAN,
            "PATH": f"{bin}:{CLEAN['PATH']}",
            "PYTHONPATH": str(EXAMPLES.parent),
            "DATA": str(tmp_path / "data"),
            "RUN": str(tmp_path / "run"),
            "JUDGE": "lexical",
            "TEST_JSON": str(tmp_path / "test.json"),
            **variables,
        }
        done = subprocess.run(["bash", EXAMPLES / script, *overrides], env=environment, capture_output=True, text=True)
        calls = tmp_path / "calls"
        lines = calls.read_text().splitlines() if calls.exists() else []
        calls.unlink(missing_ok=True)
        call.lines = lines
        return done, [" ".join(line.split()[:3]) for line in lines if not line.startswith(QUIET)]

    return call


#: Checks before the first stage; what they are given is looked up in ``machine.lines``.
QUIET = ("medgrpo estimate ", "medgrpo judge probe ")
SFT_RUN, CALIBRATE = "torchrun --nnodes=1 --node_rank=0", "medgrpo calibrate --model"
RL_RUN, EVALUATE, REPORT = "python3 -m recipe.medgrpo.main_medgrpo", "medgrpo evaluate --name", "medgrpo report --run"
TRAINED = [SFT_RUN, CALIBRATE, EVALUATE, RL_RUN, EVALUATE]
WHOLE = [*TRAINED, "medgrpo generate --model", "medgrpo submit --answers", REPORT]


def test_stages_run_in_order_and_once(machine):
    done, calls = machine()
    assert done.returncode == 0, done.stderr
    assert calls == WHOLE
    done, calls = machine()
    assert done.returncode == 0 and calls == [REPORT]


def test_one_stage_alone_needs_those_before_it(machine):
    done, calls = machine(STAGES="evaluate")
    assert done.returncode and not calls and "is missing: run the stage sft" in done.stderr
    assert machine(STAGES="sft")[1] == [SFT_RUN]
    done, calls = machine(STAGES="rl")
    assert done.returncode and not calls and "normalization.json is missing: run the stage calibrate" in done.stderr
    assert machine(STAGES="calibrate rl")[1] == [CALIBRATE, RL_RUN]


def test_a_stage_of_another_call_or_machine_leaves_no_record(machine, tmp_path):
    latest = tmp_path / "run/sft/latest"
    latest.mkdir(parents=True)
    (latest / "config.json").touch()
    assert machine(STAGES="calibrate rl")[1] == [CALIBRATE, RL_RUN], "SFT by examples/slurm/sft.sbatch"
    last = tmp_path / "run/rl/global_step_5000/actor/huggingface"
    last.mkdir(parents=True)
    (last / "config.json").touch()
    (tmp_path / "run/stages.json").unlink()
    assert machine(STAGES="evaluate")[1] == [EVALUATE, EVALUATE, REPORT]


def test_an_interrupted_stage_is_not_skipped(machine, tmp_path):
    assert machine(STAGES="sft")[1] == [SFT_RUN]
    state = tmp_path / "run/stages.json"
    state.write_text(state.read_text().replace('"done": true', '"done": false'))
    done, calls = machine(STAGES="calibrate")
    assert done.returncode and not calls and "sft has not ended; run that stage first" in done.stderr


def test_sft_that_ended_early_gives_no_model(machine, tmp_path):
    done, _ = machine(script=SFT, OUT=str(tmp_path / "run/sft"), SFT_STEPS="6")
    assert done.returncode == 1 and "SFT ended at step 3 of 6" in done.stderr
    assert not (tmp_path / "run/sft/latest").exists()


def test_a_given_artifact_is_used_and_kept(machine, tmp_path):
    given = tmp_path / "given.json"
    given.write_text("{}")
    done, calls = machine(NORMALIZATION=str(given), TEST_JSON="")
    assert done.returncode == 0 and calls == [SFT_RUN, *TRAINED[2:], REPORT] and given.read_text() == "{}"


def test_calibration_and_evaluation_score_as_the_training_does(machine):
    scoring = ["preset=medgrpo_all_tasks", "judge=openai", "medgrpo.reward.judge.rpm=9", "+medgrpo.reward.similarity=s"]
    variables = {"OPENAI_API_KEY": "k", "TEST_JSON": "", "JUDGE": "lexical"}
    assert machine(*scoring, "data.seed=1", **variables)[0].returncode == 0
    lines = [line for line in machine.lines if " calibrate " in line or " evaluate " in line]
    assert len(lines) >= 2
    for line in lines:
        assert " ".join(scoring) in line and "medgrpo.reward.judge.model='gpt-4.1'" in line and "data.seed" not in line
    done, calls = machine(*scoring, "data.seed=2", **variables, STAGES="sft calibrate")
    assert done.returncode == 0 and calls == [], "a value of RL alone is no reason to calibrate anew"


def test_options_of_sft_reach_it_and_count_as_its_settings(machine):
    assert machine(STAGES="sft", SFT_ARGS=" data.max_length=12288 trainer.seed=3")[1] == [SFT_RUN]
    assert machine.lines[-1].endswith("data.max_length=12288 trainer.seed=3") and "total_epochs=3 " in machine.lines[-1]
    done, calls = machine(STAGES="sft", EPOCHS="5", SFT_ARGS=" data.max_length=12288 trainer.seed=3")
    assert done.returncode and not calls and "ACCEPT_CHANGE=1" in done.stderr


@pytest.mark.parametrize("stages", ["sft", "calibrate rl"])
def test_rows_that_are_too_long_end_the_script_before_its_first_stage(machine, tmp_path, stages):
    (tmp_path / "model").mkdir()
    (tmp_path / "model/config.json").touch()
    executable(tmp_path / "bin/medgrpo", f'echo "medgrpo $*" >> "{tmp_path}/calls"; exit 2\n')
    done, calls = machine(STAGES=stages, MODEL="" if stages == "sft" else str(tmp_path / "model"))
    assert done.returncode == 2 and calls == [] and len(machine.lines) == 1


def test_a_judge_that_gives_no_verdict_ends_the_script_before_its_first_stage(machine, tmp_path):
    executable(tmp_path / "bin/medgrpo", f'echo "medgrpo $*" >> "{tmp_path}/calls"; [ "$1" != judge ]\n')
    variables = {"JUDGE": "openai", "OPENAI_API_KEY": "k"}
    done, calls = machine("medgrpo.reward.judge.base_url=http://h/v1", "data.seed=1", **variables)
    assert done.returncode and calls == []
    asked = machine.lines[-1]
    assert " judge=openai " in asked and asked.endswith(" medgrpo.reward.judge.base_url=http://h/v1")
    assert machine(STAGES="sft", **variables)[1] == [SFT_RUN], "SFT asks no judge"


def test_a_merged_model_is_evaluated(machine, tmp_path):
    (tmp_path / "merged").mkdir()
    (tmp_path / "merged/config.json").touch()
    done, calls = machine(LORA="8", LAST=str(tmp_path / "merged"), TEST_JSON="")
    assert done.returncode == 0, done.stderr
    assert calls == [*TRAINED, REPORT]


def test_a_model_of_the_hub_is_fetched_for_all_that_read_it(machine, tmp_path):
    executable(
        tmp_path / "bin/hf", f'mkdir -p "{tmp_path}/hub"; touch "{tmp_path}/hub/config.json"; echo "{tmp_path}/hub"\n'
    )
    done, calls = machine(MODEL="who/what-7B", TEST_JSON="")
    assert done.returncode == 0 and calls == [*TRAINED[1:], REPORT]
    assert f"calibrate --model {tmp_path}/hub " in machine.lines[2]
    assert f"actor_rollout_ref.model.path='{tmp_path}/hub'" in machine.lines[4]
    executable(tmp_path / "bin/hf", "exit 1\n")
    done, calls = machine(MODEL="no/such")
    assert done.returncode == 1 and not calls and "no such folder" in done.stderr


def test_adapters_alone_are_trained_and_what_is_next_is_said(machine):
    done, calls = machine(LORA="64")
    assert done.returncode == 0 and calls == [SFT_RUN, CALIBRATE, RL_RUN]
    assert "LAST=<merged model>" in done.stdout


def test_both_checkpoints_are_evaluated_alike(machine, tmp_path):
    machine(TEST_JSON="")
    first, second = (line for line in machine.lines if line.startswith(EVALUATE))
    run = f"{tmp_path}/run"
    assert f"--name sft --model {run}/sft/latest " in first and f" --out {run}/eval/sft " in first
    assert f"--name rl --model {run}/rl/" in second and f" --out {run}/eval/rl " in second
    assert first.split(" --out ")[1].split()[1:] == second.split(" --out ")[1].split()[1:]
    assert machine.lines[-1] == f"medgrpo report --run {run}"


def test_a_judge_without_a_key_at_another_address(machine):
    done, calls = machine(JUDGE="openai", OPENAI_BASE_URL="http://h/v1", TEST_JSON="")
    assert done.returncode == 0 and calls == [*TRAINED, REPORT]


def test_a_checkpoint_of_other_settings_is_refused(machine):
    assert machine(STAGES="sft calibrate rl")[0].returncode == 0
    done, calls = machine(STAGES="sft calibrate rl", LR="1e-6")
    assert done.returncode and not calls and "ACCEPT_CHANGE=1" in done.stderr
    assert machine(STAGES="sft calibrate rl", LR="1e-6", ACCEPT_CHANGE="1")[1] == [RL_RUN]


@pytest.mark.parametrize(
    "variables, message",
    [
        ({"STAGES": "sft tune"}, "tune is none of"),
        ({"NNODES": "2", "MODEL": "/m"}, "set RAY_ADDRESS"),
        ({"NNODES": "2"}, "started on each of them"),
        ({"LORA": "8", "STAGES": "rl evaluate"}, "must be merged"),
        ({"JUDGE": "local"}, "docs/judge.md"),
        ({"JUDGE": "openai"}, "OPENAI_API_KEY"),
        ({"JUDGE": "openai", "STAGES": "sft calibrate"}, "OPENAI_API_KEY"),
        ({"LAST": "/nowhere", "STAGES": "sft calibrate evaluate"}, "/nowhere/config.json is missing"),
        ({"DATA": "/nowhere"}, "/nowhere/train.parquet is missing"),
        ({"MODEL": "/nowhere"}, "/nowhere/config.json is missing"),
        ({"STAGES": "submission", "TEST_JSON": ""}, "needs TEST_JSON"),
    ],
)
def test_what_cannot_work_is_said_before_anything_starts(machine, variables, message):
    done, calls = machine(**variables)
    assert done.returncode == 1 and not calls and message in done.stderr


@pytest.mark.parametrize(
    "override, message",
    [
        ("trainer.total_training_steps=8", "set STEPS="),
        ("++trainer.default_local_dir=/x", "set RUN="),
        ("actor_rollout_ref.model.path=m", "set MODEL="),
        ("medgrpo.reward.artifact=a", "set NORMALIZATION="),
        ("preset=zhu_drgrpo", "docs/papers.md"),
        ("judge=openai", "OPENAI_API_KEY"),
    ],
)
def test_an_override_that_other_stages_would_not_follow_is_refused(machine, override, message):
    done, calls = machine(override)
    assert done.returncode == 1 and not calls and message in done.stderr


@pytest.mark.parametrize("script", sorted(EXAMPLES.rglob("*.*")), ids=lambda path: path.name)
def test_shell_reads_every_script_and_none_stops_the_ray_of_others(script):
    assert subprocess.run(["bash", "-n", script]).returncode == 0
    assert "ray stop" not in script.read_text()
