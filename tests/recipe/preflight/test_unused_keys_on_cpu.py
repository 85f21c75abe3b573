# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""A key of verl's configuration is either read by what this recipe runs, or refused with a sentence."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import verl
from configuration import composed
from omegaconf import DictConfig, OmegaConf

from recipe.medgrpo.preflight.errors import SetupError
from recipe.medgrpo.preflight.unused_keys import UNUSED, UNUSED_IN_SFT, refuse_unused

REPOSITORY = Path(__file__).resolve().parents[3]
PRESETS = sorted(file.stem for file in (REPOSITORY / "recipe/medgrpo/config/preset").glob("*.yaml"))
#: Modules of verl that no run of this recipe executes: other engines, other rollouts, other trainers, and the classes
#: that only hold the configuration.
ELSEWHERE = re.compile(
    r"workers/config/(?!optimizer)|trainer/config|megatron|mcore|veomni|torchtitan|automodel|mindspeed|sglang|trtllm"
    r"|main_ppo_v0|ray_trainer|fully_async|one_step_off|separate|separation|sft_trainer|reward_manager/|teacher|critic"
)
#: Sections that are switched off as a whole, each by a key of its own that is off by default.
SECTIONS = re.compile(
    r"^(critic|distillation|global_profiler|transfer_queue|reward_model|sandbox_fusion|model_engine)\b"
    r"|\.(profiler|qat|turbo_config|mtp|disaggregation|prometheus|lora)\.|separate_async|reward\.reward_model\.rollout"
    r"|_target_$"
)
#: What VLM recipes for verl set (its own examples of Qwen2-VL, Qwen2.5-VL and Qwen3-VL, EasyR1, DAPO), and this recipe
#: does not follow, with another value than the default.
SET_BY_PEOPLE = {
    "custom_reward_function.path": "my_reward.py",
    "reward.custom_reward_function.path": "my_reward.py",
    "reward.reward_manager.name": "dapo",
    "+reward.reward_kwargs.overlong_buffer_cfg.enable": True,
    "reward.reward_model.enable": True,
    "reward_model.enable": True,
    "actor_rollout_ref.actor.ppo_micro_batch_size_per_gpu": 4,
    "actor_rollout_ref.actor.grad_clip": 0.5,
    "actor_rollout_ref.rollout.log_prob_micro_batch_size_per_gpu": 4,
    "actor_rollout_ref.ref.log_prob_micro_batch_size_per_gpu": 4,
    "actor_rollout_ref.rollout.name": "sglang",
    "actor_rollout_ref.rollout.do_sample": False,
    "actor_rollout_ref.rollout.multi_turn.enable": True,
    "actor_rollout_ref.model.lora.rank": 8,
    "algorithm.use_pf_ppo": True,
    "data.truncation": "left",
    "data.filter_overlong_prompts_workers": 16,
    "data.image_patch_size": 16,
    "data.return_raw_chat": False,
    "+data.apply_chat_template_kwargs.enable_thinking": False,
    "trainer.val_only": True,
    "trainer.ray_wait_register_center_timeout": 600,
    "actor_rollout_ref.rollout.trace.backend": "mlflow",
    "actor_rollout_ref.rollout.val_kwargs.do_sample": True,
    "actor_rollout_ref.rollout.calculate_log_probs": False,
    "trainer.balance_batch": False,
    "trainer.use_v1": False,
}


def rl(*overrides: str) -> DictConfig:
    return composed("data.train_files=t", "data.val_files=v", "medgrpo.reward.artifact=a",
                    "actor_rollout_ref.model.path=m", *overrides)  # fmt: skip


def leaves(config: dict, prefix: str = ""):
    for key, value in config.items():
        if isinstance(value, dict) and value:
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}"


