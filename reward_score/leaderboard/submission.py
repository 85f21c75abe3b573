# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Files of the MedVidBench leaderboard: reading predictions and ground truth, writing and checking a submission."""

import json
import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field, ValidationError

from reward_score.errors import BadSubmission
from reward_score.json_file import write_json
from reward_score.judge.config import complaints

FULL_TEST_SIZE = 6245
SMALLEST_SUBMISSION = 100

# qa_type of the released data to task; the caption tasks exist in a _gpt and a _gemini variant.
_QA_TASKS = {
    "tal": "tag",
    "stg": "stg",
    "video_summary": "vs",
    "vs": "vs",
    "region_caption": "rc",
    "rc": "rc",
    "dense_captioning": "dvc",
    "dense_caption": "dvc",
    "dvc": "dvc",
    "dc": "dvc",
    "next_action": "nap",
    "skill_assessment": "sa",
    "cvs_assessment": "cvs",
}

_EXTENTS = (
    ("input_video_start_frame", "input_video_end_frame"),
    ("start_frame", "end_frame"),
    ("input_video_start_time", "input_video_end_time"),
)


@dataclass(frozen=True, slots=True)
class Record:
    """One benchmark item with its prediction, at its place `index` of the ground-truth file. `task` is None if the
    qa_type is none of the benchmark's; `struc_info` and `fps` are as in the record, unchecked.
    """

    index: int
    task: str | None
    source: str
    prediction: str
    question: str
    answer: str
    struc_info: Any
    fps: Any


def task_of_qa_type(qa_type: Any, extra_tasks: Collection[str] = ()) -> str | None:
    """Task of a qa_type in any case, e.g. ``dense_captioning_gpt`` to ``dvc``; None if unknown.

    Like in the official evaluators, an unknown name that contains ``tal`` is TAG and one that contains ``stg`` is STG.
    """
    name = qa_type.lower() if isinstance(qa_type, str) else ""
    if name in extra_tasks:
        return name
    known = _QA_TASKS.get(name) or _QA_TASKS.get(name.removesuffix("_gpt").removesuffix("_gemini"))
    return known or next((_QA_TASKS[alias] for alias in ("tal", "stg") if alias in name), None)


class _Turn(BaseModel):
    role: Any = Field(None, alias="from")
    value: str | None = None


class _Item(BaseModel):
    """What is read of a ground-truth item."""

    id: Any = None
    qa_type: Any = None
    data_source: str | None = None
    dataset_name: str | None = None
    question: str | None = None
    answer: str | None = None
    conversations: list[_Turn] | None = None
    struc_info: Any = Field(default_factory=list)
    metadata: dict[str, Any] | None = None

    @classmethod
    def read(cls, item: Any, where: str) -> "_Item":
        try:
            return cls.model_validate(item)
        except ValidationError as error:
            raise BadSubmission(f"{where}: {complaints(error)}") from None


# First bytes of files that are often taken for a JSON file, and what to do.
_NO_JSON = (
    (b"\x1f\x8b", "it is packed by gzip; unpack it"),
    (b"PK\x03\x04", "it is a zip archive; unpack it"),
    (b"version https://git-lfs", "it is the pointer of Git LFS in place of the file; fetch it with git lfs pull"),
    (b"<", "it is a web page in place of the file; download it again"),
    (b"PAR1", "it is a Parquet file"),
)


def read_json(path: str | os.PathLike) -> Any:
    """Content of a JSON file in any encoding that JSON has, marked or not; one value a line is read as their list."""
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise BadSubmission(f"cannot read {path}: {error.strerror}") from None
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        reason = next((said for start, said in _NO_JSON if content.lstrip().startswith(start)), str(error))
    lines = [line for line in content.splitlines() if line.strip()]
    try:
        if len(lines) > 1 and all(line.startswith((b"{", b"\xef\xbb\xbf{")) for line in lines):
            return list(map(json.loads, lines))
    except (ValueError, RecursionError) as error:
        reason = f"as lines of JSON: {error}"
    raise BadSubmission(f"{path} is no JSON file: {reason}")


