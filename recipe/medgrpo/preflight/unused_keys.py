# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Before anything else: keys of verl's configuration that a run of this recipe would accept and cannot follow.

verl 0.9.1 documents more keys than its V1 trainer with FSDP reads, and this recipe does some things in its own way.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from omegaconf import DictConfig, OmegaConf

from recipe.medgrpo.preflight.errors import SetupError

ACTOR, ROLLOUT, REF = (f"actor_rollout_ref.{part}" for part in ("actor", "rollout", "ref"))


class Unused(NamedTuple):
    """A key, its values that change nothing, what to do instead, and when this holds (default: always)."""

    key: str
    harmless: tuple[Any, ...]
    instead: str
    when: Callable[[DictConfig], bool] = lambda config: True


def _micro_batch(part: str, name: str, switch: str, tokens: str, unset: Any = None) -> Unused:
    instead = f"micro-batches are filled up to {tokens} tokens: set that, or {part}.{switch}=false"
    return Unused(f"{part}.{name}", (unset,), instead, lambda config: OmegaConf.select(config, f"{part}.{switch}"))


_NO_REWARD_FUNCTION = "rewards are those of reward_score; docs/write_a_reward.md adds one of your own"
_NO_REWARD_MODEL = "rewards are those of reward_score; a model that judges answers is judge=local"
_NOBODY_READS = "verl 0.9.1's V1 trainer reads it nowhere; leave it out"
_PROCESSOR_DECIDES = "the model's own processor decides; leave it out"
_LORA_EXPORT = (
    "verl 0.9.1 writes adapters into the Hugging Face folder under names that no loader knows: take hf_model out of "
    "{}.save_contents (LORA=64 in the scripts does), and merge the adapters after training"
)

