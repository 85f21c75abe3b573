# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Qwen3-VL's clips on their way from verl to vLLM: ``<0.3 seconds>[frames]<1.7 seconds>[frames]`` is one video."""

import re

_TIME = re.compile(r"<(\d+\.\d) seconds>")
# "<", up to five digits, ".", a digit, " seconds", ">", with room for a tokenizer that splits the word.
_LONGEST = 20


def collapse_videos(prompt_ids: list[int], processor) -> list[int]:
    """Replace all steps of a video, times included, by the one placeholder from which vLLM writes them anew.

    The runs of ``<|video_pad|>`` in ``prompt_ids`` are one token long each.
    """
    start, pad, end = (getattr(processor, f"{name}_token_id") for name in ("vision_start", "video", "vision_end"))
    kept: list[int] = []
    # Where the last step of a video ended in `kept`, its time, and its number in the video.
    last_end, last_time, steps = -1, 0.0, 0
    position = 0
    while position < len(prompt_ids):
        if prompt_ids[position : position + 3] != [start, pad, end]:
            kept.append(prompt_ids[position])
            position += 1
            continue
        length, time = _time_before(kept, processor.tokenizer)
        begin = len(kept) - length
        # A video's second step is five times as late as its first: at the same tenth of a second, another video begins,
        # unless that is 0.0, as it is for both from 50 frames a second on.
        later = time > last_time or (time == last_time and (steps > 1 or time == 0))
        same_video = length and begin == last_end and later
        steps = steps + 1 if same_video else 1
        kept = kept[:begin] if same_video else kept[:begin] + [start, pad, end]
        last_end, last_time = len(kept), time
        position += 3
    return kept


def _time_before(ids: list[int], tokenizer) -> tuple[int, float]:
    """How many tokens at the end of ``ids`` are a time, and the time in seconds; (0, 0.0) where there is none."""
    for length in range(1, min(_LONGEST, len(ids)) + 1):
        if found := _TIME.fullmatch(tokenizer.decode(ids[-length:])):
            return length, float(found[1])
    return 0, 0.0
