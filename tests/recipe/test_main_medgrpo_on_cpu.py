# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""The composed configuration, the launch scripts, and the checks before the first step."""

import os
import subprocess
import sys
from pathlib import Path

import hydra
import pytest
import yaml
from configuration import composed

import reward_score
from recipe.medgrpo.common.run_folder import keep_configuration
from recipe.medgrpo.main_medgrpo import fit_context, keep_logs_together
from recipe.medgrpo.preflight.errors import SetupError
from recipe.medgrpo.preflight.normalization import check_normalization
from recipe.medgrpo.scoring.artifact_check import weights_fingerprint
from recipe.medgrpo.scoring.training_options import read_tasks

REPOSITORY = Path(__file__).resolve().parents[2]
NEEDED = ("data.val_files=v", "actor_rollout_ref.model.path=m")


def configuration(*overrides):
    return composed(*NEEDED, *overrides)


@pytest.mark.parametrize("platform", ["gpu", "cpu"])
def test_paper_values(platform):
    config = configuration(f"platform={platform}", "data.train_files=t", "medgrpo.reward.artifact=a")
    actor, rollout = config.actor_rollout_ref.actor, config.actor_rollout_ref.rollout
    assert config.algorithm.adv_estimator == "grpo"
    assert (actor.clip_ratio_low, actor.clip_ratio_high, actor.use_kl_loss) == (0.2, 0.3, False)
    assert (rollout.n, actor.optim.lr, config.medgrpo.reward.k) == (8, 5e-7, 3.0)
    assert config.medgrpo.reward.normalization == "logistic"
    assert list(config.data.tasks) == ["tag", "stg", "vs", "rc"]
    assert config.trainer.use_v1


