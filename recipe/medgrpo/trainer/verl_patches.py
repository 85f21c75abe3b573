# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""What every run changes in verl 0.9.1, one function each, with the reason; plugin.py says which module each is for.

docs/upstream.md names for each what upstream says, and the test that fails once upstream no longer needs it.
"""

import functools
import inspect
import os
import sys


def replace(owner, name: str):
    """Decorator: the function takes the place of ``owner.name``, which it gets as its first argument."""

    def install(function):
        original = getattr(owner, name)

        @functools.wraps(original)
        def replacement(*args, **kwargs):
            return function(original, *args, **kwargs)

        setattr(owner, name, replacement)

    return install


def bind_true_positions(tokenizer_module) -> None:
    """verl 0.9.1 binds transformers' ``get_rope_index`` to the processor and calls it without the clip's fps.

    transformers 5.9.0 also truncates seconds and lets text resume below the largest position of a long clip; vLLM does
    neither (model_inputs/mrope.py). The processor's turn format is without thinking, as in every other command.
    """
    stock = tokenizer_module.hf_processor

    @replace(tokenizer_module, "hf_processor")
    def hf_processor(original, *args, **kwargs):
        from recipe.medgrpo.model_inputs import mrope, prompt_templates

        processor = original(*args, **kwargs)
        if type(processor).__name__ in mrope.MROPE_PROCESSORS:
            processor.get_rope_index = functools.partial(mrope.get_rope_index, processor)
            processor.get_rope_index_kwargs = mrope.get_rope_index_kwargs
            prompt_templates.use_chat_template(processor)
        return processor

    # verl.utils re-exports the function before it loads its plugins.
    for module in (sys.modules.get("verl.utils.tokenizer"), sys.modules.get("verl.utils")):
        if getattr(module, "hf_processor", None) is stock:
            module.hf_processor = tokenizer_module.hf_processor


def share_processed_videos(video_processing_utils) -> None:
    """verl 0.9.1 runs the processor on the same clip three times per sample (prompt, reward, training inputs), so 24
    times for a group of eight. Clips of recipe/medgrpo/model_inputs/media_cache.py go through once.
    """
    from recipe.medgrpo.model_inputs import media_cache

    cls = video_processing_utils.BaseVideoProcessor
    cls.__call__ = media_cache.share_features(cls.__call__, "videos")


def share_processed_images(image_processing_utils) -> None:
    """As :func:`share_processed_videos`, for images."""
    from recipe.medgrpo.model_inputs import media_cache

    cls = image_processing_utils.BaseImageProcessor
    cls.__call__ = media_cache.share_features(cls.__call__, "images")


def send_no_pixels(agent_loop_module) -> None:
    """verl 0.9.1 puts a clip's processed pixels into TransferQueue with every answer, in float32, and the trainer gets
    them twice: 138 MiB for 7,680 tokens. A second copy goes with them, made for SGLang and needed by a teacher alone.
    What they are made of goes instead (model_inputs/pixels.py).
    """

    @replace(agent_loop_module.AgentLoopWorker, "_compute_multi_modal_inputs")
    def _compute_multi_modal_inputs(original, self, output, input_ids):
        from recipe.medgrpo.model_inputs.pixels import without_pixels

        if not self.distillation_enabled:
            output.mm_processor_output = None
        return without_pixels(original(self, output, input_ids))


def make_pixels(model_module) -> None:
    """The other end of :func:`send_no_pixels`, for SFT too: pixels are made for one micro-batch at a time."""

    @replace(model_module, "extract_multi_modal_inputs")
    def extract_multi_modal_inputs(original, batch_data, indices=None):
        from verl.utils.device import get_device_id, get_device_name

        from recipe.medgrpo.model_inputs.pixels import with_pixels

        device = None if get_device_name() == "cpu" else f"{get_device_name()}:{get_device_id()}"
        rows = (getattr(row, "data", row) for row in batch_data)
        return original([with_pixels(row, device) for row in rows], indices)


def name_sender_by_cluster(vllm_rollout_module) -> None:
    """verl 0.9.1 names the socket that new weights go through by the number of the Ray job. A Ray that a run starts
    itself counts from 1, so two runs on one machine take each other's socket, and hang at some step. The address of the
    run's own Ray comes to the number.
    """

    @replace(vllm_rollout_module.ServerAdapter, "__init__")
    def __init__(original, self, *args, **kwargs):
        original(self, *args, **kwargs)
        self.zmq_handle = self.zmq_handle.replace("-replica-", f"-{_cluster()}-replica-")


def name_receiver_by_cluster(vllm_async_server_module) -> None:
    """The other end of :func:`name_sender_by_cluster`: vLLM's process has the job's number from this variable."""

    @replace(vllm_async_server_module.vLLMHttpServer, "__init__")
    def __init__(original, self, *args, **kwargs):
        original(self, *args, **kwargs)
        os.environ["VERL_RAY_JOB_ID"] += f"-{_cluster()}"


def _cluster() -> str:
    import ray

    return ray.get_runtime_context().gcs_address.replace(":", "-")


def fix_text_only_micro_batch(qwen2_vl_module) -> None:
    """verl 0.9.1, ``_get_input_embeds``: for a micro-batch without vision it calls ``.mean()`` on the vision tower's
    output, which transformers 5 returns as an object; the other branches unpack it. Dropping a trajectory pads the
    batch with such sequences, so a failed reward would end the run with an AttributeError.
    """

    @replace(qwen2_vl_module, "_get_input_embeds")
    def _get_input_embeds(
        original, model, input_ids, attention_mask=None, pixel_values=None, pixel_values_videos=None, *args, **kwargs
    ):
        if pixel_values is not None or pixel_values_videos is not None:
            return original(model, input_ids, attention_mask, pixel_values, pixel_values_videos, *args, **kwargs)
        import torch

        vision = model.config.vision_config
        patch_dim = vision.in_channels * vision.temporal_patch_size * vision.patch_size**2
        embeds = model.get_input_embeddings()(input_ids)
        blank = torch.zeros((16, patch_dim), dtype=model.visual.dtype, device=embeds.device)
        grid = torch.tensor([[1, 4, 4]], dtype=torch.long, device=embeds.device)
        features, _ = qwen2_vl_module.unpack_visual_output(model.visual(blank, grid_thw=grid))
        # Zero times the features keeps the vision tower in the graph: every FSDP rank must run the same collectives.
        return embeds + 0.0 * features.mean(), attention_mask


def fix_uniform_lengths(tensordict_utils) -> None:
    """TransferQueue 0.1.11 packs the position ids of a batch with ``as_nested_tensor``, which takes the axis of size 4
    for the ragged one when all sequences are equally long; verl 0.9.1's ``maybe_fix_3d_position_ids`` then only
    relabels it, and the next ``unbind`` fails. Short answers on clips of one size meet it, on GPUs too.
    """

    @replace(tensordict_utils, "maybe_fix_3d_position_ids")
    def maybe_fix_3d_position_ids(original, data):
        positions = data["position_ids"] if "position_ids" in data.keys() else None
        if positions is not None and positions.is_nested and positions.dim() == 3:
            values, offsets = positions.values(), positions.offsets()
            # As it should be, values are (4, tokens) and offsets count tokens; packed wrongly, (4 * batch, length).
            if int(offsets[-1]) == values.shape[0]:
                rows = list(values.split(offsets.diff().tolist()))
                data["position_ids"] = tensordict_utils.nested_tensor_from_tensor_list(rows, ragged_idx=2)
                return
        original(data)


def give_gdpo_its_rewards(trainer_module) -> None:
    """verl 0.9.1's V1 trainer computes advantages without the reward's components, so ``adv_estimator=gdpo`` stops at
    the first step. They are read from the queue; a component that a task lacks (NaN) counts as 0 for the whole group,
    which adds no advantage.
    """

    @replace(trainer_module, "compute_advantage_for_multi_trajectories")
    def compute_advantage(original, data, batch_keys, adv_estimator, *args, config=None, **kwargs):
        if adv_estimator == "gdpo":
            import numpy as np

            found = trainer_module.tq.kv_batch_get(
                keys=batch_keys, partition_id="train", select_fields=["extra_fields"]
            )
            scores = [extra["reward_extra_info"] for extra in found["extra_fields"]]
            for key in config.gdpo_reward_keys:
                data.non_tensor_batch[key] = np.nan_to_num(np.array([score[key] for score in scores], dtype=float))
            mask = data.batch["response_mask"]
            # The estimator looks for the last token of the answer behind the prompt; here rows hold answers alone.
            data.batch["prompts"], data.batch["attention_mask"] = mask[:, :0], mask
        return original(data, batch_keys, adv_estimator, *args, config=config, **kwargs)


def draw_all_samples_at_once(metric_utils) -> None:
    """verl 0.9.1's validation of several answers per row estimates best and worst of n by 1,000 draws for each row and
    each value that the reward returns, with a call of numpy for each draw: of 400 rows with two answers of 20 values,
    81 processor seconds. The same draws, reduced in one call, take 2.
    """

    @replace(metric_utils, "bootstrap_metric")
    def bootstrap_metric(original, data, subset_size, reduce_fns, n_bootstrap=1000, seed=42):
        import numpy as np

        # A majority vote is no function of an array.
        if not all(function in (np.max, np.min) for function in reduce_fns):
            return original(data, subset_size, reduce_fns, n_bootstrap, seed)
        np.random.seed(seed)
        drawn = np.random.choice(len(data), size=(n_bootstrap, subset_size), replace=True)
        samples = np.array(data, dtype=np.float64)[drawn]
        results = (function(samples, axis=1) for function in reduce_fns)
        return [(float(np.mean(result)), float(np.std(result))) for result in results]


def tell_sampler_the_sources(trainer_module) -> None:
    """verl 0.9.1's V1 trainer registers a prompt by its id alone, so a sampler does not know which source and task lost
    a prompt whose answers all failed.
    """

    @replace(trainer_module.PPOTrainer, "_submit_batch_to_rollout")
    def _submit_batch_to_rollout(original, self, batch):
        if submitted := getattr(self.replay_buffer, "submitted", None):
            submitted(batch["uid"], batch["data_source"])
        return original(self, batch)


def collapse_qwen3_vl_videos(rollout_utils) -> None:
    """verl 0.9.1 hands vLLM a Qwen3-VL clip with one placeholder per step and the times already written; vLLM expands
    the first placeholder into the whole clip and leaves the rest, so the rollout reads the times twice and the trainer
    reads another prompt.
    """

    @replace(rollout_utils, "qwen2_5_vl_dedup_image_tokens")
    def qwen2_5_vl_dedup_image_tokens(original, prompt_ids, processor):
        from recipe.medgrpo.model_inputs.qwen3_vl import collapse_videos

        prompt_ids = original(prompt_ids, processor)
        return collapse_videos(prompt_ids, processor) if type(processor).__name__ == "Qwen3VLProcessor" else prompt_ids


def end_delta_nets_with_their_sequence(qwen3_5_module) -> None:
    """verl 0.9.1 tells the delta-net layers of Qwen3.5 where each sequence of a packed row ends, if their kernel takes
    such an argument. transformers' own, in use without flash-linear-attention, takes any and ignores it: each sequence
    then goes on from the one before it. Only a kernel that names the argument gets it; others get single sequences.
    """

    @replace(qwen3_5_module, "_call_accepts_kwarg")
    def _call_accepts_kwarg(original, function, name):
        return name in inspect.signature(function).parameters


def freeze_vision_tower(engine_workers) -> None:
    """verl 0.9.1 has ``actor.freeze_vision_tower`` in its configuration and reads it nowhere. Here the vision tower and
    its projection get no gradients: FSDP is told before it wraps the model.
    """

    @replace(engine_workers.ActorRolloutRefWorker, "init_model")
    def init_model(original, self):
        if not self.config.actor.get("freeze_vision_tower", False):
            return original(self)
        from verl.workers.engine.fsdp.transformer_impl import FSDPEngine

        build = FSDPEngine._build_fsdp_module

        def build_frozen(engine, module):
            tower = [parameter for name, parameter in module.named_parameters() if ".visual." in f".{name}"]
            if not tower:
                raise ValueError("actor.freeze_vision_tower: this model has no part `visual`")
            for parameter in tower:
                parameter.requires_grad_(False)
            return build(engine, module)

        FSDPEngine._build_fsdp_module = build_frozen
        try:
            return original(self)
        finally:
            FSDPEngine._build_fsdp_module = build


def resume_sft_after_an_epoch(checkpoint_handler) -> None:
    """verl 0.9.1's SFT trainer saves the dataloader's state inside its loop, so that of an epoch's last batch is an
    iterator about to end. Loaded, it gives no batch, yet counts as the next epoch, and the run ends one epoch short
    without an error. Where an epoch has ended, the next one begins with a fresh iterator.
    """

    @replace(checkpoint_handler.CheckpointHandler, "_load_dataloader_state")
    def _load_dataloader_state(original, self, checkpoint_path):
        if checkpoint_handler.extract_step(checkpoint_path) % len(self.train_dataloader):
            original(self, checkpoint_path)


def register_reward_manager(registry_module) -> None:
    """``reward.reward_manager.name=medgrpo``: verl 0.9.1 knows its own managers alone by a name; its other way
    (``source=importlib``) would need two more keys wherever the manager is chosen.
    """
    import recipe.medgrpo.trainer.reward_manager  # noqa: F401  (registers itself)
