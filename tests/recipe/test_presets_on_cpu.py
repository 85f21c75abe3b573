# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Every preset composes, passes verl's own validation, and says what its paper says."""

import functools
import inspect
from pathlib import Path

import pytest
from configuration import composed
from omegaconf import OmegaConf
from verl.trainer.ppo.utils import need_critic, need_reference_policy
from verl.trainer.ppo.v1 import trainer_base
from verl.utils.config import validate_config

import recipe.medgrpo.config
import reward_score
from recipe.medgrpo.model_inputs.prompt_templates import TEMPLATES

FOLDER = Path(recipe.medgrpo.config.__file__).parent / "preset"
SFT = "sft_answer_only"
NAMES = sorted({file.stem for file in FOLDER.glob("*.yaml")} - {SFT})
PAPERS = [name for name in NAMES if name.startswith(("medr1", "zhu"))]
NEEDED = ("data.train_files=t", "data.val_files=v")


@functools.lru_cache
def preset(name):
    model = ["actor_rollout_ref.model.path=m", "medgrpo.reward.artifact=a"] if name.startswith("medgrpo") else []
    if name in ("medgrpo_no_norm", "medgrpo_dev"):
        model.pop()
    return composed(f"preset={name}", *NEEDED, *model)


def plain(config):
    return OmegaConf.to_container(config, resolve=True)


def test_the_issues_presets_exist():
    papers = "medr1_think medr1_nothink medr1_think_after zhu_grpo zhu_grpo_scratch zhu_align zhu_ecr zhu_cwr"
    ours = "medgrpo medgrpo_all_tasks medgrpo_dev medgrpo_no_norm zhu_drgrpo zhu_drgrpo_strict"
    assert set(NAMES) == {*papers.split(), *ours.split(), "medical_vqa"}


@pytest.mark.parametrize("name", [name for name in NAMES if name != "medical_vqa"])
def test_composes_and_validates(name):
    config = preset(name)
    validate_config(config, use_reference_policy=need_reference_policy(config), use_critic=need_critic(config))
    values = plain(config)
    assert values["data"]["template"] in {None, *TEMPLATES} and values["data"]["val_template"] in {None, *TEMPLATES}
    assert values["trainer"]["experiment_name"] == name
    reward = values["medgrpo"]["reward"]
    if reward["artifact"] is None:
        assert set(reward_score.read_config(reward).reward_tasks) == set(values["data"]["tasks"])


def arms(name):
    """What sets a Zhu et al. arm apart: all keys whose value differs from zhu_grpo's, the name left out."""

    def leaves(value, path=""):
        if isinstance(value, dict):
            return {k: v for key, one in value.items() for k, v in leaves(one, f"{path}.{key}").items()}
        return {path[1:]: value}

    one, other = leaves(plain(preset(name))), leaves(plain(preset("zhu_grpo")))
    missing = object()
    return {k: one.get(k) for k in one | other
            if one.get(k, missing) != other.get(k, missing) and "experiment_name" not in k
            and not k.startswith(("trainer.default_local_dir", "trainer.rollout_data_dir", "trainer.v1"))}  # fmt: skip


ACTOR, VQA = "actor_rollout_ref.actor", "medgrpo.reward.vqa"


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("zhu_align", {f"{VQA}.weights.alignment": 1.0}),
        ("zhu_drgrpo", {"algorithm.norm_adv_by_std_in_grpo": False,
                        f"{ACTOR}.loss_agg_mode": "seq-mean-token-sum-norm", f"{ACTOR}.loss_scale_factor": 512}),
    ],
)  # fmt: skip
def test_an_arm_differs_in_its_own_keys_alone(name, keys):
    # The reference model and the unused critic take these values over from the actor.
    found = {
        key: value for key, value in arms(name).items() if not key.startswith(("actor_rollout_ref.ref.", "critic."))
    }
    assert found == keys


