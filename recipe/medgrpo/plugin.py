# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Entry points of verl and vLLM: which patch is applied to which module, if ``MEDGRPO_PLUGIN=1`` is set.

verl imports this module in the driver and in every Ray worker (``verl.plugins``), and vLLM calls :func:`register_vllm`
in each of its processes (``vllm.general_plugins``), for every run of the environment: hence the variable. Nothing heavy
is imported here: a patch is applied when its module is first imported.
"""

import os

import wrapt

from recipe.medgrpo import PLUGIN
from recipe.medgrpo.cpu import patches
from recipe.medgrpo.trainer import verl_patches

#: Module -> what is done to it when it is imported.
PATCHES = (
    ("verl.utils.tokenizer.tokenizer", verl_patches.bind_true_positions),
    ("transformers.video_processing_utils", verl_patches.share_processed_videos),
    ("transformers.image_processing_utils", verl_patches.share_processed_images),
    ("verl.experimental.agent_loop.agent_loop", verl_patches.send_no_pixels),
    ("verl.utils.model", verl_patches.make_pixels),
    ("verl.workers.rollout.vllm_rollout.vllm_rollout", verl_patches.name_sender_by_cluster),
    ("verl.workers.rollout.vllm_rollout.vllm_async_server", verl_patches.name_receiver_by_cluster),
    ("verl.models.transformers.qwen2_vl", verl_patches.fix_text_only_micro_batch),
    ("verl.models.transformers.qwen3_5", verl_patches.end_delta_nets_with_their_sequence),
    ("verl.utils.tensordict_utils", verl_patches.fix_uniform_lengths),
    ("verl.trainer.ppo.metric_utils", verl_patches.draw_all_samples_at_once),
    ("verl.trainer.ppo.v1.trainer_base", verl_patches.give_gdpo_its_rewards),
    ("verl.trainer.ppo.v1.trainer_base", verl_patches.tell_sampler_the_sources),
    ("verl.workers.rollout.utils", verl_patches.collapse_qwen3_vl_videos),
    ("verl.workers.engine_workers", verl_patches.freeze_vision_tower),
    ("verl.utils.checkpoint.checkpoint_handler", verl_patches.resume_sft_after_an_epoch),
    ("verl.experimental.reward_loop.reward_manager.registry", verl_patches.register_reward_manager),
)
CPU_PATCHES = (
    ("verl.utils.distributed", patches.use_gloo),
    ("verl.workers.engine.fsdp.transformer_impl", patches.register_cpu_engine),
    ("verl.workers.engine.fsdp.transformer_impl", patches.offload_without_pinning),
    ("transformers.modeling_utils", patches.attend_without_flash_attention),
    ("verl.models.transformers.qwen2_vl", patches.complete_flash_attention),
    ("verl.utils.ulysses", patches.exchange_over_gloo),
    ("verl.workers.rollout.vllm_rollout.bucketed_weight_transfer", patches.copy_received_weights),
)
VLLM_CPU_PATCHES = (
    ("vllm.model_executor.layers.utils", patches.keep_weights_loadable),
    ("vllm.model_executor.layers.mamba.ops.cpu.gdn_attention", patches.compute_delta_nets_in_torch),
    ("vllm.v1.worker.mamba_utils", patches.copy_states_without_triton),
)


def chosen() -> bool:
    """Whether this process is one of this recipe's."""
    return os.environ.get(PLUGIN) == "1"


def register_verl() -> None:
    """Arrange every verl patch; runs when this module is imported, that is when verl loads its plugins."""
    for module, patch in PATCHES:
        wrapt.register_post_import_hook(patch, module)
    if patches.on_cpu():
        import recipe.medgrpo.cpu.platform  # noqa: F401  (registers itself)

        patches.answer_for_vllm_cpu()
        for module, patch in CPU_PATCHES:
            wrapt.register_post_import_hook(patch, module)


def register_vllm() -> None:
    """Called by vLLM in each of its processes."""
    if not chosen():
        return
    from vllm import ModelRegistry

    ModelRegistry.register_model(
        "Qwen2_5_VLForConditionalGeneration",
        "recipe.medgrpo.model_inputs.vllm_qwen2_5_vl:TimedQwen2_5_VLForConditionalGeneration",
    )
    if patches.on_cpu():
        for module, patch in VLLM_CPU_PATCHES:
            wrapt.register_post_import_hook(patch, module)


if chosen():
    register_verl()
