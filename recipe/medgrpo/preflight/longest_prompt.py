# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Before the first step: the longest prompt of the training data, checked against every limit and processed once.

The row that would end the run at step 300 ends it here, with its name and the setting to change. Only the processor
runs, on the CPU: there is no forward or backward pass, so that GPU memory is not tried. `medgrpo estimate` gives a
rough figure of it, no more.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import NamedTuple

import pyarrow.compute as pc
import pyarrow.parquet as pq
from omegaconf import DictConfig


class ProbeError(RuntimeError):
    """The longest training sample does not fit, or is not what its row says; the message names row and remedy."""


class Longest(NamedTuple):
    """A row, where it stands, the media tokens that it states, and its prompt's tokens in all."""

    row: dict
    where: str
    media_tokens: int
    length: int


def row_at(file: str, index: int) -> dict:
    """One row of a Parquet file; only its row group is read."""
    parquet = pq.ParquetFile(file)
    for group in range(parquet.num_row_groups):
        count = parquet.metadata.row_group(group).num_rows
        if index < count:
            return parquet.read_row_group(group).slice(index, 1).to_pylist()[0]
        index -= count
    raise IndexError(f"{file} has no such row")


def find_longest(files: Sequence[str], options: DictConfig, processor) -> Longest | None:
    """The longest prompt among the rows that are trained on; None if no row states its media tokens.

    Args:
        options: the configuration's ``data``.
    """
    import datasets

    from recipe.medgrpo.model_inputs import prompt_length
    from recipe.medgrpo.trainer.dataset import chosen_rows

    found = None
    for file in files:
        rows = datasets.Dataset.from_parquet(file)
        infos = pc.struct_field(rows.data.table["extra_info"].combine_chunks(), "num_tokens").to_pylist()
        tasks = set(options.tasks)
        known = [i for i, task in enumerate(rows["ability"]) if task in tasks and infos[i] is not None]
        if not known:
            continue
        known = [known[i] for i in chosen_rows(rows.select(known), options.get("only"), file)]
        index, length = prompt_length.longest(rows.select(known), lambda row: messages_of(row, options), processor)
        if found is None or length > found.length:
            index = known[index]
            found = Longest(row_at(file, index), f"{file}, row {index}", infos[index], length)
    return found


def limits(config: DictConfig) -> dict[str, int]:
    """Key of the configuration -> most tokens that it leaves to a prompt."""
    actor, rollout, answer = config.actor_rollout_ref.actor, config.actor_rollout_ref.rollout, config.data
    found = {"data.max_prompt_length": config.data.max_prompt_length}
    if rollout.max_model_len is not None:
        found["actor_rollout_ref.rollout.max_model_len"] = rollout.max_model_len - answer.max_response_length
    if actor.use_dynamic_bsz:
        share = actor.fsdp_config.ulysses_sequence_parallel_size
        found["actor_rollout_ref.actor.ppo_max_token_len_per_gpu"] = (
            actor.ppo_max_token_len_per_gpu * share - answer.max_response_length
        )
    return found


def check_longest(config: DictConfig) -> None:
    """Raise unless the longest training prompt fits everywhere and becomes as many tokens as its row says.

    Errors:
        ProbeError: a limit is too small, or the data were made for another model's patches.
        FrameError: a medium of that row cannot be read.
    """
    from transformers import AutoProcessor
    from verl.utils.fs import copy_to_local

    model = config.actor_rollout_ref.model
    processor = AutoProcessor.from_pretrained(
        copy_to_local(model.path, use_shm=model.use_shm), trust_remote_code=model.trust_remote_code
    )
    if model.custom_chat_template:
        processor.chat_template = model.custom_chat_template
    files = config.data.train_files
    longest = find_longest([files] if isinstance(files, str) else list(files), config.data, processor)
    if longest is None:
        print("longest sample: no row states its tokens (extra_info.num_tokens), nothing to try")
        return
    start = time.monotonic()
    length, media_tokens, size = process(longest.row, processor, config.data)
    if media_tokens != longest.media_tokens:
        raise ProbeError(
            f"{longest.where}: extra_info.num_tokens is {longest.media_tokens}, but {model.path} makes {media_tokens} "
            "tokens of its media: make the data for this model (data_preprocess --patch: 14 for Qwen2.5-VL, 16 for "
            "Qwen3-VL; and with its pixel budget)"
        )
    small = {key: limit for key, limit in limits(config).items() if limit < length}
    if config.data.filter_overlong_prompts:
        # Such a row is left out; the limits must still hold what is kept.
        small.pop("data.max_prompt_length", None)
        small = {key: limit for key, limit in small.items() if limit < config.data.max_prompt_length}
    if small:
        told = "; ".join(f"{key} leaves {limit} tokens for the prompt" for key, limit in small.items())
        raise ProbeError(
            f"{longest.where}: its prompt has {length} tokens, {media_tokens} of them media: {told} (beside "
            f"data.max_response_length={config.data.max_response_length}). Raise these, or make clips smaller with "
            "data_preprocess --max-clip-tokens"
        )
    print(
        f"longest sample: {longest.where}: {length} tokens, {size / 2**20:.0f} MiB of pixels, "
        f"{time.monotonic() - start:.1f} s to read and process"
    )