MODEL, ROLLOUT = "actor_rollout_ref.model", "actor_rollout_ref.rollout"
#: What the papers, or a preset's comments, say.
SHARED = {
    f"{ACTOR}.ppo_epochs": 1, f"{ACTOR}.optim.lr": 1e-6, f"{ACTOR}.optim.weight_decay": 0.0,
    f"{ACTOR}.use_kl_loss": True, f"{ACTOR}.kl_loss_coef": 0.04, f"{ACTOR}.kl_loss_type": "low_var_kl",
    f"{VQA}.weights.accuracy": 1.0, f"{VQA}.weights.tags": 1.0, f"{VQA}.weights.ecr": 0.0, f"{VQA}.weights.cwr": 0.0,
    "algorithm.adv_estimator": "grpo", "algorithm.use_kl_in_reward": False, "data.max_prompt_length": 1024,
    "data.truncation": "error", "data.filter_overlong_prompts": True, f"{ACTOR}.optim.betas": [0.9, 0.999],
    f"{ACTOR}.optim.lr_warmup_steps_ratio": 0.0, f"{ACTOR}.optim.min_lr_ratio": 0.0, f"{ACTOR}.grad_clip": 1.0,
    f"{ACTOR}.entropy_coeff": 0, f"{ROLLOUT}.temperature": 1.0,
    f"{ROLLOUT}.top_p": 1.0, f"{ROLLOUT}.val_kwargs.do_sample": False, f"{ROLLOUT}.val_kwargs.temperature": 0,
    f"{ROLLOUT}.val_kwargs.n": 1, "trainer.total_epochs": 1, "data.tasks": ["mcq"],
}  # fmt: skip
OWN = {
    "medr1": {
        "data.train_batch_size": 4, f"{ACTOR}.ppo_mini_batch_size": 4, f"{ROLLOUT}.n": 4, f"{ROLLOUT}.top_k": 50,
        "data.max_response_length": 256, f"{ACTOR}.optim.lr_scheduler_type": "cosine",
        f"{MODEL}.path": "Qwen/Qwen2-VL-2B-Instruct", "medgrpo.alarm.action": "both",
    },
    "medr1_think": {
        f"{VQA}.form": "think", "data.template": "medr1_think", "data.val_template": "medr1_eval_think",
    },
    "medr1_nothink": {
        f"{VQA}.form": "nothink", "data.template": "medr1_nothink", "data.val_template": "medr1_eval_nothink",
        f"{VQA}.nothink_strict": False,
    },
    "medr1_think_after": {
        f"{VQA}.form": "think_after", "data.template": "medr1_think_after", "data.val_template": None,
    },
    "zhu": {
        "data.train_batch_size": 8, f"{ACTOR}.ppo_mini_batch_size": 8, f"{ROLLOUT}.n": 8, f"{ROLLOUT}.top_k": -1,
        "data.max_response_length": 512, f"{ACTOR}.optim.lr_scheduler_type": "constant",
        f"{MODEL}.path": "Qwen/Qwen2-VL-2B-Instruct", "data.template": "r1", "data.val_template": None,
        "medgrpo.alarm.action": "both",
    },
    "zhu_ecr": {
        "medgrpo.alarm.action": "warn", "data.max_response_length": 1024, f"{VQA}.max_length": 1024,
        f"{VQA}.weights.ecr": 1.0,
    },
    "zhu_cwr": {"data.max_response_length": 1024, f"{VQA}.weights.cwr": 1.0},
    "zhu_drgrpo_strict": {f"{ACTOR}.use_kl_loss": False},
    "zhu_grpo_scratch": {f"{MODEL}.path": "Qwen/Qwen2-VL-2B", "medgrpo.alarm.action": "warn"},
}  # fmt: skip


@pytest.mark.parametrize("name", PAPERS)
def test_values_of_the_papers(name):
    config = preset(name)
    expected = SHARED | OWN[name.split("_")[0]] | OWN.get(name, {})
    # YAML's numbers come as they are, lists as OmegaConf's, which equal Python's.
    assert {key: OmegaConf.select(config, key) for key in expected} == expected
    assert need_reference_policy(config) == expected[f"{ACTOR}.use_kl_loss"]


