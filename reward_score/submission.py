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


def _turns(item: Mapping[str, Any]) -> tuple[str, str]:
    """Question (without the video mark) and reference answer of a ground-truth item."""
    question, answer = item.get("question") or "", item.get("answer") or ""
    for turn in item.get("conversations") or []:
        text = turn.get("value") or ""
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
    except ValueError as error:
        raise BadSubmission(f"{path} is no JSON file: {error}") from None


def predictions_of(content: Any, name: str = "predictions") -> list[str]:
    """Texts of a submission (list of {id, qa_type, prediction}) or of a results file (dict by index, or list, of items
    with ``answer``), in the order of their index.

    Raises:
        BadSubmission: another form, or a prediction that is not text, which breaks the official code.
    """
    if isinstance(content, dict):
        try:
            items = [content[key] for key in sorted(content, key=int)]
        except ValueError:
            raise BadSubmission(f'{name}: a results file must be keyed by index ("0", "1", ...)') from None
    elif isinstance(content, list):
        items = content
    else:
        raise BadSubmission(f"{name}: must be a list of predictions or a dict by index, not {type(content).__name__}")
    texts = []
    for i, item in enumerate(items):
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
    """Positions where a list of predictions names another qa_type than the ground truth; officially only a warning."""
    rows = content if isinstance(content, list) else []
    pairs = zip(rows, ground_truth, strict=False)
    return [i for i, (row, item) in enumerate(pairs) if row.get("qa_type", item.get("qa_type")) != item.get("qa_type")]


def merge(predictions: Sequence[str], ground_truth: Any) -> list[Record]:
    """Records by array position, as the leaderboard merges them; ids are not used.

    Raises:
        BadSubmission: not a list of records, or of another length than the predictions.
    """
    if not isinstance(ground_truth, list) or not all(isinstance(item, dict) for item in ground_truth):
        raise BadSubmission("the ground truth must be a JSON array of MedVidBench records")
    if len(predictions) != len(ground_truth):
        raise BadSubmission(
            f"{len(predictions)} predictions for {len(ground_truth)} ground-truth records; both files must have the "
            "same items in the same order"
        )
    records = []
    for index, (prediction, item) in enumerate(zip(predictions, ground_truth, strict=True)):
        question, answer = _turns(item)
        source = item.get("data_source")
        if not source or source == "Unknown":
            source = item.get("dataset_name") or "Unknown"
        metadata = item.get("metadata")
        records.append(
            Record(
                index=index,
                task=task_of_qa_type(item.get("qa_type", "")),
                source=source,
                prediction=prediction,
                question=question,
                answer=answer,
                struc_info=item.get("struc_info", []),
                fps=metadata.get("fps", 1.0) if isinstance(metadata, dict) else 1.0,
            )
        )
    return records


def sample_id(item: Mapping[str, Any]) -> str:
    """A record's own ``id``, else ``video_id&&start&&end&&fps`` from its metadata (frames before times).

    Raises:
        BadSubmission: neither is there.
    """
    if item.get("id"):
        return str(item["id"])
    metadata = item.get("metadata") or {}
    for start, end in _EXTENTS:
        if start in metadata and end in metadata:
            parts = (metadata.get("video_id"), metadata[start], metadata[end], metadata.get("fps"))
            return "&&".join(map(str, parts))
    raise BadSubmission(f"record of video {metadata.get('video_id')!r} has neither an id nor a start and an end")


def write_submission(records: Iterable[Mapping[str, Any]], answers: Sequence[str], path: str | os.PathLike) -> Path:
    """Write a submission: one {id, qa_type, prediction} per record, in the order of the test file.

    Args:
        records: the test file's records, in its order.
        answers: one answer per record.
        path: file to write, whole or not at all.

    Raises:
        BadSubmission: numbers differ, an answer is not text, or a record has no id.
    """
    records = list(records)
    if len(records) != len(answers):
        raise BadSubmission(f"{len(answers)} answers for {len(records)} records")
    rows = [
        {"id": sample_id(item), "qa_type": item.get("qa_type"), "prediction": answer}
        for item, answer in zip(records, answers, strict=True)
    ]
    predictions_of(rows, "answers")
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_text(json.dumps(rows, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    partial.replace(path)
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
        items = ground_truth if isinstance(ground_truth, Sequence) and not isinstance(ground_truth, str) else None
        items = read_json(ground_truth) if items is None else items
        merge(texts, items)
        for i, (row, item) in enumerate(zip(rows, items, strict=True)):
            expected = {"id": sample_id(item), "qa_type": item.get("qa_type")}
            if wrong := [name for name, value in expected.items() if row[name] != value]:
                raise BadSubmission(
                    f"{path}: item {i} has {wrong[0]} {row[wrong[0]]!r}, the test file has {expected[wrong[0]]!r} "
                    "there; the order must be that of the test file"
                )
    if len(rows) != FULL_TEST_SIZE:
        refused = f", and the leaderboard refuses fewer than {SMALLEST_SUBMISSION}"
        refused = refused if len(rows) < SMALLEST_SUBMISSION else ""
        warnings.append(f"{len(rows)} items; the full test set has {FULL_TEST_SIZE}{refused}")
    if empty := sum(not text.strip() for text in texts):
        warnings.append(f"{empty} predictions are empty")
    return warnings