def messages_of(row: dict, options: DictConfig) -> list[dict]:
    """The prompt of a row as the rollout gets it."""
    from recipe.medgrpo.model_inputs.encode import with_media
    from recipe.medgrpo.model_inputs.prompt_templates import apply_template

    media = {key: row[key] for key in ("images", "videos") if row.get(key)}
    return with_media(apply_template(row["prompt"], options.template), media)


def process(row: dict, processor, options: DictConfig) -> tuple[int, int, int]:
    """Length of the prompt, its media tokens, and bytes of the processor's tensors, by the very code of the rollout.

    Args:
        options: the configuration's ``data``.
    """
    from recipe.medgrpo.model_inputs.encode import encode, load_media
    from recipe.medgrpo.model_inputs.media_cache import MediaOptions

    messages = messages_of(row, options)
    patch_size = processor.image_processor.patch_size
    inputs = encode(processor, messages, *load_media(messages, patch_size, MediaOptions.of(options)))
    ids = inputs["input_ids"][0].tolist()
    media_tokens = sum(ids.count(token) for token in (processor.image_token_id, processor.video_token_id))
    tensors = inputs.convert_to_tensors("pt").values()
    return len(ids), media_tokens, sum(tensor.numel() * tensor.element_size() for tensor in tensors)


class EstimateError(RuntimeError):
    """Model or data cannot be read, or rows exceed the limits; the message says what to set."""


def check_lengths(config: DictConfig, model: str, *, sft: bool = False) -> None:
    """Raise if rows of the training data have more tokens than the limits leave; no medium is read.

    Args:
        config: composed for RL, or with ``sft`` for SFT, which trains on the answers and on all tasks.
        model: whose tokenizer and chat template count.

    Errors:
        EstimateError: rows are too long, or ``model`` has no processor.
    """
    import datasets
    from transformers import AutoProcessor

    from recipe.medgrpo.model_inputs import prompt_length
    from recipe.medgrpo.model_inputs.encode import use_chat_template
    from recipe.medgrpo.preflight.longest_prompt import limits, messages_of
    from recipe.medgrpo.trainer.dataset import chosen_rows

    try:
        processor = AutoProcessor.from_pretrained(model)
    except (OSError, ValueError) as error:
        raise EstimateError(f"{model}: no usable processor and tokenizer beside config.json: {error}") from None
    use_chat_template(processor, (config if sft else config.actor_rollout_ref).model.get("custom_chat_template"))
    data, surplus = config.data, 0
    most = sft_limits(config) if sft else limits(config)
    if sft:
        # A chat template opens one more turn after the answer, which SFT does not.
        start, answer = {"role": "user", "content": "x"}, {"role": "assistant", "content": "x"}
        asked, answered = (prompt_length.prompt_length(turns, 0, processor) for turns in ([start], [start, answer]))
        surplus = answered - asked - len(processor.tokenizer("x" + processor.tokenizer.eos_token).input_ids)

    def build(row: dict) -> list[dict]:
        return messages_of(row, data)

    def length(row: dict) -> int:
        return prompt_length.prompt_length(build(row), row["extra_info"]["num_tokens"], processor) - surplus

    for file in [data.train_files] if isinstance(data.train_files, str) else data.train_files:
        rows = datasets.Dataset.from_parquet(file)
        media = pc.struct_field(rows.data.table["extra_info"].combine_chunks(), "num_tokens").to_pylist()
        known = [i for i, tokens in enumerate(media) if tokens is not None]
        if not sft:
            tasks = rows["ability"]
            known = [i for i in known if tasks[i] in data.tasks]
        if not known:
            continue
        chosen = [known[i] for i in chosen_rows(rows.select(known), data.only, file)]
        if sft:
            rows = rows.remove_columns("prompt").rename_column("messages", "prompt")
        elif data.filter_overlong_prompts:
            fits = prompt_length.fitting(rows.select(chosen), most.pop("data.max_prompt_length"), build, processor)
            chosen = [chosen[i] for i in fits]
        if not most or not chosen:
            continue
        key, limit = min(most.items(), key=lambda item: item[1])
        fits = set(prompt_length.fitting(rows.select(chosen), limit + surplus, build, processor).tolist())
        long = {chosen[i]: length(rows[chosen[i]]) for i in range(len(chosen)) if i not in fits}
        if long:
            index, tokens = max(long.items(), key=lambda item: item[1])
            clip = (limit - max(long[i] - media[i] for i in long)) // 10 * 10
            smaller = f"make clips smaller (data_preprocess --max-clip-tokens {clip}), or " if clip > 0 else ""
            raise EstimateError(
                f"{file}: {len(long):,} of {len(chosen):,} rows have more tokens than {key} leaves "
                f"{'a row of SFT' if sft else 'a prompt of RL'} ({limit:,}); the longest is row {index}: {tokens:,}, "
                f"{media[index]:,} of them media. Remedy: {smaller}raise {key} and the limits beside it (SFT's with "
                "SFT_ARGS, RL's as overrides of the script)"
            )


def sft_limits(config: DictConfig) -> dict[str, int]:
    """Key of a composed ``sft`` configuration -> most tokens of a row, answer included."""
    share = config.engine.ulysses_sequence_parallel_size
    return {
        "data.max_length": config.data.max_length,
        "data.max_token_len_per_gpu": config.data.max_token_len_per_gpu * share,
    }
