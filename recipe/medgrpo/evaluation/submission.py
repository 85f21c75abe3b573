# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Writes a leaderboard submission from a checkpoint's answers to the test file, and checks it, or an existing one."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console

from recipe.medgrpo.common.outputs import begins_with, check_outputs
from recipe.medgrpo.common.run_folder import read_jsonl
from recipe.medgrpo.evaluation.answers import AnswersError, read_answers
from recipe.medgrpo.evaluation.leaderboard import warn
from reward_score.leaderboard import check_submission, write_submission
from reward_score.leaderboard.submission import read_json, require_records


class FileAnswer(NamedTuple):
    """An answer to the ``record``-th record of the test file; ``where`` names it in messages."""

    record: int
    qa_type: str
    response: str
    where: str


def add_arguments(parser: argparse.ArgumentParser) -> None:
    source = parser.add_mutually_exclusive_group(required=True)
    words = "files of `medgrpo generate` (the test set has no answers)"
    source.add_argument("--answers", type=Path, nargs="+", help=words)
    source.add_argument("--results", type=Path, nargs="+", help="files results.jsonl of `medgrpo evaluate`")
    source.add_argument("--samples", type=Path, nargs="+", help="files of lmms-eval's --log_samples, one per task")
    source.add_argument("--check", type=Path, help="existing submission to check; nothing is written")
    words = "the test file (JSON array) the rows came from"
    parser.add_argument("--ground-truth", type=Path, required=True, help=words)
    parser.add_argument("--out", type=Path, help="submission to write (JSON array); needed unless --check")


def run(args: argparse.Namespace) -> int:
    if (args.out is None) == (args.check is None):
        raise AnswersError("give --out, the submission to write, or --check, one to check; not both")
    if args.out:
        inputs = [args.ground_truth, *(args.answers or ()), *(args.results or ()), *(args.samples or ())]
        check_outputs(args.out, begins_with(rb'\[\s*{\s*"id": [^{}]*"prediction": |$'), inputs=inputs)
    test_file = str(args.ground_truth)
    records = require_records(read_json(test_file), test_file)
    if args.check is None:
        given = {from_answers: args.answers, from_results: args.results, from_samples: args.samples}
        answers = next(read(files) for read, files in given.items() if files)
        write_submission(records, in_file_order(answers, records, args.ground_truth), args.out, test_file)
    path = args.check or args.out
    console = Console()
    for warning in check_submission(path, test_file):
        warn(console, warning)
    console.print(f"{path}: {len(records)} predictions, checked against {test_file}", soft_wrap=True)
    return 0


def from_answers(files: Sequence[Path]) -> Iterable[FileAnswer]:
    """First samples of answers files; the rows are looked up in the Parquet file that each names in its meta line."""
    for path in files:
        for answer in read_answers(path)[1]:
            extra = answer.row.extra_info
            if answer.sample == 0:
                where = f"{path}, row {answer.row.index}"
                yield FileAnswer(extra.get("index"), extra.get("qa_type"), answer.response, where)


def from_results(files: Sequence[Path]) -> Iterable[FileAnswer]:
    """First samples of results files."""
    for path in files:
        for result in read_jsonl(path, "medgrpo evaluate"):
            where = f"{path}, row {result.get('index')}"
            if lacking := [name for name in ("sample", "record", "qa_type", "response") if name not in result]:
                raise AnswersError(f"{where}: lacks {', '.join(lacking)}; write it anew with medgrpo evaluate")
            if result["sample"] == 0:
                yield FileAnswer(result["record"], result["qa_type"], result["response"], where)


def from_samples(files: Sequence[Path]) -> Iterable[FileAnswer]:
    """Answers of the task files that recipe/medgrpo/lmms_eval gives to lmms-eval."""
    for path in files:
        for number, sample in enumerate(read_jsonl(path, "lmms-eval --log_samples"), start=1):
            where, needed = f"{path}, line {number}", {"index", "qa_type", "prediction"}
            found = (value for value in sample.values() if isinstance(value, dict) and needed <= value.keys())
            record = next(found, None)
            if record is None:
                raise AnswersError(f"{where}: no sample of a medvidbench task; give the files that lmms-eval wrote")
            yield FileAnswer(record["index"], record["qa_type"], record["prediction"], where)


def in_file_order(answers: Iterable[FileAnswer], records: Sequence[dict[str, Any]], test_file: Path) -> list[str]:
    """One response per record of the test file, in its order; all records have one, and all answers a record."""
    responses: dict[int, str] = {}
    for record, qa_type, response, where in answers:
        if not isinstance(record, int) or not isinstance(response, str):
            raise AnswersError(
                f"{where}: record {record!r} and a response of type {type(response).__name__}; needed are the position "
                "in the test file and a text"
            )
        if not 0 <= record < len(records) or records[record].get("qa_type") != qa_type:
            raise AnswersError(
                f"{where}: answers record {record} ({qa_type}), which {test_file} does not have; make the rows from "
                "that very file with data_preprocess.medvidbench"
            )
        if record in responses:
            raise AnswersError(f"{where}: a second answer to record {record} of {test_file}")
        responses[record] = response
    missing = [index for index in range(len(records)) if index not in responses]
    if missing:
        raise AnswersError(
            f"{len(missing)} of {len(records)} records of {test_file} have no answer (first: {missing[0]}); give the "
            "files of all splits, and see failed.jsonl of data_preprocess.medvidbench"
        )
    return [responses[index] for index in range(len(records))]
