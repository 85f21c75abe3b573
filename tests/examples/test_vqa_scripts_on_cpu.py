# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Scripts of the image papers and of SLURM: what they start, with stand-ins for the programs."""

import subprocess
import sys

import pytest
from scripts import CLEAN, EXAMPLES, MEDGRPO, MEDR1, ZHU, executable


@pytest.mark.parametrize("script", sorted(EXAMPLES.glob("run_*.sh")), ids=lambda path: path.name)
def test_every_script_keeps_two_checkpoints(script):
    text = script.read_text()
    text += (EXAMPLES / "vqa.sh").read_text() if "/vqa.sh" in text else ""
    # The newer families' start the script of Qwen2.5-VL.
    assert "ckpt_to_keep=2" in text or script.name in MEDGRPO[1:]
    for trainer, key in (("main_medgrpo", "max_actor_ckpt_to_keep=2"), ("main_sft", "trainer.max_ckpt_to_keep=2")):
        assert trainer not in text or key in text


@pytest.mark.parametrize("script, preset, modality", [(MEDR1, "medr1_nothink", ["CT"]), (ZHU, "zhu_ecr", None)])
def test_a_dry_run_composes_the_preset(composed, script, preset, modality):
    found = composed(script, "data.train_batch_size=64", PRESET=preset, N_GPUS="1")
    assert found.trainer.experiment_name == preset
    assert (found.data.train_batch_size, found.trainer.n_gpus_per_node) == (64, 1)
    assert found.actor_rollout_ref.model.path == "Qwen/Qwen2-VL-2B-Instruct"
    assert "hf_model" in found.actor_rollout_ref.actor.checkpoint.save_contents
    assert found.data.only.modality == modality


@pytest.mark.parametrize("part", [{"MODALITY": "X-Ray"}, {"QUESTION_TYPE": "Lesion Grading"}])
def test_med_r1_is_trained_on_a_modality_or_on_a_question_type(composed, part):
    found = composed(MEDR1, **part)
    [(field, value)] = part.items()
    assert found.data.only == {"modality": None, "question_type": None, field.lower(): [value]}
    folder = found.trainer.default_local_dir
    assert folder.endswith(f"checkpoints/medr1/medr1_think/{value.replace(' ', '_')}/rl")


def test_med_r1_on_two_parts_at_once_is_refused(dry_run):
    both = dry_run(MEDR1, MODALITY="CT", QUESTION_TYPE="Lesion Grading")
    assert both.returncode == 1 and "give one of them" in both.stderr
    override = dry_run(MEDR1, "data.only={question_type: [Lesion Grading]}")
    assert override.returncode == 1 and "MODALITY or QUESTION_TYPE" in override.stderr


@pytest.fixture
def cluster(tmp_path):
    """Runs an sbatch file on one node whose SLURM and Ray are stand-ins; returns the calls of each stand-in."""
    bin = tmp_path / "bin"
    note = (
        f'echo "$(basename "$0") cpus=$SRUN_CPUS_PER_TASK N_GPUS=$N_GPUS $*" >> "{tmp_path}/$(basename "$0").calls"\n'
    )
    executable(bin / "scontrol", "echo node0\n")
    executable(bin / "hostname", "echo 127.0.0.1\n")
    executable(bin / "python3", "echo 1\n")
    executable(bin / "srun", f'{note}while [[ $1 == --* ]]; do shift; done\nexec "$@"\n')
    executable(bin / "ray", f"{note}exec sleep 600\n")
    ray = tmp_path / "ray.calls"
    executable(tmp_path / "examples/run_rl.sh", f'until [ -s "{ray}" ]; do sleep 0.05; done\n{note}')
    executable(tmp_path / "examples/run_sft_qwen2_5vl_7b.sh", note)

    def call(file, **variables):
        slurm = {"JOB_NUM_NODES": "1", "JOB_ID": "7", "JOB_NODELIST": "node0", "NODEID": "0", "CPUS_PER_TASK": "24"}
        environment = {**CLEAN, "PATH": f"{bin}:{CLEAN['PATH']}", "SCRIPT": "examples/run_rl.sh", **variables}
        environment |= {f"SLURM_{name}": value for name, value in slurm.items()}
        command = ["bash", EXAMPLES / "slurm" / file]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=tmp_path, timeout=120)
        assert done.returncode == 0, done.stderr
        return {path.stem: path.read_text() for path in tmp_path.glob("*.calls")}

    return call


def test_steps_get_the_jobs_cores_and_ray_the_nodes_gpus(cluster):
    calls = cluster("rl.sbatch", SLURM_GPUS_ON_NODE="4", N_GPUS="2")
    steps = [line for line in calls["srun"].splitlines() if line.startswith("srun ")]
    assert len(steps) == 2 and all(line.startswith("srun cpus=24 ") for line in steps)
    assert calls["ray"].rstrip().endswith("--num-gpus=4") and "N_GPUS=2" in calls["run_rl.sh"]


@pytest.mark.parametrize("variables, gpus", [({}, 8), ({"SLURM_GPUS_ON_NODE": "4"}, 4), ({"N_GPUS": "2"}, 2)])
def test_sft_on_slurm_uses_the_gpus_of_the_job(cluster, variables, gpus):
    calls = cluster("sft.sbatch", **variables)
    assert f"cpus=24 N_GPUS={gpus}" in calls["run_sft_qwen2_5vl_7b.sh"]


