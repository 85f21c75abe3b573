# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Prompt lengths without decoding a pixel: media tokens from the row, text tokens only where they can matter.

verl 0.9.1's filter decodes the media of every row. Here ``extra_info.num_tokens`` says what the media cost, and a text
never has more tokens than bytes (byte-level BPE), so nearly every row is seen to fit without being tokenized.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

# "<1799.5 seconds>" and the two vision marks around each temporal step of a Qwen3-VL clip, as bytes.
TIMESTAMP_BYTES = 18


def fitting(dataframe, max_length: int, build: Callable[[dict], list[dict]], processor) -> np.ndarray:
    """Indices of the rows of ``dataframe`` (a ``datasets.Dataset``) whose prompt has at most ``max_length`` tokens.

    Args:
        build: the messages of a row, media in place, as the rollout gets them.

    Raises:
        ValueError: a row does not state its media tokens.
    """
    media, bound = _bounds(dataframe, build, processor)
    fits = bound <= max_length
    for index in np.flatnonzero(~fits):
        row = dataframe[int(index)]
        fits[index] = prompt_length(build(row), int(media[index]), processor) <= max_length
    return np.flatnonzero(fits)


def longest(dataframe, build: Callable[[dict], list[dict]], processor) -> tuple[int, int]:
    """Row and exact length of the longest prompt of a ``datasets.Dataset`` that is not empty; see :func:`fitting`."""
    media, bound = _bounds(dataframe, build, processor)
    found, most = 0, 0
    for index in np.argsort(-bound, kind="stable"):
        if bound[index] <= most:
            break
        length = prompt_length(build(dataframe[int(index)]), int(media[index]), processor)
        if length > most:
            found, most = int(index), length
    return found, most


def _bounds(dataframe, build, processor) -> tuple[np.ndarray, np.ndarray]:
    """Media tokens of each row, and an upper bound of its prompt's tokens."""
    table = dataframe.select_columns(["prompt", "extra_info"]).with_format("arrow")[:]
    info = table["extra_info"].combine_chunks()
    media = info.field("num_tokens")
    if media.null_count:
        row = int(np.flatnonzero(media.is_null().to_numpy(zero_copy_only=False))[0])
        raise ValueError(f"row {row}: extra_info.num_tokens is empty; write the file anew with data_preprocess")
    media = media.to_numpy()
    empty = len(_text_ids(build({"prompt": [{"role": "user", "content": ""}]}), processor))
    bound = media + _text_bytes(table["prompt"].combine_chunks(), empty)
    # Image rows have no frames, and no times in their prompts.
    if type(processor).__name__ == "Qwen3VLProcessor" and "num_frames" in [field.name for field in info.type]:
        bound = bound + (info.field("num_frames").to_numpy() // 2 + 1) * TIMESTAMP_BYTES
    return media, bound


def prompt_length(messages: list[dict], media_tokens: int, processor) -> int:
    """Exact number of tokens of a prompt whose media become ``media_tokens`` placeholders."""
    ids = _text_ids(messages, processor)
    return len(ids) - sum(ids.count(token) for token in _placeholders(processor)) + media_tokens


def _text_ids(messages: list[dict], processor) -> list[int]:
    from data_preprocess.media.token_count import timestamps

    text = processor.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
    if type(processor).__name__ == "Qwen3VLProcessor":
        clip = f"{processor.vision_start_token}{processor.video_token}{processor.vision_end_token}"
        parts = (part for message in messages for part in message["content"] if not isinstance(part, str))
        for part in parts:
            if part["type"] == "video":
                times = timestamps(len(part["video"]), part["sample_fps"])
                text = text.replace(clip, "".join(f"<{time:.1f} seconds>\0" for time in times), 1)
        text = text.replace("\0", clip)
    return processor.tokenizer(text, add_special_tokens=False)["input_ids"]


def _placeholders(processor) -> list[int]:
    return [processor.image_token_id, processor.video_token_id]


def _text_bytes(prompts, empty: int) -> np.ndarray:
    """Upper bound of each prompt's text tokens; ``empty`` are those of a turn without words."""
    import pyarrow.compute as pc

    turns = np.diff(prompts.offsets.to_numpy())
    lengths = pc.binary_length(prompts.flatten().field("content")).to_numpy(zero_copy_only=False)
    total = np.concatenate([[0], np.cumsum(lengths)])
    ends = np.cumsum(turns)
    return total[ends] - total[ends - turns] + empty * turns
