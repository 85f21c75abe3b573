# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Captions of built records: two models write them (write), agreement and rules sift them (validate), people review."""

from __future__ import annotations

import argparse
import contextlib
import json
import math
from collections import Counter
from collections.abc import Iterator
from itertools import combinations, islice
from pathlib import Path
from typing import Any

import orjson
from pydantic import ValidationError

from data_preprocess.common.atomic_file import whole_file
from data_preprocess.common.cli_types import at_least
from data_preprocess.common.errors import InputError
from recipe.medgrpo.captions import author, review, validate
from recipe.medgrpo.captions.request import Request, read_requests
from reward_score.judge.config import JudgeConfig, complaints


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    writing = actions.add_parser("write", help="two models write a caption for each request")
    sifting = actions.add_parser("validate", help="keep captions on which both models agree and that break no rule")
    for action in (writing, sifting):
        action.add_argument("requests", type=Path, nargs="+", help="SOURCE_captions.jsonl of medgrpo data build")
        action.add_argument("--captions", type=Path, required=True, help="file of the replies; it is also the cache")
    two = {"nargs": 2, "metavar": tuple(slot.upper() for slot in author.SLOTS)}
    writing.add_argument("--models", **two, default=["gpt-4.1", "gemini-2.5-flash"], help="names at their endpoints")
    writing.add_argument("--urls", **two, required=True, help="OpenAI-compatible addresses, ending in /v1")
    writing.add_argument("--keys", **two, default=["OPENAI_API_KEY", "GEMINI_API_KEY"], help="environment variables")
    writing.add_argument("--prices", type=float, nargs=4, metavar="USD", help="per million tokens: in, out, in, out")
    writing.add_argument("--frames", type=at_least(1), default=16, help="frames that a model is shown")
    writing.add_argument("--limit", type=at_least(1), help="requests of each file at most")
    writing.add_argument("--concurrency", type=int, default=16, help="requests in flight to each endpoint")
    writing.add_argument("--rpm", type=int, help="requests per minute to each endpoint")
    writing.add_argument("--deadline", type=float, default=300, help="seconds for a caption, retries included")
    writing.add_argument("--max-tokens", type=int, default=1024, help="of a reply")
    writing.add_argument("--max-cost", type=float, metavar="USD", help="do not start above this estimate")
    writing.add_argument("--dry-run", action="store_true", help="only say what it would cost")
    sifting.add_argument("--out", type=Path, required=True, help="folder for captioned.json and rejected.jsonl")
    sifting.add_argument("--threshold", type=float, default=validate.THRESHOLD, help="least similarity")
    sifting.add_argument("--review", type=at_least(0), metavar="N", help="write review.html with N clips")
    sifting.add_argument("--reviewed", type=Path, nargs="+", default=[], help="files that reviewers saved")


def run(args: argparse.Namespace) -> int:
    return _write(args) if args.action == "write" else _validate(args)


def _authors(args: argparse.Namespace) -> list[author.Author]:
    prices = args.prices or [None] * 4
    found = []
    for place, slot in enumerate(author.SLOTS):
        options: dict[str, Any] = {"model": args.models[place], "base_url": args.urls[place], "cache": None}
        options |= {"concurrency": args.concurrency, "rpm": args.rpm, "deadline": args.deadline}
        options |= {"max_tokens": args.max_tokens, "request_timeout": min(120.0, args.deadline)}
        options |= {"price_input": prices[2 * place], "price_output": prices[2 * place + 1]}
        try:
            config = JudgeConfig(**options)
        except ValidationError as error:
            raise InputError(f"options of {slot}: {complaints(error)}") from None
        found.append(author.Author(slot, config, args.keys[place], args.frames))
    return found


def _requests(args: argparse.Namespace) -> Iterator[Request]:
    for path in args.requests:
        yield from islice(read_requests(path), getattr(args, "limit", None))


