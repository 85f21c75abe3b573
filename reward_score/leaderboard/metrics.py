# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""The MedVidBench leaderboard's metrics, as its evaluators compute them; quirks are named in each task's `metric`.

Records are grouped by source and pooled in a way that differs by task: TAG, STG and NAP are plain means over the scored
records; DVC is a mean of source means, weighted by all records of the source, skipped ones included; SA and CVS are
unweighted means over sources (``JIGSAWS`` and ``jigsaws`` are two), where a source without any counted item is 0; the
judge's VS and RC are plain means over the judged captions, which those with an empty prediction or reference are not.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from reward_score.errors import BadGroundTruth, JudgeUnavailable
from reward_score.ground_truth import read_fps
from reward_score.judge import DIMENSIONS, Judge, Verdict
from reward_score.leaderboard.submission import Record, merge, mismatches, predictions_of, read_json
from reward_score.sample import CaptionPair, make_sample
from reward_score.similarity import Encoder, SentenceEncoder
from reward_score.tasks import dvc, nap, stg, tag
from reward_score.tasks.registry import TASKS, add_task

METRIC_NAMES = ("TAG_mIoU@0.3", "TAG_mIoU@0.5", "STG_mIoU", "DVC_F1", "NAP_acc", "SA_acc", "CVS_acc")
JUDGED_TASKS = ("dvc", "vs", "rc")


@dataclass(slots=True)
class LeaderboardResult:
    """Metrics of a set of records.

    Args:
        metrics: name to value, for the tasks that occur, e.g. ``{"TAG_mIoU@0.3": 0.216, ...}``; judge metrics (1-5) are
            ``VS_<kind>``, ``RC_<kind>``, ``DVC_<kind>`` with the judge's kind, ``llm`` on the leaderboard.
        per_source: task to source to the source's own figures.
        counts: task to ``records`` and ``scored``.
        records: per record, in the file's order, what its task's `metric` found; {} for captions.
        unjudged: task to the number of captions that the judge gave no verdict on, which are left out.
        ignored: indices of records whose qa_type is none of the benchmark's.
        mismatched: indices at which the predictions file names another qa_type, which is only a warning.
        misplaced: likewise another id, with the file's id and the record's.
    """

    metrics: dict[str, float] = field(default_factory=dict)
    per_source: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    counts: dict[str, dict[str, int]] = field(default_factory=dict)
    records: list[dict[str, Any]] = field(default_factory=list)
    unjudged: dict[str, int] = field(default_factory=dict)
    ignored: list[int] = field(default_factory=list)
    mismatched: list[int] = field(default_factory=list)
    misplaced: dict[int, tuple[str, str]] = field(default_factory=dict)


@dataclass(slots=True)
class _Group:
    """Records of one task and source, with the per-record findings."""

    records: list[Record]
    found: list[dict[str, Any]]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def score_files(
    predictions_path: str | os.PathLike,
    ground_truth_path: str | os.PathLike,
    judge: Judge | None = None,
    encoder: Encoder | None = None,
    extra_tasks: Sequence[str] = (),
) -> LeaderboardResult:
    """Score a submission or results file against a MedVidBench ground-truth file; merged by position.

    Args:
        predictions_path: see `predictions_of`.
        ground_truth_path: JSON array of records with answers and ``struc_info``.
        judge: if given, captions are judged too.
        encoder: for NAP's nearest label; default all-MiniLM-L6-v2, loaded only when needed.
        extra_tasks: modules as in `ScoreConfig`; a qa_type that is a task's name gets the mean of its raw score.

    Raises:
        BadSubmission: a file cannot be read, or the files do not fit together.
        BadGroundTruth: a record's reference breaks the official code; the message names file and record.
    """
    content, ground_truth = read_json(predictions_path), read_json(ground_truth_path)
    own = {add_task(name) for name in extra_tasks}
    records = merge(predictions_of(content, str(predictions_path)), ground_truth, str(ground_truth_path), own)
    try:
        result = score_records(records, judge, encoder)
        for task in sorted(own):
            _score_extra(task, records, result)
    except BadGroundTruth as error:
        raise BadGroundTruth(f"{ground_truth_path}: {error}") from None
    result.mismatched, result.misplaced = mismatches(content, ground_truth)
    return result


def _score_extra(task: str, records: Sequence[Record], result: LeaderboardResult) -> None:
    """Add the mean raw score of a task of the user's own; a task of captions alone has none."""
    values = []
    for position, record in enumerate(records):
        if record.task == task:
            where = f"record {record.index} ({record.source}, {task})"
            extra = {"struc_info": record.struc_info or None, "fps": record.fps, "question": record.question}
            sample = make_sample(f"benchmark/source/{task}", record.prediction, record.answer, extra)
            try:
                rating = TASKS[task].rate(replace(sample, source=record.source, row=where), 0.5)
            except BadGroundTruth as error:
                raise BadGroundTruth(f"{where}: {error}") from None
            raw = None if rating.raw is None else rating.raw * rating.concise
            result.records[position]["raw"] = raw
            values.append(raw)
    scored = [value for value in values if value is not None]
    if scored:
        result.metrics[f"{task.upper()}_raw"] = _mean(scored)
    if values:
        result.counts[task] = {"records": len(values), "scored": len(scored)}


