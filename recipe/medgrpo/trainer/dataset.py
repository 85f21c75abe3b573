# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Rows of data_preprocess as token ids and pixels, the same for SFT, evaluation and verl's RL rollout.

RL reads rows with verl's own ``RLHFDataset``; :class:`MedGRPODataset` chooses and orders them. verl 0.9.1's SFT dataset
drops the fps of clips, so that every frame of a clip gets one and the same temporal position;
:class:`MedGRPOSFTDataset` takes its place.
"""

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial

import torch
from verl.utils.dataset.multiturn_sft_dataset import MultiTurnSFTDataset
from verl.utils.dataset.rl_dataset import RLHFDataset
from verl.utils.py_functional import convert_nested_value_to_list_recursive

from data_preprocess.media.frames import FrameError
from recipe.medgrpo.common.listed import listed
from recipe.medgrpo.model_inputs import media_cache, pixels
from recipe.medgrpo.model_inputs.encode import encode, load_media, positions_of, with_media
from recipe.medgrpo.model_inputs.prompt_length import PromptLengths
from recipe.medgrpo.model_inputs.prompt_templates import apply_template
from recipe.medgrpo.trainer import lost_media
from recipe.medgrpo.trainer.balanced_order import balanced_order
from reward_score.errors import BadOption


def is_training(files: str | Sequence[str], config) -> bool:
    """Whether ``files`` are the configuration's training files, rather than those for validation."""
    trained = config.get("train_files")
    return trained is not None and listed(files) == listed(trained)


def chosen_rows(dataframe, only: Mapping[str, Sequence[str] | None] | None, where) -> Sequence[int]:
    """Numbers of the rows whose ``extra_info`` has, for every field of ``data.only``, one of its values (null: any)."""
    chosen = range(len(dataframe))
    wanted = {field: listed(values) for field, values in (only or {}).items() if values is not None}
    # Read only if needed: this column holds the structured answers too.
    infos = list(dataframe["extra_info"]) if wanted else []
    for field, values in wanted.items():
        found = [i for i in chosen if infos[i].get(field) in values]
        print(f"{len(found)} of {len(chosen)} rows have {field} {', '.join(values)}")
        if not found:
            raise BadOption(f"{where}: no row has {field} {values}: fix data.only.{field}")
        chosen = found
    return chosen


class MedGRPODataset(RLHFDataset):
    """Rows whose task is in ``data.tasks``: one file serves SFT on all tasks and RL on the rewarded ones.

    Example:
        >>> rows = MedGRPODataset("train.parquet", tokenizer, config.data, processor)
        dataset len: ... rows are of the tasks stg, tag
        >>> sorted(set(rows.dataframe["ability"])), [turn["role"] for turn in rows[0]["raw_prompt"]]
        (['stg', 'tag'], ['user'])
    """

    @classmethod
    async def process_multi_modal_info(cls, messages, image_patch_size, config) -> tuple:
        """verl's agent loop calls this for each sample; a group shares one decoding, and no thread waits for it."""
        cache, items = media_cache.cache_of(media_cache.MediaOptions.of(config)), media_cache.items_of(messages)
        # Reading the times of change of the files may touch a slow disk.
        futures = await asyncio.to_thread(lambda: [cache.submit(item, image_patch_size) for item in items])
        try:
            # Shielded: a sample that is cancelled must not take the decoding from its siblings.
            values = await asyncio.gather(*(asyncio.shield(asyncio.wrap_future(future)) for future in futures))
        except FrameError as error:
            await lost_media.report(error)
            raise
        return *media_cache.split(items, values), None

    def maybe_filter_out_long_prompts(self, dataframe=None):
        tasks = set(self.config.tasks)
        kept = dataframe.select([index for index, task in enumerate(dataframe["ability"]) if task in tasks])
        print(f"{len(kept)} of {len(dataframe)} rows are of the tasks {', '.join(sorted(tasks))}")
        if not len(kept):
            raise ValueError(f"{self.data_files}: no row has a task of data.tasks ({', '.join(sorted(tasks))})")
        if is_training(self.original_data_files, self.config):
            kept = kept.select(chosen_rows(kept, self.config.get("only"), self.data_files))
        if self.filter_overlong_prompts:
            lengths = PromptLengths(kept, partial(self._build_messages, key=self.prompt_key), self.processor)
            long = lengths.above(self.max_prompt_length)
            print(f"{len(long)} of {len(kept)} prompts exceed {self.max_prompt_length} tokens: left out")
            kept = kept.select([index for index in range(len(kept)) if index not in long])
        return self._in_order(kept)

    def _build_messages(self, example: dict, key: str) -> list[dict]:
        training = is_training(self.original_data_files, self.config) or self.config.get("val_template") is None
        template = self.config.get("template" if training else "val_template")
        return super()._build_messages({**example, key: apply_template(example[key], template)}, key)

    def _in_order(self, dataframe):
        """Training rows in ``data.balance``'s order; validation rows, and all without it, as they are."""
        if self.config.balance is None or not is_training(self.original_data_files, self.config):
            return dataframe
        if self.config.shuffle:
            raise ValueError("data.balance gives the rows their order: set data.shuffle=false with it")
        return dataframe.select(balanced_order(dataframe["data_source"], self.config.balance, self.config.seed or 0))


class MedGRPOSFTDataset(MultiTurnSFTDataset):
    """Question and answer of one row; the loss covers the answer and the end-of-turn token."""

    def __init__(self, parquet_files, tokenizer, config, *args, **kwargs):
        self.media = media_cache.MediaOptions.of(config)
        self.template = config.get("template")
        super().__init__(parquet_files, tokenizer, config, *args, **kwargs)
        if is_training(parquet_files, config):
            chosen = chosen_rows(self.dataframe, config.get("only"), self.parquet_files)
            self.dataframe, self.messages = self.dataframe.iloc[chosen], [self.messages[i] for i in chosen]

    def __getitem__(self, item: int) -> dict:
        row = self.dataframe.iloc[item].to_dict()
        *prompt, answer = self.messages[item]
        if answer["role"] != "assistant" or any(turn["role"] == "assistant" for turn in prompt):
            raise ValueError(f"{self.parquet_files}, row {item}: messages must end with their only assistant turn")
        keys = [key for key in ("images", "videos") if key in row]
        prompt = apply_template(prompt, self.template)
        prompt = with_media(prompt, convert_nested_value_to_list_recursive({key: row[key] for key in keys}))
        media = load_media(prompt, self.image_patch_size, self.media)
        inputs = encode(self.processor, prompt, *media)
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
        vision = positions_of(self.processor, {**multi_modal_inputs, "input_ids": input_ids[None]})
        loss_mask = torch.zeros_like(input_ids)
        loss_mask[len(prompt_ids) :] = 1
        return {
            "input_ids": input_ids,
            "position_ids": torch.cat([torch.arange(len(input_ids))[None], vision[:, 0]]),
            "loss_mask": loss_mask,
            "multi_modal_inputs": pixels.with_media(multi_modal_inputs, *media),
        }