def test_every_key_is_read_or_refused():
    """Its name stands in code that this recipe runs, or in its table of refused keys."""
    root = Path(verl.__file__).parent
    files = [file for file in root.rglob("*.py") if not ELSEWHERE.search(str(file.relative_to(root)))]
    files += [file for room in ("recipe", "reward_score") for file in (REPOSITORY / room).rglob("*.py")]
    files = [file for file in files if file.name not in ("unused_keys.py", "verl_patches.py")]
    words = set(re.findall(r"\w+", "\n".join(file.read_text(errors="replace") for file in files)))
    unread = {key for key in leaves(OmegaConf.to_container(rl())) if key.rsplit(".", 1)[-1] not in words}
    unread = {key for key in unread if not SECTIONS.search(key)}
    assert "trainer.balance_batch" in unread
    # The plugin reads it (test_plugin_on_cpu.py).
    unread.discard("actor_rollout_ref.actor.freeze_vision_tower")
    assert unread - {unused.key for unused in UNUSED} == set()


@pytest.mark.parametrize(("override", "value"), SET_BY_PEOPLE.items())
def test_what_would_be_ignored_is_refused_with_a_sentence(override, value):
    with pytest.raises(SetupError, match=rf"{override.lstrip('+')[:20]}.* cannot be followed: .+"):
        refuse_unused(rl(f"{override}={value}"), UNUSED)


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("judge", ["lexical", "openai", "local"])
def test_no_preset_or_judge_is_refused(preset, judge):
    served = ["reward.reward_model.model_path=j"] * (judge == "local")
    if preset.startswith("sft"):
        refuse_unused(composed("data.train_files=t", "model.path=m", f"preset={preset}", name="sft"), UNUSED_IN_SFT)
    else:
        refuse_unused(rl(f"preset={preset}", f"judge={judge}", *served), UNUSED)


def test_keys_that_depend_on_others():
    refuse_unused(rl("trainer.val_only=true", "trainer.val_before_train=true"), UNUSED)
    sampled = "actor_rollout_ref.rollout.val_kwargs"
    refuse_unused(rl(f"{sampled}.do_sample=true", f"{sampled}.temperature=1"), UNUSED)
    sft = composed("data.train_files=t", "model.path=m", "data.balance_dp_token=true", name="sft")
    with pytest.raises(SetupError, match="data.balance_dp_token=True cannot be followed"):
        refuse_unused(sft, UNUSED_IN_SFT)
    static = ["use_dynamic_bsz=false", "ppo_micro_batch_size_per_gpu=4"]
    refuse_unused(rl(*(f"actor_rollout_ref.actor.{one}" for one in static)), UNUSED)
    frozen = ["actor_rollout_ref.actor.freeze_vision_tower=true"]
    refuse_unused(rl(*frozen), UNUSED)
    frozen.append("actor_rollout_ref.actor.strategy=fsdp")
    with pytest.raises(SetupError, match="use_orig_params=true"):
        refuse_unused(rl(*frozen), UNUSED)
    refuse_unused(rl(*frozen, "actor_rollout_ref.actor.fsdp_config.use_orig_params=true"), UNUSED)
    adapters = ["actor_rollout_ref.model.lora_rank=8"]
    refuse_unused(rl(*adapters), UNUSED)
    with pytest.raises(SetupError, match="take hf_model out of actor_rollout_ref.actor.checkpoint.save_contents"):
        refuse_unused(rl(*adapters, "actor_rollout_ref.actor.checkpoint.save_contents=[model,hf_model]"), UNUSED)


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        (["medgrpo.cli", "train", "data.train_files=t", "data.val_files=v", "actor_rollout_ref.model.path=m",
          "trainer.balance_batch=false"], "trainer.balance_batch=False cannot be followed: verl's"),
        (["medgrpo.main_sft", "data.train_files=t", "model.path=m", "data.truncation=left"],
         "data.truncation=left cannot be followed: a row"),
    ],
    ids=["RL", "SFT"],
)  # fmt: skip
def test_the_start_ends_with_the_sentence(command, sentence, tmp_path):
    module, *arguments = command
    former = tmp_path / ".hydra/config.yaml"
    former.parent.mkdir()
    former.write_text("that of the checkpoint")
    call = [sys.executable, "-m", f"recipe.{module}", *arguments, f"hydra.run.dir='{tmp_path}'"]
    done = subprocess.run(call, capture_output=True, text=True, cwd=REPOSITORY)
    assert done.returncode == 1 and f"training does not start: {sentence}" in done.stderr, done.stderr[-3000:]
    assert "Traceback" not in done.stderr
    assert former.read_text() == "that of the checkpoint" and os.listdir(former.parent) == [former.name]