def score_records(
    records: Sequence[Record], judge: Judge | None = None, encoder: Encoder | None = None
) -> LeaderboardResult:
    """Score merged records; see `score_files`."""
    found: list[dict[str, Any]] = []
    for record in records:
        try:
            found.append(_of_record(record))
        except BadGroundTruth as error:
            raise BadGroundTruth(f"record {record.index} ({record.source}, {record.task}): {error}") from None
    groups = _groups(records, found)
    encoder = encoder or SentenceEncoder()
    for source, group in groups.get("nap", {}).items():
        columns = ([getattr(one, name) for one in group.records] for name in ("prediction", "answer", "question"))
        for one, own in zip(group.found, nap.metric(source, *columns, encoder.nearest), strict=True):
            one.update(own)
    result = aggregate(records, found)
    result.ignored = [record.index for record in records if record.task is None]
    for task in (task for task in groups if judge is not None and task in JUDGED_TASKS):
        name = f"{task.upper()}_{judge.name.split(':')[0]}"
        score = _judge_dvc if task == "dvc" else _judge_captions
        value, unjudged = score(groups[task], judge)
        if value is not None:
            result.metrics[name] = value
        if unjudged:
            result.unjudged[task] = unjudged
    return result


def aggregate(records: Sequence[Record], found: Sequence[dict[str, Any]]) -> LeaderboardResult:
    """Metrics that need no judge, of records and what `score_records` found in each, or of a part of them."""
    result = LeaderboardResult(records=list(found))
    for task, by_source in _groups(records, found).items():
        if task in _AGGREGATES:
            values, result.per_source[task], scored = _AGGREGATES[task](by_source)
            result.metrics |= values
            n_records = sum(len(group.records) for group in by_source.values())
            result.counts[task] = {"records": n_records, "scored": scored}
    result.metrics = {name: result.metrics[name] for name in METRIC_NAMES if name in result.metrics}
    return result


def _groups(records: Sequence[Record], found: Sequence[dict[str, Any]]) -> dict[str, dict[str, _Group]]:
    """Task to source to its records; records of no task left out."""
    groups: dict[str, dict[str, _Group]] = {}
    for record, own in zip(records, found, strict=True):
        if record.task is not None:
            group = groups.setdefault(record.task, {}).setdefault(record.source, _Group([], []))
            group.records.append(record)
            group.found.append(own)
    return groups


def _of_record(record: Record) -> dict[str, Any]:
    """What the task's `metric` finds in one record; {} for captions and next actions."""
    own = record.prediction, record.struc_info
    if record.task in ("sa", "cvs"):
        return TASKS[record.task].metric(*own, record.answer)
    if record.task in ("tag", "stg", "dvc"):
        # STG's metric needs no fps, but in the official code one that is no number breaks this task like the others.
        fps = read_fps(record.fps, "metadata")
        return stg.metric(*own) if record.task == "stg" else TASKS[record.task].metric(*own, fps)
    return {}


#: Metrics, figures by source, and the number of records that count.
_Aggregate = tuple[dict[str, float], dict[str, dict[str, Any]], int]


def _values(groups: Mapping[str, _Group], key: str) -> dict[str, list[float]]:
    """A figure of the records by source, those left out of it missing."""
    return {name: [one[key] for one in group.found if one[key] is not None] for name, group in groups.items()}


def _pooled(by_source: Mapping[str, list[float]]) -> list[float]:
    return [value for values in by_source.values() for value in values]


def _tag(groups: Mapping[str, _Group]) -> _Aggregate:
    ious = {name: _values(groups, name) for name in (f"mIoU@{threshold}" for threshold in tag.THRESHOLDS)}
    per_source = {
        source: {"count": len(group.found), **{name: _mean(values[source]) for name, values in ious.items()}}
        for source, group in groups.items()
    }
    means = {f"TAG_{name}": _mean(_pooled(values)) for name, values in ious.items()}
    return means, per_source, sum(len(group.found) for group in groups.values())


def _stg(groups: Mapping[str, _Group]) -> _Aggregate:
    ious = _values(groups, "mean_iou")
    per_source = {
        source: {"mean_iou": _mean(own), "valid_records": len(own), "total_records": len(groups[source].found)}
        for source, own in ious.items()
    }
    return {"STG_mIoU": _mean(_pooled(ious))}, per_source, len(_pooled(ious))


def _dvc(groups: Mapping[str, _Group]) -> _Aggregate:
    f1, precision, recall = (_values(groups, name) for name in ("f1", "precision", "recall"))
    per_source = {
        source: {
            "count": len(group.found),
            "f1_samples": len(f1[source]),
            "temporal_f1": _mean(f1[source]),
            "temporal_precision": _mean(precision[source]),
            "temporal_recall": _mean(recall[source]),
        }
        for source, group in groups.items()
    }
    weights = sum(figures["count"] for figures in per_source.values())
    total = sum(figures["count"] * figures["temporal_f1"] for figures in per_source.values())
    return {"DVC_F1": total / weights}, per_source, len(_pooled(f1))


