# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Stages of the run scripts: in order and once, with the same scoring everywhere; what cannot work is said before them.

The scripts run for real; the programs that they start are stand-ins which note their arguments.
"""

import re
import shutil
import subprocess
import sys

import pytest
from scripts import CLEAN, EXAMPLES, MEDR1, RL, SFT, ZHU, executable


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

    run = {"RUN": str(tmp_path / "run"), "JUDGE": "lexical", "TEST_JSON": str(tmp_path / "test.json")}

    def call(*overrides, script=RL, **variables):
        environment = {
            **CLEAN,
            "PATH": f"{bin}:{CLEAN['PATH']}",
            "PYTHONPATH": str(EXAMPLES.parent),
            "DATA": str(tmp_path / "data"),
            **(run if script == RL else {}),
            **variables,
        }
        done = subprocess.run(["bash", EXAMPLES / script, *overrides], env=environment, capture_output=True, text=True)
        calls = tmp_path / "calls"
        lines = calls.read_text().splitlines() if calls.exists() else []
        calls.unlink(missing_ok=True)
        call.lines = lines
        words = [line.split()[: 2 if line.startswith(REPORT) else 3] for line in lines if not line.startswith(QUIET)]
        return done, [" ".join(first) for first in words]

    return call


#: Checks before the first stage; what they are given is looked up in ``machine.lines``.
QUIET = ("medgrpo estimate ", "medgrpo judge probe ")
SFT_RUN, CALIBRATE = "torchrun --nnodes=1 --node_rank=0", "medgrpo calibrate --model"
RL_RUN, EVALUATE, REPORT = "python3 -m recipe.medgrpo.main_medgrpo", "medgrpo evaluate --name", "medgrpo report"
TRAINED = [SFT_RUN, CALIBRATE, EVALUATE, RL_RUN, EVALUATE]
WHOLE = [*TRAINED, "medgrpo generate --model", "medgrpo submit --answers", REPORT]


def test_stages_run_in_order_and_once(machine):
    done, calls = machine()
    assert done.returncode == 0, done.stderr
    assert calls == WHOLE
    done, calls = machine()
    assert done.returncode == 0 and calls == [REPORT]


def test_a_run_folder_that_was_moved_goes_on(machine, tmp_path):
    assert machine(STAGES="sft calibrate rl")[0].returncode == 0
    (tmp_path / "run").rename(tmp_path / "moved")
    done, calls = machine(STAGES="sft calibrate rl", RUN=str(tmp_path / "moved"))
    assert done.returncode == 0 and calls == [], done.stderr


def test_sft_that_has_ended_takes_no_further_step(machine, tmp_path):
    out = str(tmp_path / "run/sft")
    assert machine(script=SFT, OUT=out)[1] == [SFT_RUN]
    done, calls = machine(script=SFT, OUT=out)
    assert done.returncode == 0 and calls == [] and "has ended before, at step 3" in done.stdout


def test_a_stage_whose_record_is_lost_is_refused(machine, tmp_path):
    assert machine(STAGES="sft calibrate rl")[0].returncode == 0
    (tmp_path / "run/stages/rl.json").write_text("{")
    done, calls = machine(STAGES="rl", LR="1e-6")
    assert done.returncode and not calls and "does not say whose" in done.stderr


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
    shutil.rmtree(tmp_path / "run/stages")
    assert machine(STAGES="evaluate")[1] == [EVALUATE, EVALUATE, REPORT]


def test_answers_come_from_every_gpu_and_do_not_depend_on_their_number(machine, tmp_path):
    latest = tmp_path / "run/sft/latest"
    latest.mkdir(parents=True)
    (latest / "config.json").touch()
    assert machine(STAGES="calibrate", N_GPUS="4")[1] == [CALIBRATE]
    assert "--engines 4 " in machine.lines[-1]
    assert machine(STAGES="calibrate", N_GPUS="2")[1] == []


def test_an_interrupted_stage_is_not_skipped(machine, tmp_path):
    assert machine(STAGES="sft")[1] == [SFT_RUN]
    state = tmp_path / "run/stages/sft.json"
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
    assert "--per-pair 250 --engines 8 " in first
    assert machine.lines[-1] == f"medgrpo report {run}"


@pytest.mark.parametrize("override", ["preset=medgrpo_dev", "medgrpo.reward.caption_mix=1"])
def test_a_training_that_asks_no_judge_needs_no_key(machine, override):
    done, calls = machine(override, JUDGE="openai", STAGES="sft calibrate")
    assert done.returncode == 0 and calls == [SFT_RUN, CALIBRATE], done.stderr


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
        ({"STAGES": "sft tune", "DRY_RUN": "1"}, "tune is none of"),
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
        ("actor_rollout_ref.model.lora_rank=8", "set LORA="),
        ("preset=zhu_drgrpo", "docs/papers.md"),
        ("judge=openai", "OPENAI_API_KEY"),
        ("data.template=r1", "into the rows' prompts"),
        ("++actor_rollout_ref.model.custom_chat_template=x", "chat_template.jinja"),
    ],
)
def test_an_override_that_other_stages_would_not_follow_is_refused(machine, override, message):
    done, calls = machine(override)
    assert done.returncode == 1 and not calls and message in done.stderr


@pytest.mark.parametrize(
    ("script", "variable", "message"),
    [
        (SFT, "LORA", "SFT trains all weights"),
        (SFT, "STEPS", "it is EPOCHS"),
        (RL, "BATCH", "data.train_batch_size="),
        (MEDR1, "LORA", "these papers train all weights"),
        (MEDR1, "STEPS", "trainer.total_training_steps="),
        (MEDR1, "SP", "ulysses_sequence_parallel_size="),
        (MEDR1, "OFFLOAD", "_offload=True"),
        (MEDR1, "JUDGE", "no judge"),
        (ZHU, "LORA", "these papers train all weights"),
        (ZHU, "BATCH", "data.train_batch_size="),
    ],
)
def test_a_variable_of_another_script_is_refused(machine, script, variable, message):
    done, calls = machine(script=script, **{variable: "2"})
    assert done.returncode == 1 and not calls and message in done.stderr and f"{variable}=2" in done.stderr


@pytest.mark.parametrize("variable", sorted(set(re.findall(r"^([A-Z_]+)=\$\{\1:-", (EXAMPLES / RL).read_text(), re.M))))
def test_no_script_ignores_a_variable_of_the_big_one(variable):
    """Each takes it, passes it on, or refuses it."""
    for script in (SFT, MEDR1, ZHU, "run_medgrpo_cpu.sh"):
        text = (EXAMPLES / script).read_text()
        text += (EXAMPLES / "vqa.sh").read_text() if "/vqa.sh" in text else ""
        # This function of common.sh takes ATTN.
        text += "ATTN=" if re.search(r"^ *attention ", text, re.M) else ""
        assert re.search(rf"\b{variable}(=|:-)", text), script


def test_sft_within_the_big_script_gets_what_it_takes(machine):
    done, calls = machine(LORA="64", STEPS="7", LR="1e-5", TP="2", STAGES="sft", TEST_JSON="")
    assert done.returncode == 0 and calls == [SFT_RUN], done.stderr


def test_the_length_of_answers_is_one_in_all_stages(machine):
    assert machine("data.max_response_length=2048")[0].returncode == 0
    lines = [line for line in machine.lines if line.startswith((CALIBRATE, EVALUATE, "medgrpo generate"))]
    assert len(lines) == 4 and all("--max-tokens 2048" in line for line in lines)


@pytest.fixture
def on_cpu(tmp_path):
    """The newcomer's script in a repository of its own, whose stages are only noted, in ``on_cpu.lines``; the stage
    FAILS fails.
    """
    shutil.copytree(EXAMPLES, tmp_path / "repo/examples")
    (tmp_path / "repo/requirements").mkdir()
    (tmp_path / "repo/requirements/setup_cpu.sh").touch()
    for name in ("python", "medgrpo"):
        note = f'echo "$*" >> "{tmp_path}/calls"\n[[ $* != *"--name $FAILS "* ]]\n'
        executable(tmp_path / f"bin/{name}", note)

    def call(*overrides, **variables):
        environment = {**CLEAN, "FAILS": "none", "PATH": f"{tmp_path}/bin:{CLEAN['PATH']}", **variables}
        command = ["bash", tmp_path / "repo/examples/run_medgrpo_cpu.sh", *overrides]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=tmp_path)
        calls = tmp_path / "calls"
        call.lines = calls.read_text().splitlines() if calls.exists() else []
        return done

    return call


def test_the_newcomers_run_keeps_checkpoints_and_scores_alike(on_cpu, tmp_path):
    assert on_cpu("medgrpo.reward.k=2", "data.train_batch_size=8", RUN="mine").returncode == 0
    stages = {line.split(" --name ")[1].split()[0]: line for line in on_cpu.lines[:-1]}
    assert list(stages)[:6] == ["world", "data", "model", "sft", "calibrate", "rl"]
    assert set(list(stages)[6:]) == {"eval-sft", "eval-rl"}, "both at once"
    assert all(f" --run {tmp_path}/mine " in line for line in stages.values()), "where the caller is"
    assert f" --costly {tmp_path}/mine/rl " in stages["rl"] and "--output" not in stages["rl"]
    for name in ("calibrate", "eval-sft", "eval-rl"):
        assert stages[name].endswith(" medgrpo.reward.k=2") and " --max-tokens 96 " in stages[name]


@pytest.mark.parametrize("stage", ["sft", "eval-sft", "eval-rl"])
def test_the_newcomers_run_ends_with_a_stage_that_fails(on_cpu, stage):
    assert on_cpu(FAILS=stage).returncode == 1
    assert not any(line.startswith("report ") for line in on_cpu.lines)
    assert ("eval-sft" in " ".join(on_cpu.lines)) == (stage != "sft")


def test_the_newcomers_run_has_one_length_of_answers_and_no_variable_without_effect(on_cpu):
    assert on_cpu("data.max_response_length=64").returncode == 0
    assert sum(" --max-tokens 64" in line for line in on_cpu.lines) == 3
    done = on_cpu(STEPS="9")
    assert done.returncode == 1 and "STEPS=9: this script does not take it; it is RL_STEPS" in done.stderr


@pytest.mark.parametrize(
    "override, variable",
    [("trainer.total_training_steps=8", "RL_STEPS"), ("trainer.default_local_dir=x", "RUN"), ("data.seed=1", "SEED")],
)
def test_the_newcomers_run_refuses_what_breaks_later_stages(on_cpu, override, variable):
    done = on_cpu(override)
    assert done.returncode == 1 and not on_cpu.lines and f"set {variable}=" in done.stderr