def _rows(content: Any, name: str) -> list[Any]:
    """Rows of a submission or results file by index."""
    if isinstance(content, list):
        return content
    if not isinstance(content, dict):
        raise BadSubmission(f"{name}: must be a list of predictions or a dict by index, not {type(content).__name__}")
    # By rank, a single missing answer would move all later ones to other records.
    if missing := [i for i in range(len(content)) if str(i) not in content]:
        raise BadSubmission(
            f'{name}: a results file must be keyed by index, "0" to "{len(content) - 1}" for its {len(content)} items; '
            f'"{missing[0]}" is missing'
        )
    return [content[str(i)] for i in range(len(content))]


def predictions_of(content: Any, name: str = "predictions") -> list[str]:
    """Texts of a submission (list of {id, qa_type, prediction}) or of a results file (dict by index, or list, of items
    with ``answer``), in the order of their index.

    Raises:
        BadSubmission: another form, or a prediction that is not text, which breaks the official code.
    """
    texts = []
    for i, row in enumerate(_rows(content, name)):
        if not isinstance(row, dict) or not ("prediction" in row or "answer" in row):
            raise BadSubmission(f"{name}: item {i} needs a text `prediction` (or `answer`, in a results file)")
        text = row.get("prediction", row.get("answer"))
        if not isinstance(text, str):
            raise BadSubmission(
                f'{name}: the prediction of item {i} is {type(text).__name__}, must be text; use "" for no answer'
            )
        texts.append(text)
    return texts


def mismatches(content: Any, ground_truth: Sequence[Mapping[str, Any]]) -> tuple[list[int], dict[int, tuple[str, str]]]:
    """Positions where the predictions name another qa_type than the ground truth; and those of another id, with the
    predictions' and the record's, where both have one."""
    qa_types, ids = [], {}
    for i, (row, item) in enumerate(zip(_rows(content, "predictions"), ground_truth, strict=False)):
        if row.get("qa_type", item.get("qa_type")) != item.get("qa_type"):
            qa_types.append(i)
        said, known = row.get("id"), _ids(_Item.read(item, f"record {i}"))
        if said not in (None, "") and known and str(said) not in known:
            ids[i] = str(said), known[0]
    return qa_types, ids


def require_records(content: Any, name: str = "the ground truth") -> list[dict[str, Any]]:
    """A ground-truth or test file's records; `name` is the file's."""
    if not isinstance(content, list):
        raise BadSubmission(f"{name} must be a JSON array of MedVidBench records")
    for index, item in enumerate(content):
        if not isinstance(item, dict):
            raise BadSubmission(f"{name}: record {index} is {type(item).__name__}, must be a dict")
    return content


def merge(
    predictions: Sequence[str], ground_truth: Any, name: str = "the ground truth", extra_tasks: Collection[str] = ()
) -> list[Record]:
    """Records by array position, as the leaderboard merges them; ids are not used. `name` is the ground truth's file.

    Raises:
        BadSubmission: not a list of records, of another length than the predictions, or a record has a field of another
            type.
    """
    items = require_records(ground_truth, name)
    if len(predictions) != len(items):
        raise BadSubmission(
            f"{len(predictions)} predictions for {len(items)} records of {name}; both files must have the same items "
            "in the same order"
        )
    read = (_Item.read(item, f"{name}: record {i}") for i, item in enumerate(items))
    return [_record(i, text, item, extra_tasks) for i, (text, item) in enumerate(zip(predictions, read, strict=True))]


def _record(index: int, prediction: str, item: _Item, extra_tasks: Collection[str]) -> Record:
    question, answer = item.question or "", item.answer or ""
    for turn in item.conversations or ():
        if turn.role in ("human", "user"):
            question = (turn.value or "").replace("<video>\n", "").replace("<video>", "")
        elif turn.role in ("gpt", "assistant"):
            answer = turn.value or ""
    named = item.data_source if item.data_source != "Unknown" else None
    return Record(
        index=index,
        task=task_of_qa_type(item.qa_type, extra_tasks),
        source=named or item.dataset_name or "Unknown",
        prediction=prediction,
        question=question,
        answer=answer,
        struc_info=item.struc_info,
        fps=(item.metadata or {}).get("fps", 1.0),
    )