def _nap(groups: Mapping[str, _Group]) -> _Aggregate:
    correct = _values(groups, "correct")
    per_source = {source: {"accuracy": _mean(own), "count": len(own)} for source, own in correct.items()}
    return {"NAP_acc": _mean(_pooled(correct))}, per_source, len(_pooled(correct))


def _balanced(found: Sequence[Mapping[str, Any]], key: str) -> tuple[float, dict[str, dict[str, int]]]:
    """Mean over names of the share of records that are right, and the counts behind it."""
    counts: dict[str, dict[str, int]] = {}
    for one in found:
        for name, correct in one[key].items():
            count = counts.setdefault(name, {"correct": 0, "total": 0})
            count["correct"] += correct
            count["total"] += 1
    return _mean([count["correct"] / count["total"] for count in counts.values()]), counts


def _graded(metric: str, total: str, item: str, groups: Mapping[str, _Group]) -> _Aggregate:
    """SA and CVS, whose records have a grade in `total` and one for each `item`."""
    totals, per_source = _values(groups, f"{total}_correct"), {}
    for source, group in groups.items():
        accuracy, counts = _balanced(group.found, f"{item}s_correct")
        figures = {f"{total}_accuracy": _mean(totals[source]), f"per_{item}": counts}
        per_source[source] = {f"{item}_balanced_accuracy": accuracy, **figures}
    mean = _mean([figures[f"{item}_balanced_accuracy"] for figures in per_source.values()])
    return {metric: mean}, per_source, len(_pooled(totals))


_AGGREGATES = {"tag": _tag, "stg": _stg, "dvc": _dvc, "nap": _nap}
_AGGREGATES["sa"] = partial(_graded, "SA_acc", "level", "aspect")
_AGGREGATES["cvs"] = partial(_graded, "CVS_acc", "rating", "component")


def _mean_grade(verdicts: Sequence[Verdict]) -> float:
    """Mean over verdicts per dimension, then over the dimensions."""
    return _mean([_mean([getattr(verdict, name) for verdict in verdicts]) for name in DIMENSIONS])


def _verdicts(pairs: Sequence[CaptionPair], judge: Judge) -> list[Verdict | None]:
    """A verdict per pair, None where the judge gave none; raises JudgeUnavailable if there is not a single one."""
    if not hasattr(judge, "attempt"):
        return list(judge.judge(pairs))
    results = judge.attempt(pairs)
    failures = [result for result in results if isinstance(result, JudgeUnavailable)]
    if failures and len(failures) == len(results):
        raise failures[0]
    return [None if isinstance(result, JudgeUnavailable) else result for result in results]


def _judge_captions(groups: Mapping[str, _Group], judge: Judge) -> tuple[float | None, int]:
    """VS_llm, RC_llm: all records of all sources together; and how many got no verdict.

    Quirk kept: a record whose prediction or reference is empty is left out, so that saying nothing costs nothing. If
    that leaves none there is no metric.
    """
    records = [record for group in groups.values() for record in group.records]
    pairs = [CaptionPair(record.prediction, record.answer) for record in records if record.prediction and record.answer]
    if not pairs:
        return None, 0
    verdicts = _verdicts(pairs, judge)
    given = [verdict for verdict in verdicts if verdict is not None]
    return _mean_grade(given), len(verdicts) - len(given)


def _judge_dvc(groups: Mapping[str, _Group], judge: Judge) -> tuple[float, int]:
    """DVC_llm: per source and threshold the mean over matched pairs, then over those thresholds that have any; sources
    weighted by their number of records, those without any pair as 0. And how many pairs got no verdict.
    """
    pairs: dict[CaptionPair, None] = {}
    matched: dict[str, dict[float, list[CaptionPair]]] = {}
    for source, group in groups.items():
        matched[source] = {threshold: [] for threshold in dvc.THRESHOLDS}
        for record in group.records:
            events, captions = dvc.parse(record.prediction), dvc.reference_captions(record.struc_info)
            indices = dvc.judge_pairs(record.prediction, record.struc_info) or {}
            for threshold, found in indices.items():
                own = [CaptionPair(events[i][2], captions[j]) for i, j in found]
                matched[source][threshold].extend(own)
                pairs.update(dict.fromkeys(own))
    # The same pair occurs at several thresholds; it is judged once.
    verdicts = dict(zip(pairs, _verdicts(list(pairs), judge), strict=True))
    total = 0.0
    for source, by_threshold in matched.items():
        given = ([verdicts[pair] for pair in own if verdicts[pair] is not None] for own in by_threshold.values())
        total += len(groups[source].records) * _mean([_mean_grade(own) for own in given if own])
    missing = sum(verdict is None for verdict in verdicts.values())
    return total / sum(len(group.records) for group in groups.values()), missing