UNUSED = (
    Unused(f"{ACTOR}.grad_clip", (1.0,), f"with FSDP it is {ACTOR}.optim.clip_grad"),
    Unused(f"{ACTOR}.use_prefix_grouper", (False,), _NOBODY_READS),
    Unused(
        f"{ACTOR}.freeze_vision_tower",
        (False,),
        f"FSDP1 needs {ACTOR}.fsdp_config.use_orig_params=true with it; FSDP2 does not",
        lambda config: (
            config.actor_rollout_ref.actor.strategy == "fsdp"
            and not config.actor_rollout_ref.actor.fsdp_config.use_orig_params
        ),
    ),
    _micro_batch(ACTOR, "ppo_micro_batch_size_per_gpu", "use_dynamic_bsz", f"{ACTOR}.ppo_max_token_len_per_gpu"),
    _micro_batch(ACTOR, "ppo_micro_batch_size", "use_dynamic_bsz", f"{ACTOR}.ppo_max_token_len_per_gpu"),
    *(
        _micro_batch(part, name, "log_prob_use_dynamic_bsz", f"{part}.log_prob_max_token_len_per_gpu")
        for part in (ROLLOUT, REF)
        for name in ("log_prob_micro_batch_size_per_gpu", "log_prob_micro_batch_size")
    ),
    Unused(
        "actor_rollout_ref.model.lora_rank",
        (0,),
        _LORA_EXPORT.format(f"{ACTOR}.checkpoint"),
        lambda config: "hf_model" in config.actor_rollout_ref.actor.checkpoint.save_contents,
    ),
    Unused("actor_rollout_ref.model.lora.rank", (0,), "it is Megatron's: set actor_rollout_ref.model.lora_rank"),
    Unused("actor_rollout_ref.nccl_timeout", (600,), _NOBODY_READS),
    Unused(f"{ROLLOUT}.name", ("vllm",), "a clip's frames keep their times in vLLM alone"),
    Unused(f"{ROLLOUT}.do_sample", (True,), f"{ROLLOUT}.temperature=0 is greedy"),
    Unused(
        f"{ROLLOUT}.val_kwargs.do_sample",
        (False,),
        f"{ROLLOUT}.val_kwargs.temperature decides, and 0 is greedy: set that",
        lambda config: config.actor_rollout_ref.rollout.val_kwargs.temperature == 0,
    ),
    Unused(
        f"{ROLLOUT}.calculate_log_probs",
        (True,),
        "the entropy of a step's answers, which the alarm watches, is made of these: leave it out",
    ),
    Unused(
        f"{ROLLOUT}.trace.backend", (None,), "answers are in trainer.rollout_data_dir (medgrpo browse); leave it out"
    ),
    Unused(f"{ROLLOUT}.over_sample_rate", (0,), _NOBODY_READS),
    Unused(f"{ROLLOUT}.multi_stage_wake_up", (False,), _NOBODY_READS),
    Unused(f"{ROLLOUT}.multi_turn.enable", (False,), "a question has one answer; the agent loop decides, not this key"),
    Unused(f"{ROLLOUT}.multi_turn.num_repeat_rollouts", (None,), _NOBODY_READS),
    Unused("algorithm.use_pf_ppo", (False,), _NOBODY_READS),
    Unused("custom_reward_function.path", (None,), _NO_REWARD_FUNCTION),
    Unused("reward.custom_reward_function.path", (None, "pkg://reward_score"), _NO_REWARD_FUNCTION),
    Unused("reward.reward_manager.name", ("medgrpo",), _NO_REWARD_FUNCTION),
    Unused("reward_model.reward_manager", (None,), _NO_REWARD_FUNCTION),
    Unused("reward.reward_kwargs", (None, {}), "medgrpo.reward.overlong_buffer is DAPO's penalty here, for captions"),
    Unused("reward_model.enable", (None, False), _NO_REWARD_MODEL),
    Unused(
        "reward.reward_model.enable",
        (False,),
        _NO_REWARD_MODEL,
        lambda config: OmegaConf.select(config, "medgrpo.reward.judge.backend") != "local",
    ),
    *(
        Unused(f"{place}sandbox_fusion.url", (None,), "no reward here runs an answer's code")
        for place in ("", "reward.")
    ),
    Unused("data.truncation", ("error",), "a prompt that is too long is refused before the run starts"),
    Unused("data.filter_overlong_prompts_workers", (1,), "lengths come from the rows, in seconds; leave it out"),
    Unused("data.image_patch_size", (14,), _PROCESSOR_DECIDES),
    Unused("data.return_raw_chat", (True,), _NOBODY_READS),
    Unused("data.return_raw_input_ids", (False,), _NOBODY_READS),
    Unused("data.return_full_prompt", (False,), _NOBODY_READS),
    Unused("data.return_multi_modal_inputs", (True,), _NOBODY_READS),
    Unused("data.reward_fn_key", ("data_source",), _NO_REWARD_FUNCTION),
    Unused(
        "data.apply_chat_template_kwargs",
        ({},),
        "calibration and evaluation would not follow: write it into the model's folder (chat_template.jinja)",
    ),
    Unused("trainer.use_v1", (True,), "this recipe is for verl's V1 trainer"),
    Unused("trainer.balance_batch", (True,), "verl's V1 trainer always balances"),
    Unused(
        "trainer.val_only",
        (False,),
        "verl reads it after trainer.val_before_train alone: set that too, or use medgrpo evaluate",
        lambda config: not config.trainer.val_before_train,
    ),
    Unused("trainer.ray_wait_register_center_timeout", (300,), _NOBODY_READS),
    Unused("trainer.esi_redundant_time", (0,), _NOBODY_READS),
)
UNUSED_IN_SFT = (
    Unused("data.truncation", ("error",), "a row that is too long is refused before the first step"),
    Unused("data.pad_mode", ("no_padding",), "rows are not padded"),
    Unused("data.ignore_input_ids_mismatch", (False,), "a row's tokens are made in one piece; leave it out"),
    Unused("data.balance_dp_token", (False,), "verl's SFT trainer reads it nowhere; leave it out"),
    Unused("data.tools_key", ("tools",), "rows have no tools"),
    Unused("data.enable_thinking_key", ("enable_thinking",), "rows have no such column"),
    Unused("data.enable_thinking_default", ("none", None), "the chat template of the model decides"),
    Unused("data.apply_chat_template_kwargs", ({},), "the rollout of RL would not follow; leave it out"),
    _micro_batch("data", "micro_batch_size_per_gpu", "use_dynamic_bsz", "data.max_token_len_per_gpu", unset=4),
    Unused(
        "model.lora_rank",
        (0,),
        _LORA_EXPORT.format("checkpoint"),
        lambda config: "hf_model" in config.checkpoint.save_contents,
    ),
    Unused("model.lora.rank", (0,), "it is Megatron's: set model.lora_rank"),
)


def refuse_unused(config: DictConfig, keys: tuple[Unused, ...]) -> None:
    """Raise if a key is set that this run would not follow; ``keys`` are UNUSED for RL, UNUSED_IN_SFT for SFT."""
    complaints = []
    for key, harmless, instead, when in keys:
        value = OmegaConf.select(config, key)
        if value not in harmless and when(config):
            complaints.append(f"{key}={value} cannot be followed: {instead}")
    if complaints:
        raise SetupError("\n".join(complaints))
