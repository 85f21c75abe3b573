# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Files of the MedVidBench leaderboard: reading predictions and ground truth, writing and checking a submission."""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reward_score.errors import BadSubmission

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
    """One benchmark item with its prediction.

    Args:
        index: position in the ground-truth file.
        task: short task name, e.g. ``tag``; None if the qa_type is none of the benchmark's.
        source: data set, e.g. ``AVOS``.
        prediction: the model's answer.
        question, answer: human and reference turn.
        struc_info: structured ground truth as loaded, [] when the record has none.
        fps: as in the record's metadata, unchecked.
    """

    index: int
    task: str | None
    source: str
    prediction: str
    question: str
    answer: str
    struc_info: Any
    fps: Any


def task_of_qa_type(qa_type: str) -> str | None:
    """Task of a qa_type, e.g. ``dense_captioning_gpt`` to ``dvc``; None if unknown.

    Names are compared without regard to case. As in the official evaluators, a name that is none of the benchmark's but
    contains ``tal`` is TAG and one that contains ``stg`` is STG; the other tasks have no such aliases.
    """
    name = qa_type.lower() if isinstance(qa_type, str) else ""
    known = _QA_TASKS.get(name) or _QA_TASKS.get(name.removesuffix("_gpt").removesuffix("_gemini"))
    return known or next((_QA_TASKS[alias] for alias in ("tal", "stg") if alias in name), None)


def _text(item: Mapping[str, Any], name: str, where: str) -> str:
    """A field's text, "" if it is missing or null."""
    value = item.get(name)
    if not isinstance(value, str | None):
        raise BadSubmission(f"{where}: {name} is {type(value).__name__}, must be text")
    return value or ""


def _turns(item: Mapping[str, Any], where: str) -> tuple[str, str]:
    """Question (without the video mark) and reference answer of a ground-truth item."""
    question, answer = _text(item, "question", where), _text(item, "answer", where)
    turns = item.get("conversations") or []
    if not isinstance(turns, list) or not all(isinstance(turn, dict) for turn in turns):
        raise BadSubmission(f"{where}: conversations must be a list of dicts with `from` and `value`")
    for turn in turns:
        text = _text(turn, "value", where)
        if turn.get("from") in ("human", "user"):
            question = text.replace("<video>\n", "").replace("<video>", "")
        elif turn.get("from") in ("gpt", "assistant"):
            answer = text
    return question, answer


