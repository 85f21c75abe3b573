# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Prompt lengths without decoding a pixel: ``extra_info.num_tokens`` says what the media cost, and a text never has
more tokens than bytes (byte-level BPE), so nearly every row is seen to fit without being tokenized.
"""

from collections.abc import Callable

import numpy as np
import pyarrow.compute as pc

from data_preprocess.media.token_count import timestamps

# "<1799.5 seconds>" and the two vision marks around each temporal step of a Qwen3-VL clip, as bytes.
TIMESTAMP_BYTES = 18


class PromptLengths:
    """Tokens of the prompts of a ``datasets.Dataset``: an upper bound of each at once, the exact number on demand.

    ``build`` makes a row's messages, media in place, as the rollout gets them.
    """

    def __init__(self, rows, build: Callable[[dict], list[dict]], processor) -> None:
        self.rows, self.build, self.processor = rows, build, processor
        table = rows.select_columns(["prompt", "extra_info"]).with_format("arrow")[:]
        prompts, info = (table[name].combine_chunks() for name in ("prompt", "extra_info"))
        media = info.field("num_tokens")
        if media.null_count:
            row = pc.index(media.is_null(), True).as_py()
            raise ValueError(f"row {row}: extra_info.num_tokens is empty; write the file anew with data_preprocess")
        self.media = media.to_numpy()
        empty = len(_text_ids(build({"prompt": [{"role": "user", "content": ""}]}), processor))
        self.bounds = self.media + _text_bytes(prompts, empty)
        # Image rows have no frames, and no times in their prompts.
        if _writes_times(processor) and "num_frames" in [field.name for field in info.type]:
            self.bounds = self.bounds + (info.field("num_frames").to_numpy() // 2 + 1) * TIMESTAMP_BYTES

    def __getitem__(self, index: int) -> int:
        return prompt_length(self.build(self.rows[index]), int(self.media[index]), self.processor)

    def above(self, limit: int) -> dict[int, int]:
        """Number and length of each row whose prompt has more than ``limit`` tokens."""
        lengths = {index: self[index] for index in np.flatnonzero(self.bounds > limit).tolist()}
        return {index: length for index, length in lengths.items() if length > limit}

    def longest(self) -> tuple[int, int]:
        """Number and length of the row with the longest prompt; there must be a row."""
        found, most = 0, 0
        for index in np.argsort(-self.bounds, kind="stable").tolist():
            if self.bounds[index] <= most:
                break
            if (length := self[index]) > most:
                found, most = index, length
        return found, most


def prompt_length(messages: list[dict], media_tokens: int, processor) -> int:
    """Exact number of tokens of a prompt whose media become ``media_tokens`` placeholders."""
    ids = _text_ids(messages, processor)
    return len(ids) + media_tokens - ids.count(processor.image_token_id) - ids.count(processor.video_token_id)


def _text_ids(messages: list[dict], processor) -> list[int]:
    text = processor.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
    if _writes_times(processor):
        clip = f"{processor.vision_start_token}{processor.video_token}{processor.vision_end_token}"
        parts = (part for message in messages for part in message["content"] if not isinstance(part, str))
        for part in parts:
            if part["type"] == "video":
                times = timestamps(len(part["video"]), part["sample_fps"])
                text = text.replace(clip, "".join(f"<{time:.1f} seconds>\0" for time in times), 1)
        text = text.replace("\0", clip)
    return processor.tokenizer(text, add_special_tokens=False)["input_ids"]


def _writes_times(processor) -> bool:
    return type(processor).__name__ == "Qwen3VLProcessor"


def _text_bytes(prompts, empty: int) -> np.ndarray:
    """Upper bound of each prompt's text tokens; ``empty`` are those of a turn without words."""
    lengths = pc.binary_length(prompts.flatten().field("content")).to_numpy(zero_copy_only=False)
    total = np.concatenate([[0], np.cumsum(lengths)])
    turns = np.diff(prompts.offsets.to_numpy())
    ends = np.cumsum(turns)
    return total[ends] - total[ends - turns] + empty * turns