@pytest.fixture
def machine(tmp_path):
    """A script on a machine whose GPU, trainer and commands are stand-ins; returns its result and what it started."""
    bin, calls = tmp_path / "bin", tmp_path / "calls"
    executable(bin / "nvidia-smi", "")
    note = f'echo "$(basename "$0") $*" >> "{calls}"\n'
    executable(
        bin / "medgrpo", note + 'while [ $# -gt 1 ]; do [ "$1" = --out ] && mkdir -p "$2"; shift; done\nexit 0\n'
    )
    executable(
        bin / "python3",
        f'[ "$1" != -c ] && [ "$2" != recipe.medgrpo.stage ] || exec "{sys.executable}" "$@"\n{note}'
        f'[ -z "$FAILS" ] || exit 1\necho 7 > "{tmp_path}/out/rl/latest_checkpointed_iteration.txt"\n',
    )
    (tmp_path / "data").mkdir()
    for name in ("train", "test"):
        (tmp_path / f"data/{name}.parquet").touch()

    def call(script, *overrides, **variables):
        paths = {"DATA": f"{tmp_path}/data", "OUT": f"{tmp_path}/out", "PATH": f"{bin}:{CLEAN['PATH']}"}
        environment = {**CLEAN, **paths, "PYTHONPATH": str(EXAMPLES.parent), **variables}
        done = subprocess.run(["bash", EXAMPLES / script, *overrides], env=environment, capture_output=True, text=True)
        lines = calls.read_text().splitlines() if calls.exists() else []
        calls.unlink(missing_ok=True)
        return done, lines

    return call


@pytest.mark.parametrize(
    "script, variables, overrides, wording, form",
    [
        (MEDR1, {}, [], "--template medr1_eval_think --max-tokens 256", "think"),
        (MEDR1, {"PRESET": "medr1_think_after"}, [], "--template medr1_think_after --max-tokens 256", "think_after"),
        (ZHU, {"PRESET": "zhu_ecr"}, [], "--template r1 --max-tokens 1024", "think"),
        (ZHU, {}, ["data.max_response_length=300"], "--template r1 --max-tokens 300", "think"),
        (ZHU, {}, ["data.template=null"], "--max-tokens 512", "think"),
    ],
)
def test_evaluation_with_the_presets_wording(machine, tmp_path, script, variables, overrides, wording, form):
    done, (estimate, rl, evaluate) = machine(script, *overrides, **variables)
    assert done.returncode == 0, done.stderr
    assert rl.startswith("python3 -m recipe.medgrpo.main_medgrpo data.train_files=") and " preset=" in rl
    assert estimate == "medgrpo estimate " + rl.partition("main_medgrpo ")[2]
    model = f"--model {tmp_path}/out/rl/global_step_7/actor/huggingface"
    strict = "medgrpo.reward.vqa.strict_tags=False medgrpo.reward.vqa.nothink_strict=False"
    read = f"medgrpo.reward.vqa.form={form} {strict} medgrpo.reward.reward_tasks=[mcq]"
    assert evaluate.startswith("medgrpo evaluate ") and evaluate.endswith(f"{model} {wording} {read}")
    assert f"--data {tmp_path}/data/test.parquet --out {tmp_path}/out/eval/rl " in evaluate
    for key in ("trainer.default_local_dir", "hydra.run.dir"):
        assert f"{key}='{tmp_path}/out/rl'" in rl, "where browse, export and report look"


def test_a_second_call_does_nothing_again(machine):
    done, (estimate, *_) = machine(ZHU)
    assert done.returncode == 0, done.stderr
    done, lines = machine(ZHU)
    assert done.returncode == 0 and lines == [estimate]


def test_a_run_of_other_settings_is_refused_once_it_has_a_checkpoint(machine):
    assert machine(MEDR1, BATCH="4")[0].returncode == 0
    done, lines = machine(MEDR1, BATCH="64")
    assert done.returncode and len(lines) == 1 and "give the former settings" in done.stderr
    done, lines = machine(MEDR1, BATCH="64", ACCEPT_CHANGE="1")
    assert done.returncode == 0 and len(lines) == 3


def test_a_failed_training_is_not_evaluated(machine):
    done, lines = machine(ZHU, FAILS="1")
    assert done.returncode and len(lines) == 2 and "stage rl failed" in done.stderr


@pytest.mark.parametrize("script, preset", [(MEDR1, "medgrpo"), (ZHU, "medr1_think")])
def test_a_preset_of_another_paper_is_refused(dry_run, script, preset):
    done = dry_run(script, PRESET=preset)
    assert done.returncode == 1 and f"PRESET={preset} is none of this script's" in done.stderr


@pytest.mark.parametrize("script", [MEDR1, ZHU])
def test_what_both_stages_need_is_set_once_and_data_are_named(machine, tmp_path, script):
    for override in ("preset=zhu_ecr", "trainer.default_local_dir=x", "++actor_rollout_ref.model.path=x"):
        done, lines = machine(script, override)
        assert done.returncode and not lines and "in the environment instead" in done.stderr
    (tmp_path / "data/test.parquet").unlink()
    done, lines = machine(script)
    assert done.returncode and not lines and "test.parquet is missing: make it with data_preprocess" in done.stderr
