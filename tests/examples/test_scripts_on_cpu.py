# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""The run scripts: every option composes to a configuration that verl accepts."""

import subprocess
import time

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from configuration import composed as compose
from scripts import CLEAN, EXAMPLES, MEDGRPO, MEDR1, QWEN3, QWEN3_5, RL, SFT, ZHU

from recipe.medgrpo.preflight.errors import SetupError
from recipe.medgrpo.preflight.estimate import sft_steps
from reward_score.errors import BadOption

OPTIONS = {
    "plain": {},
    "lora": {"LORA": "64", "LR": "5e-6"},
    "fsdp1": {"STRATEGY": "fsdp"},
    "sequence parallel": {"SP": "2"},
    "offload": {"OFFLOAD": "1"},
    "no flash-attn": {"ATTN": "sdpa"},
    "two nodes": {"NNODES": "2", "RAY_ADDRESS": "head:6379"},
    "tensor parallel": {"TP": "2"},
    "all at once": {"LORA": "16", "SP": "4", "OFFLOAD": "1", "NNODES": "8", "TP": "4"},
    "local judge": {"JUDGE": "local", "JUDGE_OVERRIDE": "reward.reward_model.model_path=m"},
    "odd folders": {"DATA": "/a b/it's, {here}", "RUN": "/c d/=e"},
}


@pytest.mark.parametrize("script", MEDGRPO)
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
    attention = variables.get("ATTN", "flash_attention_2")
    assert model.override_config.attn_implementation == attention
    assert model.use_remove_padding is (attention != "sdpa")
    assert rollout.load_format == ("safetensors" if "LORA" in variables else "dummy")
    assert ("hf_model" in actor.checkpoint.save_contents) is ("LORA" not in variables)
    # The longest sequence fits where it must.
    longest = config.data.max_prompt_length + config.data.max_response_length
    assert longest <= actor.ppo_max_token_len_per_gpu
    # main_medgrpo gives it that room.
    assert rollout.max_model_len is None
    if "DATA" in variables:
        assert config.data.train_files == variables["DATA"] + "/train.parquet"
        assert config.trainer.default_local_dir == variables["RUN"] + "/rl"


@pytest.mark.parametrize("script", MEDGRPO)
@pytest.mark.parametrize("preset", ["medgrpo", "medgrpo_all_tasks", "medgrpo_no_norm"])
def test_a_preset_keeps_its_own_rewards(composed, script, preset):
    own = compose(f"preset={preset}", "data.train_files=t", "data.val_files=v")
    for config in (composed(script, PRESET=preset), composed(script, f"preset={preset}", "judge=lexical")):
        assert config.medgrpo.reward.normalization == own.medgrpo.reward.normalization
        assert config.data.tasks == config.medgrpo.reward.reward_tasks == own.data.tasks
    assert config.medgrpo.reward.judge == "lexical"
    assert composed(script, f"preset={preset}", "medgrpo.reward.k=2").medgrpo.reward.k == 2


@pytest.mark.parametrize("script", [*MEDGRPO, MEDR1, ZHU, SFT])
def test_paths_are_absolute_wherever_ray_starts_its_workers(composed, tmp_path, script):
    (tmp_path / "m").mkdir()
    if script in MEDGRPO:
        variables = {"MODEL": "m", "BASE": "m", "RUN": "r", "NORMALIZATION": "n.json"}
    else:
        variables = {"BASE" if script == SFT else "MODEL": "m", "OUT": "r"}
    config = composed(script, DATA="d/", **variables)
    assert config.data.train_files == f"{tmp_path}/d/train.parquet"
    assert config.trainer.default_local_dir == f"{tmp_path}/r" + ("" if script == SFT else "/rl")
    model = config.model if script == SFT else config.actor_rollout_ref.model
    assert model.path == f"{tmp_path}/m"
    if script in MEDGRPO:
        assert config.medgrpo.reward.artifact == f"{tmp_path}/n.json"


def test_a_name_on_the_hub_stays_a_name(composed):
    assert composed(SFT, BASE="a/b").model.path == "a/b"
    for script in (MEDR1, *MEDGRPO):
        assert composed(script, MODEL="a/b").actor_rollout_ref.model.path == "a/b"


def test_each_family_has_its_own_model_data_and_folder(composed):
    sizes = {QWEN3: "Qwen/Qwen3-VL-4B-Instruct", QWEN3_5: "Qwen/Qwen3.5-4B"}
    for script, model in sizes.items():
        config, name = composed(script), script.removeprefix("run_medgrpo_").removesuffix(".sh")
        assert config.data.train_files.endswith("data/medvidbench_patch16/train.parquet")
        assert config.trainer.experiment_name == f"medgrpo_{name}"
        assert config.trainer.default_local_dir.endswith(f"{name}/rl")
        assert model in (EXAMPLES / script).read_text()