def read_json(path: str | os.PathLike) -> Any:
    """Content of a JSON file.

    Raises:
        BadSubmission: missing, or no JSON.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise BadSubmission(f"cannot read {path}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise BadSubmission(f"{path} is no JSON file: {error}") from None


def _items(content: Any, name: str) -> list[Any]:
    """Items of a submission or results file by index."""
    if isinstance(content, list):
        return content
    if not isinstance(content, dict):
        raise BadSubmission(f"{name}: must be a list of predictions or a dict by index, not {type(content).__name__}")
    # By rank, a single missing answer would move all later ones to other records.
    missing = next((i for i in range(len(content)) if str(i) not in content), None)
    if missing is not None:
        raise BadSubmission(
            f'{name}: a results file must be keyed by index, "0" to "{len(content) - 1}" for its {len(content)} items; '
            f'"{missing}" is missing'
        )
    return [content[str(i)] for i in range(len(content))]


def predictions_of(content: Any, name: str = "predictions") -> list[str]:
    """Texts of a submission (list of {id, qa_type, prediction}) or of a results file (dict by index, or list, of items
    with ``answer``), in the order of their index.

    Raises:
        BadSubmission: another form, or a prediction that is not text, which breaks the official code.
    """
    texts = []
    for i, item in enumerate(_items(content, name)):
        if not isinstance(item, dict) or not ("prediction" in item or "answer" in item):
            raise BadSubmission(f"{name}: item {i} needs a text `prediction` (or `answer`, in a results file)")
        text = item["prediction"] if "prediction" in item else item["answer"]
        if not isinstance(text, str):
            raise BadSubmission(
                f'{name}: the prediction of item {i} is {type(text).__name__}, must be text; use "" for no answer'
            )
        texts.append(text)
    return texts


def qa_type_mismatches(content: Any, ground_truth: Sequence[Mapping[str, Any]]) -> list[int]:
    """Positions where the predictions name another qa_type than the ground truth; officially only a warning."""
    pairs = zip(_items(content, "predictions"), ground_truth, strict=False)
    return [i for i, (row, item) in enumerate(pairs) if row.get("qa_type", item.get("qa_type")) != item.get("qa_type")]


def require_records(content: Any, name: str = "the ground truth") -> list[dict[str, Any]]:
    """A ground-truth or test file's records.

    Raises:
        BadSubmission: not a list of dicts; the message begins with `name`, the file's.
    """
    if not isinstance(content, list):
        raise BadSubmission(f"{name} must be a JSON array of MedVidBench records")
    for index, item in enumerate(content):
        if not isinstance(item, dict):
            raise BadSubmission(f"{name}: record {index} is {type(item).__name__}, must be a dict")
    return content


def merge(predictions: Sequence[str], ground_truth: Any, name: str = "the ground truth") -> list[Record]:
    """Records by array position, as the leaderboard merges them; ids are not used.

    Raises:
        BadSubmission: not a list of records, of another length than the predictions, or a record has a field of another
            type; the message names the record, and `name`, the ground truth's file.
    """
    require_records(ground_truth, name)
    if len(predictions) != len(ground_truth):
        raise BadSubmission(
            f"{len(predictions)} predictions for {len(ground_truth)} records of {name}; both files must have the "
            "same items in the same order"
        )
    records = []
    for index, (prediction, item) in enumerate(zip(predictions, ground_truth, strict=True)):
        where = f"{name}: record {index}"
        question, answer = _turns(item, where)
        source = _text(item, "data_source", where)
        if not source or source == "Unknown":
            source = _text(item, "dataset_name", where) or "Unknown"
        records.append(
            Record(
                index=index,
                task=task_of_qa_type(item.get("qa_type", "")),
                source=source,
                prediction=prediction,
                question=question,
                answer=answer,
                struc_info=item.get("struc_info", []),
                fps=_metadata(item, where).get("fps", 1.0),
            )
        )
    return records


def _metadata(item: Mapping[str, Any], where: str) -> dict[str, Any]:
    metadata = item.get("metadata")
    if not isinstance(metadata, dict | None):
        raise BadSubmission(f"{where}: metadata is {type(metadata).__name__}, must be a dict")
    return metadata or {}


def sample_id(item: Mapping[str, Any], where: str = "record") -> str:
    """A record's own ``id``, else ``video_id&&start&&end&&fps`` from its metadata (frames before times).

    Raises:
        BadSubmission: neither is there; the message begins with `where`.
    """
    if item.get("id"):
        return str(item["id"])
    metadata = _metadata(item, where)
    for start, end in _EXTENTS:
        if start in metadata and end in metadata:
            parts = (metadata.get("video_id"), metadata[start], metadata[end], metadata.get("fps"))
            return "&&".join(map(str, parts))
    raise BadSubmission(f"{where} of video {metadata.get('video_id')!r} has neither an id nor a start and an end")


def write_submission(
    records: Iterable[Mapping[str, Any]],
    answers: Sequence[str],
    path: str | os.PathLike,
    name: str = "the test file",
) -> Path:
    """Write a submission: one {id, qa_type, prediction} per record, in the order of the test file.

    Args:
        records: the test file's records, in its order.
        answers: one answer per record.
        path: file to write, whole or not at all.
        name: the test file's, for error messages.

    Raises:
        BadSubmission: numbers differ, an answer is not text, a record has no id, or the file cannot be written.
    """
    records = require_records(list(records), name)
    if len(records) != len(answers):
        raise BadSubmission(f"{len(answers)} answers for {len(records)} records of {name}")
    rows = [
        {"id": sample_id(item, f"{name}: record {i}"), "qa_type": item.get("qa_type"), "prediction": answer}
        for i, (item, answer) in enumerate(zip(records, answers, strict=True))
    ]
    predictions_of(rows, "answers")
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.{os.getpid()}")
        partial.write_text(json.dumps(rows, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        raise BadSubmission(f"cannot write {path}: {error.strerror}") from None
    return path


def check_submission(
    path: str | os.PathLike, ground_truth: str | os.PathLike | Sequence[Any] | None = None
) -> list[str]:
    """Check a submission against the leaderboard's rules and, if given, against the test file.

    Args:
        path: submission file.
        ground_truth: the test file or its records; answers are not needed.

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
    warnings = []
    if ground_truth is not None:
        is_path = isinstance(ground_truth, str | os.PathLike)
        name = str(ground_truth) if is_path else "the test file"
        items = read_json(ground_truth) if is_path else ground_truth
        merge(texts, items, name)
        for i, (row, item) in enumerate(zip(rows, items, strict=True)):
            expected = {"id": sample_id(item, f"{name}: record {i}"), "qa_type": item.get("qa_type")}
            if wrong := [field for field, value in expected.items() if row[field] != value]:
                raise BadSubmission(
                    f"{path}: item {i} has {wrong[0]} {row[wrong[0]]!r}, {name} has {expected[wrong[0]]!r} "
                    "there; the order must be that of the test file"
                )
    if len(rows) != FULL_TEST_SIZE:
        refused = f", and the leaderboard refuses fewer than {SMALLEST_SUBMISSION}"
        refused = refused if len(rows) < SMALLEST_SUBMISSION else ""
        warnings.append(f"{len(rows)} items; the full test set has {FULL_TEST_SIZE}{refused}")
    if empty := sum(not text.strip() for text in texts):
        warnings.append(f"{empty} predictions are empty")
    return warnings
