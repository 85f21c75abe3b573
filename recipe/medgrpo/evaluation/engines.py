# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""vLLM engines that answer rows: one in this process, or several, each in a process of its own on a GPU of its own."""

import ctypes
import itertools
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from recipe.medgrpo.cpu.patches import on_cpu
from recipe.medgrpo.evaluation.answers import AnswersError
from recipe.medgrpo.model_inputs.prompt_templates import apply_template, use_chat_template

#: Rows that vLLM gets at one time; while it answers them, the media of as many more are decoded.
CHUNK = 128
#: Of Linux: a signal to this process when its parent ends, however that comes about.
PR_SET_PDEATHSIG = 1


class Completion(NamedTuple):
    """One answer; ``num_tokens`` counts generated tokens."""

    text: str
    num_tokens: int
    finish_reason: str


class Policy(NamedTuple):
    """Who is asked, and how: see `generate`."""

    model: Path
    decoding: dict
    template: str | None
    chat_template: str | None


def answer_rows(policy: Policy, rows: pa.Table, engines: int) -> Iterator[list[Completion]]:
    """The answers to each row, in the rows' order, from ``engines`` engines; the i-th of n has every n-th row."""
    if engines == 1:
        yield from itertools.chain.from_iterable(_chunks(policy, rows))
        return
    places, context = _places(engines), multiprocessing.get_context("spawn")
    numbers = pa.array(range(len(rows)), pa.int64())
    shares = [rows.take(numbers[engine::engines]) for engine in range(engines)]
    pools = [
        ProcessPoolExecutor(1, context, _take_place, (place, policy, share))
        for place, share in zip(places, shares, strict=True)
    ]
    try:
        chunks = [pool.map(_next_chunk, range(0, len(share), CHUNK)) for pool, share in zip(pools, shares, strict=True)]
        streams = [itertools.chain.from_iterable(own) for own in chunks]
        for row in range(len(rows)):
            yield next(streams[row % engines])
    except BrokenProcessPool:
        raise AnswersError(f"one of {engines} engines was killed, perhaps for want of memory; run it again") from None
    finally:
        for pool in pools:
            pool.shutdown(wait=False, cancel_futures=True)


def _places(engines: int) -> list[str]:
    """For each engine its GPU, or on a CPU its cores."""
    if on_cpu():
        cores = sorted(os.sched_getaffinity(0))
        return [",".join(map(str, cores[engine::engines] or cores)) for engine in range(engines)]
    visible = os.environ.get("CUDA_VISIBLE_DEVICES") or ",".join(map(str, range(engines)))
    places = visible.split(",")[:engines]
    if len(places) < engines:
        raise AnswersError(f"--engines {engines}, and CUDA_VISIBLE_DEVICES={visible} has {len(places)} GPUs")
    return places


#: In the process of one of several engines: what is still to come of its share.
_to_come: Iterator[list[list[Completion]]] = iter(())


def _take_place(place: str, policy: Policy, rows: pa.Table) -> None:
    """Begin the life of a process with one of several engines."""
    global _to_come
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if on_cpu():
        cores = [int(core) for core in place.split(",")]
        os.sched_setaffinity(0, cores)
        os.environ["OMP_NUM_THREADS"] = str(len(cores))
    else:
        os.environ["CUDA_VISIBLE_DEVICES"] = place
    _to_come = _chunks(policy, rows)


def _next_chunk(start: int) -> list[list[Completion]]:
    return next(_to_come)


def _chunks(policy: Policy, rows: pa.Table) -> Iterator[list[list[Completion]]]:
    """Answers to `CHUNK` rows at a time."""
    if not len(rows):
        return
    prompt, answer = _load_engine(policy, rows)
    with ThreadPoolExecutor() as pool:

        def prepare(start: int) -> list:
            return [pool.submit(prompt, row) for row in rows.slice(start, CHUNK).to_pylist()]

        coming = prepare(0)
        for start in range(0, len(rows), CHUNK):
            prompts, coming = [future.result() for future in coming], prepare(start + CHUNK)
            yield answer(prompts)


def _load_engine(policy: Policy, rows: pa.Table) -> tuple[Callable, Callable]:
    """Two functions: from a row to vLLM's prompt, and from prompts to their answers. No rows but ``rows`` will come."""
    # One process: the engine of one replica needs no second one, and each costs the import of torch.
    os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
    import verl  # noqa: F401  (loads the plugin, without which vLLM for CPU does not find its platform)
    from transformers import AutoConfig, AutoProcessor
    from vllm import LLM, SamplingParams

    from recipe.medgrpo.model_inputs import encode

    model, decoding = policy.model, policy.decoding
    processor = AutoProcessor.from_pretrained(model)
    use_chat_template(processor, policy.chat_template)

    def messages(row: dict) -> list[dict]:
        return encode.with_media(apply_template(row["prompt"], policy.template), row)

    engine = LLM(
        model=str(model),
        seed=decoding["seed"],
        max_model_len=_longest(rows, messages, processor, decoding["max_tokens"], AutoConfig.from_pretrained(model)),
        # Profiling shows how much memory the vision tower takes next to the KV cache. On a CPU the largest conceivable
        # video would take most of the start, and the KV cache has a size of its own, that of config/platform/cpu.yaml.
        **(
            {"dtype": "float32", "enforce_eager": True, "skip_mm_profiling": True, "kv_cache_memory_bytes": 2**30}
            if on_cpu()
            else {"gpu_memory_utilization": 0.85}
        ),
    )
    # vLLM's CPU sampler knows no seed per request ("CPU Generator does not use offset"); the engine has its own.
    sampling = SamplingParams(**decoding | ({"seed": None} if on_cpu() else {}))

    def prompt(row: dict) -> dict:
        turns = messages(row)
        images, videos = encode.load_media(turns, processor.image_processor.patch_size)
        media = {"image": images, "video": videos}
        return {
            "prompt": processor.apply_chat_template(turns, add_generation_prompt=True, tokenize=False),
            "multi_modal_data": {kind: items for kind, items in media.items() if items},
            "mm_processor_kwargs": encode.MM_PROCESSOR_KWARGS,
        }

    def answer(prompts: list[dict]) -> list[list[Completion]]:
        found = engine.generate(prompts, sampling, use_tqdm=False)
        return [[Completion(one.text, len(one.token_ids), one.finish_reason) for one in each.outputs] for each in found]

    return prompt, answer


def _longest(rows: pa.Table, messages: Callable[[dict], list[dict]], processor, max_tokens: int, config) -> int | None:
    """Tokens of the longest prompt (``messages`` of a row) and its answer, at most the model's own limit; None, vLLM's
    word for that limit, if a row does not state its media tokens.
    """
    import datasets

    from recipe.medgrpo.model_inputs.prompt_length import PromptLengths

    info = rows["extra_info"].combine_chunks()
    if "num_tokens" not in [field.name for field in info.type] or pc.struct_field(info, "num_tokens").null_count:
        return None
    _, length = PromptLengths(datasets.Dataset(rows), messages, processor).longest()
    limits = config.get_text_config().max_position_embeddings, processor.tokenizer.model_max_length
    return min(length + max_tokens, *limits)
