# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""One rule for the 3-axis rotary positions (M-RoPE) of a video prompt, used by SFT, training and rollout alike.

It is vLLM's (``get_mrope_input_positions``): the temporal position of grid step ``t`` is ``int(t * second_per_grid_ts *
tokens_per_second)`` past the end of the preceding text. Text resumes one past the largest position of the video.
Qwen2-VL has no time step. Qwen3-VL and Qwen3.5 write the times as text between the steps of a clip, so each step is a
picture of its own. test_mrope.py shows what verl 0.9.1 and transformers 5.9.0 compute instead.
"""

from collections.abc import Sequence

import numpy as np
import torch

#: Processor classes whose positions follow the rule; Qwen3.5 has Qwen3-VL's. Others keep what verl binds.
MROPE_PROCESSORS = ("Qwen2VLProcessor", "Qwen2_5_VLProcessor", "Qwen3VLProcessor")


def mrope_positions(
    input_ids: Sequence[int],
    *,
    image_token_id: int,
    video_token_id: int,
    spatial_merge_size: int,
    tokens_per_second: float,
    image_grid_thw: Sequence[Sequence[int]] = (),
    video_grid_thw: Sequence[Sequence[int]] = (),
    second_per_grid_ts: Sequence[float] | None = None,
) -> np.ndarray:
    """Positions of one unpadded sequence.

    Args:
        input_ids: token ids, placeholders expanded; length L.
        image_grid_thw, video_grid_thw: one (t, h, w) per image / video, in patches, in prompt order.
        second_per_grid_ts: seconds between temporal grid steps, one per video; 1.0 where unknown.

    Returns:
        int64 array of shape (3, L): temporal, height and width positions.

    Raises:
        ValueError: the placeholders do not match the grids.
    """
    ids = np.asarray(input_ids)
    images, videos = iter(image_grid_thw), iter(video_grid_thw)
    seconds = iter(second_per_grid_ts if second_per_grid_ts is not None else [1.0] * len(video_grid_thw))
    is_media = (ids == image_token_id) | (ids == video_token_id)
    pieces, start, next_position = [], 0, 0
    while start < len(ids):
        media = np.flatnonzero(is_media[start:])
        text_len = int(media[0]) if len(media) else len(ids) - start
        if text_len:
            pieces.append(np.broadcast_to(np.arange(text_len), (3, text_len)) + next_position)
            next_position += text_len
            start += text_len
        if not len(media):
            break
        is_video = ids[start] == video_token_id
        grid = next(videos if is_video else images, None)
        if grid is None:
            raise ValueError(f"token {start} starts a {'video' if is_video else 'image'} for which no grid was given")
        t, h, w = (int(n) for n in grid)
        index = np.indices((t, h // spatial_merge_size, w // spatial_merge_size))
        if is_video:
            index[0] = (index[0] * (float(next(seconds)) * tokens_per_second)).astype(np.int64)
        block = index.reshape(3, -1)
        end = start + block.shape[1]
        if end > len(ids) or not (ids[start:end] == ids[start]).all():
            raise ValueError(f"token {start}: grid {t}x{h}x{w} needs {block.shape[1]} placeholders, fewer were found")
        pieces.append(block + next_position)
        next_position = int(pieces[-1].max()) + 1
        start = end
    if next(images, None) is not None or next(videos, None) is not None:
        raise ValueError("more image or video grids than placeholders in the prompt")
    return np.concatenate(pieces, axis=1) if pieces else np.zeros((3, 0), dtype=np.int64)


def get_rope_index(
    processor,
    input_ids: torch.Tensor,
    attention_mask: torch.Tensor | None = None,
    image_grid_thw: torch.Tensor | None = None,
    video_grid_thw: torch.Tensor | None = None,
    second_per_grid_ts: torch.Tensor | None = None,
    mm_token_type_ids: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """:func:`mrope_positions` as verl's agent loop calls ``processor.get_rope_index``, for inputs of shape (1, L).

    Returns:
        positions of shape (3, 1, L), with 1 at padding as in transformers, and the decode offset of shape (1, 1).
    """
    if input_ids.shape[0] != 1:
        raise ValueError(f"one sequence at a time, got input_ids of shape {tuple(input_ids.shape)}")
    config = processor.config
    valid = torch.ones_like(input_ids[0], dtype=torch.bool) if attention_mask is None else attention_mask[0].bool()
    videos = () if video_grid_thw is None else video_grid_thw.tolist()
    if config.model_type.startswith(("qwen3_vl", "qwen3_5")):
        videos = [(1, h, w) for t, h, w in videos for _ in range(t)]
    found = mrope_positions(
        input_ids[0][valid].tolist(),
        image_token_id=config.image_token_id,
        video_token_id=config.video_token_id,
        spatial_merge_size=config.vision_config.spatial_merge_size,
        tokens_per_second=getattr(config.vision_config, "tokens_per_second", 1.0),
        image_grid_thw=() if image_grid_thw is None else image_grid_thw.tolist(),
        video_grid_thw=videos,
        second_per_grid_ts=None if second_per_grid_ts is None else torch.as_tensor(second_per_grid_ts).tolist(),
    )
    positions = torch.ones((3, 1, input_ids.shape[1]), dtype=input_ids.dtype)
    positions[:, 0, valid] = torch.from_numpy(found).to(input_ids.dtype)
    delta = found.max() + 1 - found.shape[1] if found.size else 0
    return positions, torch.tensor([[delta]])


def get_rope_index_kwargs(multi_modal_inputs: dict) -> dict:
    """What verl's hook ``processor.get_rope_index_kwargs`` adds to the call: the true time step of each video."""
    seconds = multi_modal_inputs.get("second_per_grid_ts")
    return {} if seconds is None else {"second_per_grid_ts": seconds}
