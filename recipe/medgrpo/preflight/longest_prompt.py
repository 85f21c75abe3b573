# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Before the first step: every training row against every limit, and the longest prompt through the processor.

The row that would end the run at step 300 ends it here. Only the processor runs: GPU memory is not tried.
"""

import math
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import datasets
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from omegaconf import DictConfig
from transformers import AutoProcessor
from verl.utils.fs import copy_to_local

from data_preprocess.media.frames import FrameError
from recipe.medgrpo.common.listed import listed
from recipe.medgrpo.model_inputs.encode import encode, load_media, with_media
from recipe.medgrpo.model_inputs.media_cache import MediaOptions
from recipe.medgrpo.model_inputs.prompt_length import PromptLengths, prompt_length
from recipe.medgrpo.model_inputs.prompt_templates import apply_template, use_chat_template
from recipe.medgrpo.preflight.errors import SetupError, usable
from recipe.medgrpo.trainer.dataset import chosen_rows


class Longest(NamedTuple):
    """A row, where it stands, the media tokens that it states, and its prompt's tokens in all."""

    row: dict
    where: str
    media_tokens: int
    length: int


def check_longest(config: DictConfig) -> None:
    """Raise unless all training prompts fit everywhere, and the longest becomes as many tokens as its row says."""
    check_rows(config)
    processor = load_processor(config.actor_rollout_ref.model)
    longest = find_longest(training_files(config), config.data, processor)
    if longest is None:
        print("longest sample: no row states its tokens (extra_info.num_tokens), nothing to try")
        return
    check_lengths(config, processor)
    start = time.monotonic()
    size = check_media(longest.row, longest.where, longest.media_tokens, processor, config.data)
    seconds = time.monotonic() - start
    print(
        f"longest sample: {longest.where}: {longest.length} tokens, {size / 2**20:.0f} MiB of pixels, {seconds:.1f} s "
        "to read and process"
    )


def load_processor(model: DictConfig, path: str | None = None):
    """The processor of the model in a configuration, or of ``path``, with the configuration's own turn format."""
    path = path or model.path
    with usable(path, "processor and tokenizer next to config.json"):
        local = copy_to_local(path, use_shm=model.use_shm)
        processor = AutoProcessor.from_pretrained(local, trust_remote_code=model.trust_remote_code)
    use_chat_template(processor, model.custom_chat_template)
    return processor


def training_files(config: DictConfig) -> list[str]:
    """``data.train_files`` as a list of files that exist, and are of data_preprocess."""
    files = listed(config.data.train_files)
    for file in files:
        if not Path(file).is_file():
            raise SetupError(f"data.train_files: {file} is missing")
        try:
            lacking = {"data_source", "ability", "extra_info"}.difference(pq.read_schema(file).names)
        except (pa.ArrowException, OSError) as error:
            raise SetupError(f"data.train_files: {file} is no Parquet file: {error}") from None
        if lacking:
            names = ", ".join(sorted(lacking))
            raise SetupError(f"data.train_files: {file} has no column {names}: make it with data_preprocess")
    return files


def trained_rows(config: DictConfig, tasks: Sequence[str] | None = None) -> int:
    """How many rows are trained on: those of ``tasks`` (None: of all) that ``data.only`` names."""
    files, only = training_files(config), config.data.only
    columns = ["ability"] + ["extra_info"] * any(values is not None for values in only.values())
    rows = pd.concat([pq.read_table(file, columns=columns).to_pandas() for file in files])
    return len(chosen_rows(rows if tasks is None else rows[rows["ability"].isin(list(tasks))], only, files))


def check_rows(config: DictConfig) -> None:
    """Raise unless the rows of RL fill a batch: verl divides by the number of batches, once everything is loaded."""
    data = config.data
    rows = trained_rows(config, data.tasks)
    if 0 < data.train_max_samples < rows:
        rows = data.train_max_samples
    if rows < data.train_batch_size:
        raise SetupError(
            f"data.train_files: RL would train on {rows} rows (of the tasks {', '.join(data.tasks)}, after data.only, "
            f"train_max_samples), fewer than data.train_batch_size={data.train_batch_size}: lower that, or add rows"
        )


def find_longest(files: Sequence[str], data: DictConfig, processor) -> Longest | None:
    """The longest prompt among the rows that RL trains on; None if no row states its media tokens."""
    found = []
    for file, numbers, lengths in lengths_of(files, data, processor):
        index, length = lengths.longest()
        where = f"{file}, row {numbers[index]}"
        found.append(Longest(lengths.rows[index], where, int(lengths.media[index]), length))
    return max(found, key=lambda longest: longest.length, default=None)


def lengths_of(
    files: Sequence[str], data: DictConfig, processor, sft: bool = False
) -> Iterator[tuple[str, list[int], PromptLengths]]:
    """Of each file with such rows: numbers and lengths of the rows that are trained on and state their media tokens."""
    for file in files:
        rows = datasets.Dataset.from_parquet(file)
        media = pc.struct_field(rows.data.table["extra_info"].combine_chunks(), "num_tokens").to_pylist()
        rated = enumerate(zip(rows["ability"], media, strict=True))
        known = [i for i, (task, tokens) in rated if tokens is not None and (sft or task in data.tasks)]
        if known:
            known = [known[i] for i in chosen_rows(rows.select(known), data.only, file)]
            rows = rows.select(known)
            if sft:
                rows = rows.remove_columns("prompt").rename_column("messages", "prompt")
            yield file, known, PromptLengths(rows, partial(messages_of, data=data), processor)


