# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Scripts of the image papers and of SLURM: what they start, with stand-ins for the programs."""

import subprocess

import pytest
from scripts import CLEAN, EXAMPLES, QWEN3, executable


@pytest.mark.parametrize("script", sorted(EXAMPLES.glob("run_*.sh")), ids=lambda path: path.name)
def test_every_script_keeps_two_checkpoints(script):
    text = script.read_text()
    # Qwen3-VL's starts the script of Qwen2.5-VL.
    assert "ckpt_to_keep=2" in text or script.name == QWEN3
    for trainer, key in (("main_medgrpo", "max_actor_ckpt_to_keep=2"), ("sft_trainer", "trainer.max_ckpt_to_keep=2")):
        assert trainer not in text or key in text


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
    assert all("cpus=24" in line for line in calls["srun"].splitlines())
    assert calls["ray"].rstrip().endswith("--num-gpus=4") and "N_GPUS=2" in calls["run_rl.sh"]


@pytest.mark.parametrize("variables, gpus", [({}, 8), ({"SLURM_GPUS_ON_NODE": "4"}, 4), ({"N_GPUS": "2"}, 2)])
def test_sft_on_slurm_uses_the_gpus_of_the_job(cluster, variables, gpus):
    calls = cluster("sft.sbatch", **variables)
    assert f"cpus=24 N_GPUS={gpus}" in calls["run_sft_qwen2_5vl_7b.sh"]
