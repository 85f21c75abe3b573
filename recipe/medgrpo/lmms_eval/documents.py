# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""What the task files call: from a row of data_preprocess to a prompt, and from answers to the benchmark's numbers.

Two variables choose what is run: ``MEDVIDBENCH_ROWS``, a Parquet file of data_preprocess, and ``MEDVIDBENCH_JUDGE``
(``lexical`` or ``openai``), without which judge metrics are left out.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from reward_score.ground_truth import load_struc_info
from reward_score.judge import JudgeConfig, make_judge
from reward_score.leaderboard import score_records
from reward_score.leaderboard.submission import Record
from reward_score.sample import split_data_source

#: Metrics by task: those of the leaderboard, and one for each kind of judge.
METRICS = {
    "tag": ("TAG_mIoU@0.3", "TAG_mIoU@0.5"),
    "stg": ("STG_mIoU",),
    "dvc": ("DVC_F1", "DVC_lexical", "DVC_llm"),
    "nap": ("NAP_acc",),
    "sa": ("SA_acc",),
    "cvs": ("CVS_acc",),
    "vs": ("VS_lexical", "VS_llm"),
    "rc": ("RC_lexical", "RC_llm"),
}
#: For the task files, which cannot read a variable themselves; a file that is not there is named by `datasets`.
FILES = {"test": os.environ.get("MEDVIDBENCH_ROWS", "set MEDVIDBENCH_ROWS to a Parquet file of data_preprocess")}


class Clip(list):
    """Paths of frames, which any model class of lmms-eval reads; ours also reads their ``spec`` (rate, limits)."""

    def __init__(self, item: Mapping[str, Any]) -> None:
        super().__init__(item["video"])
        self.spec = {name: value for name, value in item.items() if name != "video" and value is not None}


def doc_to_messages(doc: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The prompt as in training: the row's turns, each mark replaced by its clip."""
    media = iter(doc_to_visual(doc))
    return [{"role": turn["role"], "content": _content(turn["content"], media)} for turn in doc["prompt"]]


def _content(text: str, media) -> list[dict[str, Any]]:
    parts: list[dict[str, Any]] = []
    while "<video>" in text:
        before, _, text = text.partition("<video>")
        parts += [{"type": "text", "text": before}] if before else []
        parts.append({"type": "video", "url": next(media)})
    return [*parts, {"type": "text", "text": text}]


def doc_to_visual(doc: Mapping[str, Any]) -> list[Clip]:
    return [Clip(item) for item in doc["videos"]]


def doc_to_text(doc: Mapping[str, Any]) -> str:
    return doc["extra_info"]["question"]


def doc_to_target(doc: Mapping[str, Any]) -> str:
    return doc["reward_model"]["ground_truth"]


def of_task(task: str) -> Callable:
    """A filter of documents (``process_docs``): those of one task."""

    def only(documents):
        return documents.filter(lambda name: split_data_source(name)[1] == task, input_columns="data_source")

    return only


def process_results(doc: Mapping[str, Any], results: Sequence[str]) -> dict[str, dict]:
    """One answer's record, under the name of every metric of its task."""
    source, task = split_data_source(doc["data_source"])
    extra = doc["extra_info"]
    record = {
        "index": extra["index"],
        "qa_type": extra["qa_type"],
        "task": task,
        "source": source,
        "prediction": results[0],
        "question": extra["question"],
        "answer": doc_to_target(doc),
        "struc_info": load_struc_info(extra["struc_info"] or "") or [],
        "fps": extra["fps"],
    }
    return dict.fromkeys(METRICS[task], record)


def metric(name: str) -> Callable[[Sequence[dict]], float]:
    """The aggregation of one metric over a task's records; NaN for a judge that was not asked for."""

    def aggregate(records: Sequence[dict]) -> float:
        asked = os.environ.get("MEDVIDBENCH_JUDGE")
        judge = None
        if name.endswith(("_lexical", "_llm")):
            if not asked or not name.endswith("_lexical" if asked == "lexical" else "_llm"):
                return math.nan
            # The leaderboard's judge rates captions by themselves.
            judge = make_judge(JudgeConfig(model="gpt-4.1", rubric="absolute") if asked == "openai" else asked)
        # `medgrpo submit --samples` reads the qa_type from lmms-eval's log.
        plain = [Record(**{key: value for key, value in found.items() if key != "qa_type"}) for found in records]
        return score_records(plain, judge=judge).metrics.get(name, math.nan)

    return aggregate


def __getattr__(name: str) -> Callable:
    """What task files name: ``only_tag``, and ``aggregate_TAG_mIoU_3`` for ``TAG_mIoU@0.3``."""
    if name.startswith("only_"):
        return of_task(name.removeprefix("only_"))
    plain = {m.replace("@0.", "_"): m for names in METRICS.values() for m in names}
    if (found := plain.get(name.removeprefix("aggregate_"))) and name.startswith("aggregate_"):
        return metric(found)
    raise AttributeError(name)