def _write(args: argparse.Namespace) -> int:
    authors = _authors(args)
    guesses = author.estimate(_requests(args), authors, author.known_captions(args.captions))
    for one, (count, tokens_in, tokens_out, cost) in zip(authors, guesses, strict=True):
        price = "cost unknown (--prices)" if math.isnan(cost) else f"about {cost:,.2f} USD"
        tokens = f"{tokens_in / 1e6:,.2f} M tokens in, {tokens_out / 1e6:,.2f} M out"
        print(f"{one.slot} ({one.config.model}): {count:,} captions, {tokens}, {price}", flush=True)
    total = sum(guess[3] for guess in guesses)
    # Also where a price is unknown: a comparison with NaN is false.
    if args.max_cost is not None and not total <= args.max_cost:
        raise InputError(f"the estimate of {total:,.2f} USD is above --max-cost {args.max_cost:g} (nan: set --prices)")
    if args.dry_run:
        return 0
    done = author.write(_requests(args), authors, args.captions)
    tally = done.tally
    print(f"{done.written} written, {done.kept} there already, {done.failed} failed; {tally.requests} requests, "
          f"{tally.input_tokens} + {tally.output_tokens} tokens: {args.captions}")  # fmt: skip
    if done.failed:
        print(f"the first failure: {done.reason}. Run the command again: it asks for what is missing alone")
    return int(done.failed > 0)


def _validate(args: argparse.Namespace) -> int:
    from reward_score.similarity import SentenceEncoder

    if not args.captions.is_file():
        raise InputError(f"{args.captions} is no file. Give the file of medgrpo captions write with --captions")
    reviews = [review.read_review(path) for path in args.reviewed]
    captions = author.known_captions(args.captions)
    names = {f"{key}/{slot}" for key, slot, _ in captions}
    for path, found in zip(args.reviewed, reviews, strict=True):
        if others := len(found.keys() - names):
            print(f"note: {path}: {others} of its {len(found)} verdicts are about captions that {args.captions} lacks")
    pairs = validate.pair_up(_requests(args), captions)
    judged = review.apply_reviews(validate.judge_pairs(pairs, SentenceEncoder(), args.threshold), reviews)
    args.out.mkdir(parents=True, exist_ok=True)
    kept, dropped, shown, lacking = Counter(), Counter(), [], 0
    with contextlib.ExitStack() as stack:
        names = [stack.enter_context(whole_file(args.out / name)) for name in ("captioned.json", "rejected.jsonl")]
        good, bad = (stack.enter_context(name.open("wb")) for name in names)
        separator = b"[\n"
        for pair in judged:
            lacking += not pair.captions
            for slot in pair.captions:
                if reason := pair.reasons.get(slot):
                    dropped[reason.split(" ")[0]] += 1
                    bad.write(json.dumps(pair.rejected(slot), ensure_ascii=False).encode() + b"\n")
                else:
                    record = validate.record_with(pair, slot)
                    kept[record["data_source"], record["qa_type"]] += 1
                    good.write(separator + orjson.dumps(record))
                    separator = b",\n"
            if args.review:
                shown.append(pair)
        if not kept and not dropped:
            raise InputError(f"{args.captions} holds no caption of these {lacking} requests. Nothing was written")
        good.write(b"[]\n" if separator == b"[\n" else b"\n]\n")
    for (source, kind), count in sorted(kept.items()):
        print(f"{source} {kind}: {count} kept")
    print(f"{dropped.total()} captions rejected: {args.out / 'rejected.jsonl'}")
    if lacking:
        print(f"{lacking} requests have no caption in {args.captions}")
    if args.review:
        count = review.write_page(shown, args.out / "review.html", args.review)
        print(f"{count} clips to review: {args.out / 'review.html'}")
    for (first, one), (second, other) in combinations(zip(args.reviewed, reviews, strict=True), 2):
        both, agreed, kappa = review.agreement(one, other)
        result = f"{agreed:.0%} agreement, Cohen's kappa {kappa:.2f}" if both else "no agreement to tell"
        print(f"{first.name} and {second.name}: {both} captions in common, {result}")
    return 0