def messages_of(row: dict, data: DictConfig) -> list[dict]:
    """The prompt of a row as the rollout gets it."""
    media = {key: row[key] for key in ("images", "videos") if row.get(key)}
    return with_media(apply_template(row["prompt"], data.template), media)


def process(row: dict, processor, data: DictConfig) -> tuple[int, int]:
    """Media tokens of a prompt, and bytes of the processor's tensors, by the very code of the rollout."""
    messages = messages_of(row, data)
    patch_size = processor.image_processor.patch_size
    inputs = encode(processor, messages, *load_media(messages, patch_size, MediaOptions.of(data)))
    ids = inputs["input_ids"][0].tolist()
    media_tokens = ids.count(processor.image_token_id) + ids.count(processor.video_token_id)
    return media_tokens, sum(tensor.nbytes for tensor in inputs.convert_to_tensors("pt").values())


def check_media(row: dict, where: str, stated: int, processor, data: DictConfig) -> int:
    """Raise unless the model makes as many tokens of a row's media as the row states; bytes of the tensors."""
    try:
        made, size = process(row, processor, data)
    except FrameError as error:
        raise SetupError(f"{where}: {error}") from error
    if made != stated:
        raise SetupError(
            f"{where}: extra_info.num_tokens is {stated}, but {processor.tokenizer.name_or_path} makes {made} of "
            "its media: make the data for this model (data_preprocess --patch: 14 for Qwen2.5-VL, 16 for Qwen3-VL and "
            "Qwen3.5; and with its pixel budget)"
        )
    return size


def check_lengths(config: DictConfig, processor, *, sft: bool = False) -> None:
    """Raise if rows have more tokens than the limits leave, or are another model's, by the first of each file.

    ``sft`` trains on answers too, and on all tasks.
    """
    data, longest_kept = config.data, math.inf
    limits = sft_limits(config) if sft else rl_limits(config)
    extra = _opened_turn(processor) if sft else 0
    if not sft and data.filter_overlong_prompts:
        # Longer ones are left out; the other limits must still hold what is kept.
        longest_kept = limits.pop("data.max_prompt_length")
    key, limit = min(limits.items(), key=lambda item: item[1], default=("", math.inf))
    for file, numbers, lengths in lengths_of(training_files(config), data, processor, sft):
        found = {index: n - extra for index, n in lengths.above(limit + extra).items() if n <= longest_kept}
        if found:
            index, tokens = max(found.items(), key=lambda item: item[1])
            words = max(n - lengths.media[i] for i, n in found.items())
            clip = (limit - words) // 10 * 10
            smaller = f"make clips smaller (data_preprocess --max-clip-tokens {clip}), or " if clip > 0 else ""
            raise SetupError(
                f"{file}: {len(found):,} of {len(numbers):,} rows have more tokens than {key} leaves "
                f"{'a row of SFT' if sft else 'a prompt of RL'} ({limit:,}); the longest is row {numbers[index]}: "
                f"{tokens:,}, {lengths.media[index]:,} of them media. Remedy: {smaller}raise {key} and the limits next "
                "to it (SFT's with SFT_ARGS, RL's as overrides of the script)"
            )
        check_media(lengths.rows[0], f"{file}, row {numbers[0]}", int(lengths.media[0]), processor, data)


def rl_limits(config: DictConfig) -> dict[str, int]:
    """Key of the configuration -> most tokens that it leaves to a prompt."""
    actor, rollout, answer = config.actor_rollout_ref.actor, config.actor_rollout_ref.rollout, config.data
    limits = {"data.max_prompt_length": config.data.max_prompt_length}
    if rollout.max_model_len is not None:
        limits["actor_rollout_ref.rollout.max_model_len"] = rollout.max_model_len - answer.max_response_length
    if actor.use_dynamic_bsz:
        most = actor.ppo_max_token_len_per_gpu * actor.fsdp_config.ulysses_sequence_parallel_size
        limits["actor_rollout_ref.actor.ppo_max_token_len_per_gpu"] = most - answer.max_response_length
    return limits


def sft_limits(config: DictConfig) -> dict[str, int]:
    """Key of a composed ``sft`` configuration -> most tokens of a row, answer included."""
    share = config.engine.ulysses_sequence_parallel_size
    return {
        "data.max_length": config.data.max_length,
        "data.max_token_len_per_gpu": config.data.max_token_len_per_gpu * share,
    }


def _opened_turn(processor) -> int:
    """Tokens of the turn that a chat template opens after an answer, which SFT does not."""
    question, answer = {"role": "user", "content": "x"}, {"role": "assistant", "content": "x"}
    asked, answered = (prompt_length(turns, 0, processor) for turns in ([question], [question, answer]))
    return answered - asked - len(processor.tokenizer("x" + processor.tokenizer.eos_token).input_ids)