def _ids(item: _Item) -> list[str]:
    """A record's own ``id``, and ``video_id&&start&&end&&fps`` from its metadata (frames before times), if any."""
    own = [] if item.id in (None, "") else [str(item.id)]
    metadata = item.metadata or {}
    for start, end in _EXTENTS:
        if start in metadata and end in metadata:
            parts = (metadata.get("video_id"), metadata[start], metadata[end], metadata.get("fps"))
            return [*own, "&&".join(map(str, parts))]
    return own


def sample_id(item: Mapping[str, Any], where: str = "record") -> str:
    """A record's own ``id``, otherwise ``video_id&&start&&end&&fps`` from its metadata."""
    read = _Item.read(item, where)
    if ids := _ids(read):
        return ids[0]
    video = (read.metadata or {}).get("video_id")
    raise BadSubmission(f"{where} of video {video!r} has neither an id nor a start and an end")


def write_submission(
    records: Iterable[Mapping[str, Any]], answers: Sequence[str], path: str | os.PathLike, name: str = "the test file"
) -> Path:
    """Write a submission, whole or not at all: one {id, qa_type, prediction} per record, in the order of the test file,
    which messages call `name`.

    Raises:
        BadSubmission: numbers differ, an answer is not text, a record has no id, or the file cannot be written.
    """
    records = require_records(list(records), name)
    if len(records) != len(answers):
        raise BadSubmission(f"{len(answers)} answers for {len(records)} records of {name}")
    rows = [
        {**_identity(item, f"{name}: record {i}"), "prediction": answer}
        for i, (item, answer) in enumerate(zip(records, answers, strict=True))
    ]
    predictions_of(rows, "answers")
    try:
        return write_json(path, rows)
    except OSError as error:
        raise BadSubmission(f"cannot write {path}: {error.strerror}") from None


def _identity(item: Mapping[str, Any], where: str) -> dict[str, Any]:
    return {"id": sample_id(item, where), "qa_type": item.get("qa_type")}


def check_submission(path: str | os.PathLike, test_file: str | os.PathLike | None = None) -> list[str]:
    """Check a submission against the leaderboard's rules and, if given, against the test file, which needs no answers.

    Returns:
        Warnings, in words: another size than the full test set's, empty predictions.

    Raises:
        BadSubmission: what the leaderboard cannot score, or would score in the wrong place.
    """
    rows = read_json(path)
    if not isinstance(rows, list):
        raise BadSubmission(f"{path}: a submission is a JSON array, not {type(rows).__name__}")
    texts = predictions_of(rows, str(path))
    for i, row in enumerate(rows):
        if set(row) != {"id", "qa_type", "prediction"}:
            raise BadSubmission(f"{path}: item {i} must have exactly id, qa_type and prediction, has {sorted(row)}")
    if test_file is not None:
        items = read_json(test_file)
        merge(texts, items, str(test_file))
        for i, (row, item) in enumerate(zip(rows, items, strict=True)):
            for field, value in _identity(item, f"{test_file}: record {i}").items():
                if row[field] != value and not (field == "id" and str(row[field]) == value):
                    raise BadSubmission(
                        f"{path}: item {i} has {field} {row[field]!r}, {test_file} has {value!r} there; "
                        "the order must be that of the test file"
                    )
    warnings = []
    if len(rows) != FULL_TEST_SIZE:
        sizes = f"the full test set has {FULL_TEST_SIZE}, and the leaderboard refuses fewer than {SMALLEST_SUBMISSION}"
        warnings.append(f"{len(rows)} items; {sizes}")
    if empty := sum(not text.strip() for text in texts):
        warnings.append(f"{empty} predictions are empty")
    return warnings
