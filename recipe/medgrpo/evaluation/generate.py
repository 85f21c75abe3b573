# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Answers of a checkpoint to the rows of a Parquet file, by vLLM, with the clips' true fps.

The file is JSON lines: ``{"meta": {model, data, decoding, ..., answers}}`` with the number that there must be, then one
object per answer.
"""

import argparse
import contextlib
import hashlib
import itertools
import json
import math
import os
from collections import defaultdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from tqdm import tqdm

from data_preprocess.common.atomic_file import write_whole
from data_preprocess.common.cli_types import at_least
from recipe.medgrpo.common.outputs import begins_with, check_outputs
from recipe.medgrpo.common.processes import lock
from recipe.medgrpo.evaluation.answers import AnswersError, check_inputs
from recipe.medgrpo.evaluation.engines import Completion, Policy, answer_rows
from recipe.medgrpo.model_inputs.prompt_templates import TEMPLATES
from recipe.medgrpo.scoring.artifact_check import weights_fingerprint


def file_fingerprint(path: Path) -> str:
    """SHA-256 of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def rows_to_answer(data_sources: list[str], tasks: list[str] | None, per_pair: int | None) -> list[int]:
    """Row numbers to answer: those of ``tasks``, at most ``per_pair`` per data source, spread evenly over the file."""
    by_pair, known = defaultdict(list), set()
    for index, data_source in enumerate(data_sources):
        task = data_source.rsplit("/", 1)[-1]
        known.add(task)
        if tasks is None or task in tasks:
            by_pair[data_source].append(index)
    missing = [task for task in tasks or () if task not in known]
    if missing or not by_pair:
        raise AnswersError(
            f"no row of {' '.join(missing) or 'any task'}; the file has {' '.join(sorted(known)) or 'none'}"
        )
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
    engines: int = 1,
) -> None:
    """Write the answers file ``out``; return at once if it is complete and was made from the same inputs.

    An interrupted call leaves ``out`` with ``.part`` at its end, which a call with the same inputs continues. Inputs
    are the same by their content, wherever they lie.

    Args:
        model: folder of a Hugging Face checkpoint.
        data: Parquet of data_preprocess.
        n: answers per row; ``temperature`` 0 is greedy (then n = 1).
        max_tokens: of an answer. The benchmark's own inference uses 256.
        tasks, per_pair: which rows, see `rows_to_answer`.
        template: wording around each question, see recipe/medgrpo/model_inputs/prompt_templates.py.
        chat_template: format of the turns (Jinja), for a base model that has none; default: the model's own.
        engines: vLLM engines that share the rows. How many does not belong to the inputs.
    """
    check_outputs(out, begins_with(rb'{"meta": |$'), inputs=[data])
    sources = pq.read_table(data, columns=["data_source"])["data_source"].to_pylist()
    indices = rows_to_answer(sources, tasks, per_pair)
    meta = {
        "model": {"path": str(model), "sha256": weights_fingerprint(model) or str(model)},
        "data": {"path": str(data), "sha256": file_fingerprint(data)},
        "decoding": {"n": n, "temperature": temperature, "max_tokens": max_tokens, "seed": seed},
        "rows": {"tasks": tasks, "per_pair": per_pair},
        "template": template,
        "chat_template": chat_template,
        "answers": len(indices) * n,
    }
    head, kept = json.dumps({"meta": meta}).encode(), []
    if out.exists():
        content = out.read_bytes()
        kept = _kept(content, meta, indices, n)
        if len(kept) == meta["answers"]:
            if not content.startswith(head + b"\n"):
                # The inputs have moved, and a submission looks for the rows at their place.
                write_whole(out, b"\n".join([head, *kept, b""]))
            print(f"{out}: up to date")
            return
    out.parent.mkdir(parents=True, exist_ok=True)
    part = out.with_name(out.name + ".part")
    with part.open("a+b") as file:
        # It may have got its final name between being opened and being locked.
        if not lock(file.fileno(), part) or not part.exists() or os.fstat(file.fileno()).st_ino != part.stat().st_ino:
            raise AnswersError(f"{out} is being written by another command: wait for its end, or give another --out")
        file.seek(0)
        content = file.read()
        kept = max(kept, _kept(content, meta, indices, n), key=len)
        whole = b"\n".join([head, *kept, b""])
        if content.startswith(whole):
            file.truncate(len(whole))
        else:
            file.truncate(0)
            file.write(whole)
            file.flush()
        if kept:
            print(f"{part}: goes on after {len(kept) // n} of {len(indices)} rows", flush=True)
        missing = indices[len(kept) // n :]
        rows = pq.read_table(data).take(pa.array(missing, pa.int64()))
        completions_of = answer_rows(Policy(model, meta["decoding"], template, chat_template), rows, engines)
        answers = zip(missing, rows["data_source"].to_pylist(), completions_of, strict=True)
        with tqdm(total=len(indices), initial=len(indices) - len(missing), desc="answers", unit="row") as bar:
            for index, data_source, completions in answers:
                for sample, completion in enumerate(completions):
                    file.write(_line(index, sample, data_source, completion))
                # So that whoever is killed leaves whole rows behind.
                file.flush()
                bar.update()
        os.replace(part, out)


def _line(index: int, sample: int, data_source: str, completion: Completion) -> bytes:
    line = {
        "index": index,
        "sample": sample,
        "data_source": data_source,
        "response": completion.text,
        "num_tokens": completion.num_tokens,
        "finish_reason": completion.finish_reason,
    }
    return json.dumps(line, ensure_ascii=False).encode() + b"\n"


def _kept(content: bytes, meta: dict, indices: list[int], n: int) -> list[bytes]:
    """Lines of an earlier call with the same inputs that can be kept: whole rows before the first broken line."""
    head, *lines = content.split(b"\n")[:-1] or [b""]
    kept = []
    with contextlib.suppress(ValueError, KeyError, TypeError):
        if _without_places(json.loads(head)["meta"]) == _without_places(meta):
            for line, place in zip(lines, itertools.product(indices, range(n)), strict=False):
                answer = json.loads(line)
                if (answer["index"], answer["sample"]) != place:
                    break
                kept.append(line)
    return kept[: len(kept) // n * n]


def _without_places(meta: dict) -> dict:
    return meta | {name: {**meta[name], "path": None} for name in ("model", "data")}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", type=Path, required=True, help="Hugging Face checkpoint folder")
    parser.add_argument("--data", type=Path, required=True, help="Parquet of data_preprocess")
    parser.add_argument("--out", type=Path, required=True, help="answers file to write (JSON lines)")
    add_decoding(parser)
    parser.add_argument("--tasks", nargs="+", help="only these tasks")
    add_per_pair(parser)
    add_wording(parser)


def add_per_pair(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--per-pair", type=at_least(1), help="at most so many rows per data source")


def add_decoding(parser: argparse.ArgumentParser, count: str = "--n") -> None:
    """How answers are sampled, and on how many engines; `decoding` reads it."""
    words = "answers per row; several need a temperature"
    parser.add_argument(count, dest="n", type=at_least(1), default=1, help=words)
    parser.add_argument("--temperature", type=_temperature, default=0.0, help="0 is greedy")
    parser.add_argument("--max-tokens", type=at_least(1), default=256, help="tokens per answer")
    parser.add_argument("--seed", type=int, default=0, help="of the sampler")
    words = "vLLM engines that share the rows: GPUs, or parts of the processor"
    parser.add_argument("--engines", type=at_least(1), default=1, help=words)


def decoding(args: argparse.Namespace) -> dict[str, Any]:
    return {key: getattr(args, key) for key in ("n", "temperature", "max_tokens", "seed", "engines")}


def add_wording(parser: argparse.ArgumentParser) -> None:
    """What a prompt looks like around its question."""
    parser.add_argument("--template", choices=TEMPLATES, help="wording around each question")
    words = "format of the turns (Jinja), for a base model without one"
    parser.add_argument("--chat-template", type=_text_of, metavar="FILE", help=words)


def wording(args: argparse.Namespace) -> dict[str, Any]:
    return {"template": args.template, "chat_template": args.chat_template}


def _temperature(text: str) -> float:
    value = float(text)
    if not (math.isfinite(value) and value >= 0):
        raise argparse.ArgumentTypeError(f"{text} is no temperature")
    return value


def _text_of(file: str) -> str:
    try:
        return Path(file).read_text(encoding="utf-8")
    except OSError as error:
        raise argparse.ArgumentTypeError(f"{file} cannot be read: {error.strerror}") from None


def run(args: argparse.Namespace) -> int:
    folder = check_inputs(args.model, args.data, args.n, args.temperature)
    rows = {"tasks": args.tasks, "per_pair": args.per_pair}
    generate(folder, args.data, args.out, **decoding(args), **rows, **wording(args))
    print(args.out)
    return 0