def test_gpu_script_dry_run_names_the_file_of_the_configuration(tmp_path):
    result = subprocess.run(
        ["bash", REPOSITORY / "examples/run_medgrpo_qwen2_5vl_7b.sh", "actor_rollout_ref.rollout.n=4"],
        env={**os.environ, "DRY_RUN": "1", "VERL_PLATFORM": "cpu", "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    [file] = tmp_path.glob("*.yaml")
    assert str(file) in result.stdout
    printed = yaml.safe_load(file.read_text())
    assert printed["actor_rollout_ref"]["rollout"]["n"] == 4
    assert printed["trainer"]["total_training_steps"] == 5000
    assert printed["trainer"]["n_gpus_per_node"] == 8


def artifact_of(pairs, path, shift=0.0, **more):
    values = [shift + 0.01 * step for step in range(40)]
    observed = {
        (source, task, component): values for source, task in pairs for component in reward_score.TASKS[task].COMPONENTS
    }
    provenance = reward_score.Provenance(model="m", split="train", decoding="greedy", **more)
    return reward_score.Artifact.from_observations(observed, provenance).save(path)


@pytest.mark.parametrize(
    ("given", "tasks"), [([], ["tag", "stg", "vs", "rc", "ties"]), (["data.tasks=[tag]"], ["tag"])]
)
def test_a_task_of_the_users_own_is_read_from_the_data(given, tasks, tmp_path, monkeypatch, request):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    request.addfinalizer(lambda: (reward_score.TASKS.pop("ties", None), sys.modules.pop("ties", None)))
    (tmp_path / "ties.py").write_text("COMPONENTS = ('raw',)\ndef rate(sample, fallback): ...\n")
    config = configuration("medgrpo.reward.extra_tasks=[ties]", "medgrpo.reward.artifact=a", *given)
    read_tasks(config)
    assert list(config.data.tasks) == tasks


@pytest.fixture
def prepared(drawn, tmp_path):
    """A configuration whose artifact covers the drawn world, and that world's pairs."""
    import pyarrow.parquet as pq

    sources = set(pq.read_table(drawn / "train.parquet", columns=["data_source"])["data_source"].to_pylist())
    pairs = [tuple(source.split("/")[1:]) for source in sources if source.endswith(("/tag", "/stg", "/vs", "/rc"))]
    artifact = artifact_of(pairs, tmp_path / "normalization.json")
    return configuration(
        f"data.train_files='{drawn}/train.parquet'",
        f"medgrpo.reward.artifact='{artifact}'",
        f"trainer.default_local_dir='{tmp_path}/run'",
    ), pairs


def test_vllm_has_room_for_the_longest_prompt_and_answer(prepared):
    config, _ = prepared
    config.data.max_response_length = 2048
    fit_context(config)
    assert config.actor_rollout_ref.rollout.max_model_len == 8192 + 2048
    config.actor_rollout_ref.rollout.max_model_len = 9000
    fit_context(config)
    assert config.actor_rollout_ref.rollout.max_model_len == 9000


def test_logs_lie_next_to_the_checkpoints(prepared, tmp_path, monkeypatch):
    monkeypatch.delenv("TENSORBOARD_DIR", raising=False)
    monkeypatch.setenv("VERL_FILE_LOGGER_PATH", "chosen")
    config, _ = prepared
    keep_logs_together(config)
    found = config.ray_kwargs.ray_init.runtime_env.env_vars
    chosen = os.path.abspath("chosen")
    tensorboard = str(tmp_path / "run/tensorboard")
    # The workers of an existing cluster have an environment of their own.
    assert found == {"VERL_FILE_LOGGER_PATH": chosen, "TENSORBOARD_DIR": tensorboard, "MEDGRPO_PLUGIN": "1"}
    monkeypatch.delenv("TENSORBOARD_DIR")


def test_paths_hold_in_another_working_folder(tmp_path, monkeypatch):
    for name in ("VERL_FILE_LOGGER_PATH", "TENSORBOARD_DIR"):
        monkeypatch.setenv(name, "x")
    monkeypatch.chdir(tmp_path)
    for name in ("t", "a"):
        (tmp_path / name).touch()
    overrides = ("data.train_files=[t]", "medgrpo.reward.artifact=a", "trainer.default_local_dir=r")
    config = configuration(*overrides, "actor_rollout_ref.model.path=Qwen/Qwen2.5-VL-7B-Instruct")
    keep_logs_together(config)
    assert config.data.train_files == [f"{tmp_path}/t"] and config.medgrpo.reward.artifact == f"{tmp_path}/a"
    assert config.trainer.rollout_data_dir == f"{tmp_path}/r/rollouts"
    assert config.actor_rollout_ref.model.path == "Qwen/Qwen2.5-VL-7B-Instruct"
    # Next to the package, not in the working folder.
    assert Path(config.actor_rollout_ref.rollout.router_config_path) == REPOSITORY / "recipe/medgrpo/config/router.yaml"


def test_the_configuration_is_kept_as_hydra_itself_would(tmp_path, monkeypatch):
    options = [f"hydra.run.dir='{tmp_path}'", "hydra.output_subdir=own", "hydra/job_logging=none"]
    monkeypatch.setattr(sys, "argv", ["program", "+a.b=1", "+c=${a.b}", "+d=${oc.env:HOME}", *options])
    hydra.main(config_path=None, version_base=None)(keep_configuration)()
    written = [{file.name: file.read_text() for file in (tmp_path / name).iterdir()} for name in ("own", ".hydra")]
    assert len(written[0]) == 3 and written[0] == written[1]


@pytest.mark.parametrize("model, warned", [("m", False), ("./x/../m", False), ("other", True)])
def test_an_artifact_of_another_model_is_said(prepared, capsys, model, warned):
    config, _ = prepared
    config.actor_rollout_ref.model.path = model
    check_normalization(config)
    assert ("WARNING: the normalization" in capsys.readouterr().out) is warned


def test_an_artifact_of_other_weights_is_refused(prepared, tmp_path):
    config, pairs = prepared
    sft = tmp_path / "sft"
    sft.mkdir()
    (sft / "model.safetensors").write_bytes(b"trained")
    measured = artifact_of(pairs, tmp_path / "measured.json", fingerprint=weights_fingerprint(sft))
    config.medgrpo.reward.artifact, config.actor_rollout_ref.model.path = str(measured), str(sft)
    check_normalization(config)
    # The same weights elsewhere, and younger.
    moved = sft.rename(tmp_path / "moved")
    os.utime(moved / "model.safetensors", (1, 1))
    config.actor_rollout_ref.model.path = str(moved)
    check_normalization(config)
    (moved / "model.safetensors").write_bytes(b"another")
    with pytest.raises(SetupError, match="measured on m .*medgrpo.accept_other_model=true"):
        check_normalization(config)
    config.medgrpo.accept_other_model = True
    check_normalization(config)


def test_a_missing_pair_is_named_before_the_first_step(prepared, tmp_path):
    config, pairs = prepared
    config.medgrpo.reward.artifact = str(artifact_of(pairs[1:], tmp_path / "other.json"))
    with pytest.raises(reward_score.RewardError, match=pairs[0][0]):
        check_normalization(config)


def test_a_resumed_run_refuses_another_normalization(prepared, tmp_path):
    config, pairs = prepared
    check_normalization(config)
    kept = reward_score.Artifact.load(tmp_path / "run/normalization.json")
    assert kept.hash == reward_score.Artifact.load(config.medgrpo.reward.artifact).hash
    (tmp_path / "run/global_step_3").mkdir()
    (tmp_path / "run/latest_checkpointed_iteration.txt").write_text("3")
    check_normalization(config)
    config.medgrpo.reward.artifact = str(artifact_of(pairs, tmp_path / "other.json", shift=0.1))
    with pytest.raises(SetupError, match="set medgrpo.reward.artifact="):
        check_normalization(config)
