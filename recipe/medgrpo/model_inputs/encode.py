# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""A prompt's messages as token ids and pixels, by the code of verl's rollout."""

from types import SimpleNamespace

from verl.utils.dataset.rl_dataset import RLHFDataset
from verl.utils.tokenizer import build_multimodal_processor_inputs

from recipe.medgrpo.model_inputs import media_cache

#: Frames reach the processor at their final size (the row's pixel budget); a second resize would undo it.
MM_PROCESSOR_KWARGS = {"do_resize": False}
DEFAULT_MEDIA = media_cache.MediaOptions()


def with_media(messages: list[dict], row: dict) -> list[dict]:
    """Replace ``<image>`` and ``<video>`` in string contents by the row's media, as verl does for its rollout."""
    keys = SimpleNamespace(image_key="images", video_key="videos", audio_key="audios", processor=True)
    row = {**row, "messages": [dict(message) for message in messages]}
    return RLHFDataset._build_messages(keys, row, key="messages")


def load_media(
    messages: list[dict], patch_size: int, options: media_cache.MediaOptions = DEFAULT_MEDIA
) -> tuple[list | None, list | None]:
    """Images (PIL) and videos of ``messages``, decoded or from this process's cache. They are shared: do not write.

    A video is a pair of uint8 frames (frames, 3, height, width) and metadata with the fps.
    """
    cache, items = media_cache.cache_of(options), media_cache.items_of(messages)
    futures = [cache.submit(item, patch_size) for item in items]
    return media_cache.split(items, [future.result() for future in futures])


def encode(processor, messages: list[dict], images: list | None, videos: list | None) -> dict:
    """The processor's inputs for a prompt (``messages`` end with the user's turn), batch dimension 1."""
    text = processor.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
    return build_multimodal_processor_inputs(
        processor, text=[text], images=images, videos=videos, mm_processor_kwargs=MM_PROCESSOR_KWARGS
    )


def positions_of(processor, inputs: dict):
    """Positions of the processor's ``inputs`` (3, 1, L): time, height and width, as verl's agent loop has them."""
    positions, _ = processor.get_rope_index(
        input_ids=inputs["input_ids"],
        image_grid_thw=inputs.get("image_grid_thw"),
        video_grid_thw=inputs.get("video_grid_thw"),
        **processor.get_rope_index_kwargs(inputs),
    )
    return positions
