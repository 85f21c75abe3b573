# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Answers in the groups and batches in which a training compares them: of ``medgrpo generate``, or a run's rollouts."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from recipe.medgrpo.common.run_folder import ROLLOUT_KEYS, RunDirError, read_jsonl
from recipe.medgrpo.evaluation.answers import Answer, AnswersError, Row, read_answers, read_rows

WRITER = "a run with trainer.rollout_data_dir"


class Answered(NamedTuple):
    """One answer, its batch (step of the training; 0 for a file), its prompt there, and a run's reward for it."""

    answer: Answer
    batch: int
    group: Hashable
    score: float | None = None


def any_compared(answers: Iterable[Answered]) -> bool:
    """Whether two of them are to one prompt, as advantages need."""
    return max(Counter((one.batch, one.group) for one in answers).values(), default=0) > 1


def of_file(path: Path, data: Path | None = None) -> tuple[dict[str, Any], list[Answered]]:
    """The file's ``meta`` and its answers, as one batch; ``data`` is by default the Parquet file that it names."""
    meta, answers = read_answers(path, None if data is None else read_rows(data))
    found = [Answered(answer, 0, answer.row.index) for answer in answers]
    if not any_compared(found):
        raise AnswersError(
            f"{path} has no two answers to one row, and advantages compare several: "
            "run medgrpo generate --n 8 --temperature 1"
        )
    return meta, found


def of_rollouts(
    folder: Path,
    rows: Sequence[Row],
    count_tokens: Callable[[str], int],
    max_tokens: int,
    steps: set[int] | None = None,
) -> list[Answered]:
    """The answers that a run sampled in training to ``rows``, one batch for each step (``steps`` None: for all).

    verl writes prompts and answers as text. Rows are found again by question and reference. Tokens are counted anew,
    and the one that ends an answer is added; an answer of more than ``max_tokens`` counts as cut.
    """
    files = {int(file.stem): file for file in folder.glob("*.jsonl") if file.stem.isdecimal()}
    if missing := sorted(set(steps or ()) - files.keys()):
        raise RunDirError(f"{folder} lacks the steps {', '.join(map(str, missing))}")
    chosen = sorted(files.keys() & steps if steps else files)
    if not chosen:
        raise RunDirError(f"{folder} holds no <step>.jsonl: these are written by {WRITER}")
    find, found = _finder(rows), []
    for step in chosen:
        for number, line in enumerate(read_jsonl(files[step], WRITER, keys=ROLLOUT_KEYS), start=1):
            where = f"{files[step]}, line {number}"
            group, sample = _sampled(line, where)
            row = find(line["input"], line["gts"], where)
            tokens = count_tokens(line["output"]) + 1
            reason = "length" if tokens > max_tokens else "stop"
            answer = Answer(row, sample, line["output"], min(tokens, max_tokens), reason)
            found.append(Answered(answer, step, group, line["score"]))
    if not any_compared(found):
        raise AnswersError(
            f"{folder} has no two answers to one prompt in these steps, and advantages compare several: "
            "replay a run with actor_rollout_ref.rollout.n above 1"
        )
    return found


def _sampled(line: dict[str, Any], where: str) -> tuple[str, int]:
    """Prompt and number of a sampled answer."""
    uid = re.fullmatch(r"(.+)_(\d+)_\d+", str(line["uid"]))
    odd = [key for key in ROLLOUT_KEYS if not isinstance(line[key], int | float if key == "score" else str)]
    if uid is None or odd:
        key = odd[0] if odd else "uid"
        raise AnswersError(
            f"{where}: {key} is {line[key]!r}, which `medgrpo train` does not write: give the folder of such a run"
        )
    return uid[1], int(uid[2])


def _finder(rows: Sequence[Row]) -> Callable[[str, str, str], Row]:
    by_truth: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        by_truth[row.ground_truth].append(row)

    def find(prompt: str, truth: str, where: str) -> Row:
        asked = [row for row in by_truth[truth] if row.extra_info["question"] in prompt]
        # A question may lie within a longer one.
        longest = max((len(row.extra_info["question"]) for row in asked), default=0)
        asked = [row for row in asked if len(row.extra_info["question"]) == longest]
        if len({row.data_source for row in asked}) != 1:
            what = "rows of several sources" if asked else "no row"
            raise AnswersError(
                f"{where}: {what} of the data have this question and reference: "
                "give the file that was trained on (--data)"
            )
        return asked[0]

    return find
