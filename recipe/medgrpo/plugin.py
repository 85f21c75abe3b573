# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Entry points of verl and vLLM: which patch is applied to which module.

verl imports this module in the driver and in every Ray worker (entry point ``verl.plugins``); vLLM calls
:func:`register_vllm` in each of its processes (``vllm.general_plugins``). Nothing heavy is imported here: a patch is
applied when the module it changes is first imported. Everything that this recipe changes in verl 0.9.1 and vLLM is in
trainer/verl_patches.py and cpu/patches.py, one function each, with the reason. Each has a test in tests/recipe
(test_plugin_on_cpu.py, or next to the code it serves) that fails once upstream no longer needs it.
"""

import wrapt

from recipe.medgrpo.cpu import patches
from recipe.medgrpo.trainer import verl_patches


def register_verl() -> None:
    """Arrange every verl patch; runs when this module is imported, that is when verl loads its plugins."""
    wrapt.register_post_import_hook(verl_patches.bind_true_positions, "verl.utils.tokenizer.tokenizer")
    wrapt.register_post_import_hook(verl_patches.share_processed_videos, "transformers.video_processing_utils")
    wrapt.register_post_import_hook(verl_patches.share_processed_images, "transformers.image_processing_utils")
    wrapt.register_post_import_hook(verl_patches.fix_text_only_micro_batch, "verl.models.transformers.qwen2_vl")
    wrapt.register_post_import_hook(verl_patches.fix_uniform_lengths, "verl.utils.tensordict_utils")
    wrapt.register_post_import_hook(verl_patches.give_gdpo_its_rewards, "verl.trainer.ppo.v1.trainer_base")
    wrapt.register_post_import_hook(verl_patches.tell_sampler_the_sources, "verl.trainer.ppo.v1.trainer_base")
    wrapt.register_post_import_hook(verl_patches.collapse_qwen3_vl_videos, "verl.workers.rollout.utils")
    wrapt.register_post_import_hook(verl_patches.resume_sft_after_an_epoch, "verl.utils.checkpoint.checkpoint_handler")
    wrapt.register_post_import_hook(
        verl_patches.register_reward_manager, "verl.experimental.reward_loop.reward_manager.registry"
    )
    if patches.on_cpu():
        import recipe.medgrpo.cpu.platform  # noqa: F401  (registers itself)

        patches.answer_for_vllm_cpu()
        wrapt.register_post_import_hook(patches.use_gloo, "verl.utils.distributed")
        wrapt.register_post_import_hook(patches.register_cpu_engine, "verl.workers.engine.fsdp.transformer_impl")
        wrapt.register_post_import_hook(patches.offload_without_pinning, "verl.workers.engine.fsdp.transformer_impl")
        wrapt.register_post_import_hook(patches.attend_without_flash_attention, "transformers.modeling_utils")
        wrapt.register_post_import_hook(patches.complete_flash_attention, "verl.models.transformers.qwen2_vl")
        wrapt.register_post_import_hook(patches.exchange_over_gloo, "verl.utils.ulysses")
        wrapt.register_post_import_hook(
            patches.copy_received_weights, "verl.workers.rollout.vllm_rollout.bucketed_weight_transfer"
        )


def register_vllm() -> None:
    """Called by vLLM in each of its processes."""
    from vllm import ModelRegistry

    ModelRegistry.register_model(
        "Qwen2_5_VLForConditionalGeneration",
        "recipe.medgrpo.model_inputs.vllm_qwen2_5_vl:TimedQwen2_5_VLForConditionalGeneration",
    )
    if patches.on_cpu():
        wrapt.register_post_import_hook(patches.keep_weights_loadable, "vllm.model_executor.layers.utils")


register_verl()
