# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Answers of a checkpoint to the rows of a Parquet file, by vLLM, with the clips' true fps.

The answers file is JSON lines: first ``{"meta": {model, data, decoding}}``, then one object per answer with ``index``
(row of the Parquet), ``sample``, ``data_source``, ``response``, ``num_tokens`` and ``finish_reason``.
"""

import argparse
import itertools
import json
import os
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from tqdm import tqdm

from data_preprocess.common.atomic_file import whole_file
from recipe.medgrpo.evaluation.answers import check_inputs
from recipe.medgrpo.model_inputs.prompt_templates import TEMPLATES, apply_template

#: Rows whose frames are held decoded at one time.
CHUNK = 256


def _fingerprint(path: Path) -> dict:
    """Path, size and modification time (ns) of a file, or of the weights of a model folder."""
    weights = sorted(path.glob("*.safetensors")) if path.is_dir() else [path]
    stats = [file.stat() for file in weights]
    return {
        "path": str(path),
        "bytes": sum(stat.st_size for stat in stats),
        "modified": max((stat.st_mtime_ns for stat in stats), default=0),
    }


def rows_to_answer(data_sources: list[str], tasks: list[str] | None, per_pair: int | None) -> list[int]:
    """Row numbers to answer: those of ``tasks``, at most ``per_pair`` per data source, spread evenly over the file."""
    by_pair = defaultdict(list)
    for index, data_source in enumerate(data_sources):
        if tasks is None or data_source.rsplit("/", 1)[-1] in tasks:
            by_pair[data_source].append(index)
    chosen = []
    for indices in by_pair.values():
        n = len(indices) if per_pair is None else min(per_pair, len(indices))
        chosen += [indices[i * len(indices) // n] for i in range(n)]
    return sorted(chosen)


def generate(
    model: Path,
    data: Path,
    out: Path,
    *,
    n: int = 1,
    temperature: float = 0.0,
    max_tokens: int = 256,
    seed: int = 0,
    tasks: list[str] | None = None,
    per_pair: int | None = None,
    template: str | None = None,
    chat_template: str | None = None,
) -> None:
    """Write the answers file ``out``; return at once if it is complete and was made from the same inputs.

    An interrupted call leaves ``out`` with ``.part`` at its end, which a call with the same inputs continues.

    Args:
        model: folder of a Hugging Face checkpoint.
        data: Parquet of data_preprocess.
        n: answers per row; ``temperature`` 0 is greedy (then n = 1).
        max_tokens: length limit of an answer, in tokens. The benchmark's own inference uses 256.
        tasks, per_pair: which rows, see `rows_to_answer`.
        template: wording around each question, see recipe/medgrpo/model_inputs/prompt_templates.py.
        chat_template: format of the turns (Jinja), for a base model that has none; default: the model's own.
    """
    meta = {
        "model": _fingerprint(model),
        "data": _fingerprint(data),
        "decoding": {"n": n, "temperature": temperature, "max_tokens": max_tokens, "seed": seed},
        "rows": {"tasks": tasks, "per_pair": per_pair},
        "template": template,
        "chat_template": chat_template,
    }
    if out.exists():
        with out.open(encoding="utf-8") as file:
            if json.loads(file.readline()).get("meta") == meta:
                print(f"{out}: up to date")
                return
    indices = rows_to_answer(pq.read_table(data, columns=["data_source"])["data_source"].to_pylist(), tasks, per_pair)
    out.parent.mkdir(parents=True, exist_ok=True)
    part = out.with_name(out.name + ".part")
    done = _continue(part, meta, indices, n)
    missing = indices[done:]
    table = pq.read_table(data)
    # The engine takes a minute to load.
    answer = missing and _load_engine(model, meta["decoding"], template, chat_template, table.take(missing))
    with (
        part.open("a", encoding="utf-8") as file,
        tqdm(total=len(indices), initial=done, desc="answers", unit="row") as bar,
    ):
        for start in range(0, len(missing), CHUNK):
            chunk = missing[start : start + CHUNK]
            rows = table.take(chunk).to_pylist()
            for index, row, outputs in zip(chunk, rows, answer(rows), strict=True):
                for sample, output in enumerate(outputs):
                    line = {
                        "index": index,
                        "sample": sample,
                        "data_source": row["data_source"],
                        "response": output.text,
                        "num_tokens": len(output.token_ids),
                        "finish_reason": output.finish_reason,
                    }
                    file.write(json.dumps(line, ensure_ascii=False) + "\n")
            # So that whoever is killed leaves whole chunks behind.
            file.flush()
            bar.update(len(chunk))
    os.replace(part, out)


def _continue(part: Path, meta: dict, indices: list[int], n: int) -> int:
    """Leave in ``part`` its meta line and the answers of an earlier call that can be kept; how many rows these answer.

    A last line without an end, and a row with fewer than ``n`` answers, are dropped.
    """
    head = json.dumps({"meta": meta}).encode()
    lines = part.read_bytes().split(b"\n")[:-1] if part.exists() else []
    pairs = zip(lines[1:], itertools.product(indices, range(n)), strict=False) if lines[:1] == [head] else ()
    kept = [line for line, _ in itertools.takewhile(lambda pair: _is_answer(*pair), pairs)]
    done = len(kept) // n
    with whole_file(part) as temporary:
        temporary.write_bytes(b"\n".join([head, *kept[: done * n], b""]))
    if done:
        print(f"{part}: goes on after {done} of {len(indices)} rows", flush=True)
    return done


def _is_answer(line: bytes, place: tuple[int, int]) -> bool:
    try:
        answer = json.loads(line)
        return (answer["index"], answer["sample"]) == place
    except (ValueError, KeyError, TypeError):
        return False


def _load_engine(model: Path, decoding: dict, template: str | None, chat_template: str | None, rows: pa.Table):
    """A function from rows, of which ``rows`` are all that will come, to lists of vLLM completions."""
    from recipe.medgrpo.cpu.patches import on_cpu

    if on_cpu():
        os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")
    # One process: the engine of one replica needs no second one, and each costs the import of torch.
    os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
    import verl  # noqa: F401  (loads the plugin, without which vLLM for CPU does not find its platform)
    from transformers import AutoConfig, AutoProcessor
    from vllm import LLM, SamplingParams

    from recipe.medgrpo.model_inputs import encode

    processor = AutoProcessor.from_pretrained(model)
    encode.use_chat_template(processor, chat_template)

    def messages(row: dict) -> list[dict]:
        return encode.with_media(apply_template(row["prompt"], template), row)

    engine = LLM(
        model=str(model),
        seed=decoding["seed"],
        max_model_len=_longest(rows, messages, processor, decoding["max_tokens"], AutoConfig.from_pretrained(model)),
        # Profiling shows how much memory the vision tower takes next to the KV cache. On a CPU the largest conceivable
        # video would take most of the start, and the KV cache has a size of its own.
        **(
            {"dtype": "float32", "enforce_eager": True, "skip_mm_profiling": True}
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

    def answer(rows: list[dict]) -> list[list]:
        with ThreadPoolExecutor() as pool:
            prompts = list(pool.map(prompt, rows))
        return [result.outputs for result in engine.generate(prompts, sampling, use_tqdm=False)]

    return answer


def _longest(rows: pa.Table, messages: Callable[[dict], list[dict]], processor, max_tokens: int, config) -> int | None:
    """Tokens of the longest prompt (``messages`` of a row) and its answer, at most the model's own limit.

    None, vLLM's word for that limit, if a row does not state its media tokens.
    """
    import datasets

    from recipe.medgrpo.model_inputs.prompt_length import PromptLengths

    if pc.struct_field(rows["extra_info"].combine_chunks(), "num_tokens").null_count:
        return None
    _, length = PromptLengths(datasets.Dataset(rows), messages, processor).longest()
    limits = config.get_text_config().max_position_embeddings, processor.tokenizer.model_max_length
    return min(length + max_tokens, *limits)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", type=Path, required=True, help="Hugging Face checkpoint folder")
    parser.add_argument("--data", type=Path, required=True, help="Parquet of data_preprocess")
    parser.add_argument("--out", type=Path, required=True, help="answers file to write (JSON lines)")
    add_decoding(parser)
    parser.add_argument("--tasks", nargs="+", help="only these tasks")
    parser.add_argument("--per-pair", type=int, help="at most so many rows per data source")
    add_wording(parser)


def add_decoding(parser: argparse.ArgumentParser, count: str = "--n") -> None:
    """How answers are sampled; `decoding` reads it."""
    parser.add_argument(count, dest="n", type=int, default=1, help="answers per row; several need a temperature")
    parser.add_argument("--temperature", type=float, default=0.0, help="0 is greedy")
    parser.add_argument("--max-tokens", type=int, default=256, help="tokens per answer")
    parser.add_argument("--seed", type=int, default=0, help="of the sampler")


def decoding(args: argparse.Namespace) -> dict[str, Any]:
    return {key: getattr(args, key) for key in ("n", "temperature", "max_tokens", "seed")}


def add_wording(parser: argparse.ArgumentParser) -> None:
    """What a prompt looks like around its question."""
    parser.add_argument("--template", choices=TEMPLATES, help="wording around each question")
    parser.add_argument(
        "--chat-template",
        type=_text_of,
        metavar="FILE",
        help="format of the turns (Jinja), for a base model without one",
    )


def _text_of(file: str) -> str:
    try:
        return Path(file).read_text(encoding="utf-8")
    except OSError as error:
        raise argparse.ArgumentTypeError(f"{file} cannot be read: {error.strerror}") from None


def run(args: argparse.Namespace) -> int:
    options = {key: getattr(args, key) for key in ("tasks", "per_pair", "template", "chat_template")}
    folder = check_inputs(args.model, args.data, args.n, args.temperature)
    generate(folder, args.data, args.out, **decoding(args), **options)
    print(args.out)
    return 0
