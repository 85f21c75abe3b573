# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Writes a leaderboard submission from a checkpoint's answers to the test file, and checks it, or an existing one."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console

from recipe.medgrpo.common.run_folder import read_jsonl
from recipe.medgrpo.evaluation.answers import AnswersError, read_answers, read_rows
from reward_score.leaderboard import check_submission, write_submission
from reward_score.leaderboard.submission import read_json, require_records


class Entry(NamedTuple):
    """An answer to the ``record``-th item of the test file; ``where`` names it in messages."""

    record: int
    qa_type: str
    response: str
    where: str


def add_arguments(parser: argparse.ArgumentParser) -> None:
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "--answers", type=Path, nargs="+", help="files of `medgrpo generate` (the test set has no answers)"
    )
    source.add_argument("--results", type=Path, nargs="+", help="files results.jsonl of `medgrpo evaluate`")
    source.add_argument("--check", type=Path, help="existing submission to check; nothing is written")
    parser.add_argument(
        "--ground-truth", type=Path, required=True, help="the test file (JSON array) the rows came from"
    )
    parser.add_argument("--out", type=Path, help="submission to write (JSON array); needed unless --check")


def run(args: argparse.Namespace) -> int:
    if (args.out is None) == (args.check is None):
        raise AnswersError("give --out, the submission to write, or --check, one to check; not both")
    test_file = str(args.ground_truth)
    items = require_records(read_json(test_file), test_file)
    if args.check is None:
        entries = from_answers(args.answers) if args.answers else from_results(args.results)
        write_submission(items, in_file_order(entries, items, args.ground_truth), args.out, test_file)
    path = args.check or args.out
    warnings = check_submission(path, test_file)
    console = Console()
    for warning in warnings:
        console.print(f"[yellow]warning:[/yellow] {warning}")
    console.print(f"{path}: {len(items)} predictions, checked against {test_file}", soft_wrap=True)
    return 0


def from_answers(files: Sequence[Path]) -> Iterable[Entry]:
    """First samples of answers files; the rows are looked up in the Parquet file that each names in its meta line."""
    for path in files:
        meta = read_jsonl(path, "medgrpo generate")[:1]
        if not meta or "meta" not in meta[0]:
            raise AnswersError(f"{path}, line 1: expected {{'meta': ...}}; write it anew with medgrpo generate")
        _, answers = read_answers(path, read_rows(Path(meta[0]["meta"]["data"]["path"])))
        for answer in answers:
            extra = answer.row.extra_info
            if answer.sample == 0:
                where = f"{path}, row {answer.row.index}"
                yield Entry(extra.get("index"), extra.get("qa_type"), answer.response, where)


def from_results(files: Sequence[Path]) -> Iterable[Entry]:
    """First samples of results files."""
    for path in files:
        for result in read_jsonl(path, "medgrpo evaluate"):
            where = f"{path}, row {result.get('index')}"
            if lacking := [name for name in ("sample", "record", "qa_type", "response") if name not in result]:
                raise AnswersError(f"{where}: lacks {', '.join(lacking)}; write it anew with medgrpo evaluate")
            if result["sample"] == 0:
                yield Entry(result["record"], result["qa_type"], result["response"], where)


def in_file_order(entries: Iterable[Entry], items: Sequence[dict[str, Any]], test_file: Path) -> list[str]:
    """One response per item of the test file, in its order.

    Errors:
        AnswersError: an answer is no text, belongs to no item or to one of another qa_type (rows made from another
            file), an item has two answers, or items have none.
    """
    responses: dict[int, str] = {}
    for entry in entries:
        if not isinstance(entry.record, int) or not isinstance(entry.response, str):
            raise AnswersError(
                f"{entry.where}: record {entry.record!r} and a response of type {type(entry.response).__name__}; "
                "needed are the position in the test file and a text"
            )
        if not 0 <= entry.record < len(items) or items[entry.record].get("qa_type") != entry.qa_type:
            raise AnswersError(
                f"{entry.where}: answers record {entry.record} ({entry.qa_type}), which {test_file} does not have; "
                "make the rows from that very file with data_preprocess.medvidbench"
            )
        if entry.record in responses:
            raise AnswersError(f"{entry.where}: a second answer to record {entry.record} of {test_file}")
        responses[entry.record] = entry.response
    missing = [index for index in range(len(items)) if index not in responses]
    if missing:
        raise AnswersError(
            f"{len(missing)} of {len(items)} records of {test_file} have no answer (first: {missing[0]}); give the "
            "files of all splits, and see failed.jsonl of data_preprocess.medvidbench"
        )
    return [responses[index] for index in range(len(items))]
