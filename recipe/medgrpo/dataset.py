# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Rows of data_preprocess as token ids and pixels, the same for SFT, evaluation and verl's RL rollout.

RL reads rows with verl's own ``RLHFDataset``, of which :class:`MedGRPODataset` only takes the rewarded tasks. verl
0.9.1's SFT dataset cannot be used for clips: it drops their fps, so that every frame of a clip gets one and the same
temporal position; :class:`MedGRPOSFTDataset` takes its place.
"""

from types import SimpleNamespace

import torch
from verl.utils.dataset.multiturn_sft_dataset import MultiTurnSFTDataset
from verl.utils.dataset.rl_dataset import RLHFDataset
from verl.utils.py_functional import convert_nested_value_to_list_recursive
from verl.utils.tokenizer import build_multimodal_processor_inputs

#: Frames reach the processor at their final size (the row's pixel budget); a second resize would undo it.
MM_PROCESSOR_KWARGS = {"do_resize": False}


def with_media(messages: list[dict], row: dict) -> list[dict]:
    """Replace ``<image>`` and ``<video>`` in string contents by the row's media, as verl does for its rollout."""
    keys = SimpleNamespace(image_key="images", video_key="videos", audio_key="audios", processor=True)
    row = {**row, "messages": [dict(message) for message in messages]}
    return RLHFDataset._build_messages(keys, row, key="messages")


def load_media(messages: list[dict], patch_size: int) -> tuple[list | None, list | None]:
    """Decode the media of ``messages``.

    Returns:
        images (PIL) and videos, each a pair of a float tensor (frames, 3, height, width) and metadata with the fps.
    """
    images, videos, _ = RLHFDataset._process_multi_modal_info(messages, image_patch_size=patch_size, config=None)
    return images, videos


def encode(processor, messages: list[dict], images: list | None, videos: list | None) -> dict:
    """The processor's inputs for a prompt (``messages`` end with the user's turn), batch dimension 1."""
    text = processor.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
    return build_multimodal_processor_inputs(
        processor, text=[text], images=images, videos=videos, mm_processor_kwargs=MM_PROCESSOR_KWARGS
    )


class MedGRPODataset(RLHFDataset):
    """Rows whose task is in ``data.tasks``: one file serves SFT on all tasks and RL on the rewarded ones."""

    def maybe_filter_out_long_prompts(self, dataframe=None):
        tasks = set(self.config.tasks)
        kept = dataframe.select([index for index, task in enumerate(dataframe["ability"]) if task in tasks])
        print(f"{len(kept)} of {len(dataframe)} rows are of the tasks {', '.join(sorted(tasks))}")
        if not len(kept):
            raise ValueError(f"{self.data_files}: no row has a task of data.tasks ({', '.join(sorted(tasks))})")
        return super().maybe_filter_out_long_prompts(kept)


class MedGRPOSFTDataset(MultiTurnSFTDataset):
    """Question and answer of one row; the loss covers the answer and the end-of-turn token."""

    def __getitem__(self, item: int) -> dict:
        row = self.dataframe.iloc[item].to_dict()
        *prompt, answer = self.messages[item]
        if answer["role"] != "assistant" or any(turn["role"] == "assistant" for turn in prompt):
            raise ValueError(f"{self.parquet_files}, row {item}: messages must end with their only assistant turn")
        media = {key: row[key] for key in ("images", "videos") if key in row}
        prompt = with_media(prompt, convert_nested_value_to_list_recursive(media))
        inputs = encode(self.processor, prompt, *load_media(prompt, self.image_patch_size))
        prompt_ids = inputs.pop("input_ids")[0]
        inputs.pop("attention_mask")
        inputs.pop("mm_token_type_ids", None)
        answer_ids = self.tokenizer(answer["content"] + self.tokenizer.eos_token, add_special_tokens=False)["input_ids"]
        input_ids = torch.cat([prompt_ids, torch.tensor(answer_ids, dtype=prompt_ids.dtype)])
        if len(input_ids) > self.max_length:
            raise ValueError(
                f"{self.parquet_files}, row {item}: {len(input_ids)} tokens, data.max_length is {self.max_length}; "
                "raise it, or make the clip or its frames smaller in data_preprocess"
            )
        multi_modal_inputs = dict(inputs.convert_to_tensors("pt"))
        vision, _ = self.processor.get_rope_index(
            input_ids=input_ids[None],
            image_grid_thw=multi_modal_inputs.get("image_grid_thw"),
            video_grid_thw=multi_modal_inputs.get("video_grid_thw"),
            **self.processor.get_rope_index_kwargs(multi_modal_inputs),
        )
        loss_mask = torch.zeros_like(input_ids)
        loss_mask[len(prompt_ids) :] = 1
        return {
            "input_ids": input_ids,
            "position_ids": torch.cat([torch.arange(len(input_ids))[None], vision[:, 0]]),
            "loss_mask": loss_mask,
            "multi_modal_inputs": multi_modal_inputs,
        }