def test_ablations_of_medgrpo():
    assert list(preset("medgrpo_all_tasks").data.tasks) == ["tag", "stg", "vs", "rc", "dvc", "nap", "sa", "cvs"]
    assert preset("medgrpo_no_norm").medgrpo.reward.normalization == "none"


def test_the_authors_development_code():
    config = preset("medgrpo_dev")
    actor = config.actor_rollout_ref.actor
    assert (config.data.train_batch_size, actor.ppo_mini_batch_size, config.actor_rollout_ref.rollout.n) == (32, 32, 4)
    assert (actor.optim.lr, actor.optim.weight_decay) == (1e-6, 0.01)
    assert (actor.clip_ratio_low, actor.clip_ratio_high) == (0.2, 0.3)
    assert (actor.use_kl_loss, actor.kl_loss_coef, actor.kl_loss_type) == (True, 0.01, "low_var_kl")
    assert need_reference_policy(config) and config.algorithm.norm_adv_by_std_in_grpo
    reward = reward_score.read_config(plain(config)["medgrpo"]["reward"])
    assert (reward.normalization, reward.format_order, reward.tag_raw) == ("none", "added", "matched")
    assert len(reward.reward_tasks) == 8 and reward.caption_mix == 1
    assert [preset("medgrpo").medgrpo.reward[key] for key in ("format_order", "tag_raw")] == ["after", "union"]


def test_scratch_brings_its_own_turn_format():
    import jinja2

    template = jinja2.Template(preset("zhu_grpo_scratch").actor_rollout_ref.model.custom_chat_template)
    turn = {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "Q?"}]}
    assert template.render(messages=[turn], add_generation_prompt=True) == (
        "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n"
        "<|vision_start|><|image_pad|><|vision_end|>Q?<|im_end|>\n<|im_start|>assistant\n"
    )


@pytest.mark.parametrize("platform", ["gpu_sft", "cpu_sft"])
def test_the_sft_preset_composes(platform):
    config = composed(f"platform={platform}", f"preset={SFT}", "data.train_files=t", name="sft")
    expected = {
        "optim.lr": 2e-5, "optim.lr_scheduler_type": "cosine", "optim.lr_warmup_steps_ratio": 0.1,
        "optim.min_lr_ratio": 0.0, "optim.weight_decay": 0.0, "optim.betas": [0.9, 0.999], "optim.clip_grad": 1.0,
        "data.template": "medr1_nothink", "data.train_batch_size": 128, "data.max_length": 4096,
        "model.path": "Qwen/Qwen2-VL-2B-Instruct", "trainer.total_epochs": 1, "trainer.seed": 42,
    }  # fmt: skip
    assert {key: OmegaConf.select(config, key) for key in expected} == expected
    assert config.data.custom_cls.name == "MedGRPOSFTDataset"


@pytest.mark.parametrize("only", ["data.only.modality=[CT]", "data.only.question_type=[Lesion Grading]"])
@pytest.mark.parametrize("config", ["medgrpo", "sft"])
def test_rows_are_chosen_as_the_comment_says(config, only):
    comment = Path(recipe.medgrpo.config.__file__).parent / "medgrpo.yaml"
    assert only in comment.read_text()
    needed = [*NEEDED, "preset=medr1_think"] if config == "medgrpo" else ["data.train_files=t", f"preset={SFT}"]
    found = plain(composed(*needed, only, name=config))["data"]["only"]
    assert [value for value in found.values() if value] == [[only.partition("[")[2][:-1]]]


def test_entropy_is_logged_without_its_cost_in_the_update():
    actor = preset("medgrpo").actor_rollout_ref.actor
    assert not actor.calculate_entropy and actor.entropy_coeff == 0
    # tests/test_distributed_on_cpu.py compares the figure of real runs; this says early why there is one.
    source = inspect.getsource(trainer_base.PPOTrainer._compute_old_log_prob)
    assert '"calculate_entropy": True' in source and '"actor/entropy": entropy_agg' in source