def test_the_judges_model_reaches_the_run(composed):
    assert composed(RL, JUDGE_MODEL="m").medgrpo.reward.judge.model == "m"


def test_adapters_go_into_the_language_model_alone(composed):
    import torch
    from peft import LoraConfig, inject_adapter_in_model
    from transformers import AutoConfig, AutoModelForImageTextToText

    chosen = composed(RL, LORA="4").actor_rollout_ref.model
    options = {key: chosen[key] for key in ("target_modules", "exclude_modules")}
    for kind in ("qwen2_5_vl", "qwen3_vl", "qwen3_5"):
        config = AutoConfig.for_model(kind)
        config.text_config.num_hidden_layers = 1
        config.vision_config.depth = 1
        with torch.device("meta"):
            model = AutoModelForImageTextToText.from_config(config)
        injected = inject_adapter_in_model(LoraConfig(r=4, **options), model)
        names = [name for name, _ in injected.named_parameters() if "lora_" in name]
        assert names and all("language_model" in name for name in names), kind


@pytest.fixture
def sft(composed, tmp_path):
    """The configuration of SFT on seven rows, two a step."""
    infos = [{"modality": "CT" if i < 3 else "MRI"} for i in range(7)]
    rows = pa.table({"data_source": ["s"] * 7, "ability": ["mcq"] * 7, "extra_info": infos})
    (tmp_path / "d").mkdir()
    pq.write_table(rows, tmp_path / "d/train.parquet")
    return lambda *overrides: composed(SFT, "data.train_batch_size=2", *overrides, DATA="d")


@pytest.mark.parametrize(
    "variables", [{}, {"SP": "2", "OFFLOAD": "1"}, {"NNODES": "2", "STRATEGY": "fsdp"}, {"ATTN": "sdpa"}]
)
def test_sft_script_composes(composed, variables):
    config = composed(SFT, "trainer.seed=3", **variables)
    assert (config.trainer.total_epochs, config.optim.lr, config.trainer.seed) == (3, 5e-7, 3)
    assert config.engine.strategy == variables.get("STRATEGY", "fsdp2")
    assert config.engine.ulysses_sequence_parallel_size == int(variables.get("SP", 1))
    assert config.engine.param_offload is ("OFFLOAD" in variables)
    assert config.model.use_remove_padding is ("ATTN" not in variables)
    assert config.trainer.nnodes == int(variables.get("NNODES", 1))


@pytest.mark.parametrize(
    "overrides, steps",
    [
        ([], 9),
        (["trainer.total_epochs=5"], 15),
        (["trainer.total_training_steps=7"], 7),
        (["data.only.modality=[CT]"], 3),
        (["data.train_max_samples=4"], 6),
    ],
)
def test_number_of_sft_steps(sft, overrides, steps):
    assert sft_steps(sft(*overrides)) == steps


@pytest.mark.parametrize(
    "overrides, message",
    [
        (["trainer.total_training_steps=10"], "3 epochs have 9 steps, .*trainer.total_epochs=4 or more"),
        (["data.train_max_samples=4", "data.only.modality=[CT]"], "data.train_max_samples=4 with data.only"),
        (["data.train_batch_size=8"], "SFT would train on 7 rows, fewer than data.train_batch_size=8"),
        (["data.only.modality=[Mri]"], "no row has modality .*fix data.only.modality"),
    ],
)
def test_sft_that_would_take_other_steps_than_asked_for_is_refused(sft, overrides, message):
    with pytest.raises((SetupError, BadOption), match=message):
        sft_steps(sft(*overrides))


@pytest.mark.parametrize("script", sorted(EXAMPLES.glob("run_*.sh")), ids=lambda path: path.name)
def test_a_checkpoint_is_not_removed_before_the_next_is_noted(script):
    assert "ckpt_to_keep=1" not in script.read_text()


@pytest.mark.parametrize("script", [*MEDGRPO, SFT, MEDR1, ZHU])
def test_without_a_gpu_a_script_says_so_at_once(script, tmp_path):
    start = time.monotonic()
    done = subprocess.run(["bash", EXAMPLES / script], env=CLEAN, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 1 and time.monotonic() - start < 1
    assert "No NVIDIA GPU" in done.stderr and "bash examples/run_medgrpo_cpu.sh" in done.stderr
    assert not list(tmp_path.iterdir())


SHELL = sorted(path for path in EXAMPLES.rglob("*.*") if path.suffix in (".sh", ".sbatch"))


@pytest.mark.parametrize("script", SHELL, ids=lambda path: path.name)
def test_shell_reads_every_script_and_none_stops_the_ray_of_others(script):
    assert subprocess.run(["bash", "-n", script]).returncode == 0
    assert "ray stop" not in script.read_text()
