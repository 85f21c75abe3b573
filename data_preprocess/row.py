# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""The one row schema of this project, and the writer that never leaves half a Parquet file.

A row serves verl's SFT trainer (``messages``, ``videos``) and its RL trainer (``prompt``, ``videos``, ``reward_model``,
``extra_info``) alike. Rows hold paths, never pixels.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

TASKS = ("tag", "stg", "vs", "rc", "dvc", "nap", "sa", "cvs")

# `qa_type` of the released data and the other spellings that the benchmark's evaluators accept (MedVidBench card).
TASK_OF_QA_TYPE = {
    "tal": "tag",
    "tag": "tag",
    "stg": "stg",
    "video_summary": "vs",
    "vs": "vs",
    "region_caption": "rc",
    "rc": "rc",
    "dense_captioning": "dvc",
    "dense_caption": "dvc",
    "dc": "dvc",
    "dvc": "dvc",
    "next_action": "nap",
    "nap": "nap",
    "skill_assessment": "sa",
    "sa": "sa",
    "cvs_assessment": "cvs",
    "cvs": "cvs",
}
# Which model wrote the reference caption; the task is the same.
CAPTION_AUTHORS = ("_gpt", "_gemini")

SOURCES = ("AVOS", "CholecT50", "CholecTrack20", "Cholec80-CVS", "CoPESD", "EgoSurgery", "JIGSAWS", "NurViD")
_SOURCE_OF_LETTERS = {re.sub(r"[^a-z0-9]", "", name.lower()): name for name in SOURCES}

_message = pa.struct([("role", pa.string()), ("content", pa.string())])
ROW_SCHEMA = pa.schema(
    [
        ("data_source", pa.string()),
        ("prompt", pa.list_(_message)),
        ("messages", pa.list_(_message)),
        (
            "videos",
            pa.list_(
                pa.struct(
                    [
                        ("video", pa.list_(pa.string())),
                        ("sample_fps", pa.float64()),
                        ("raw_fps", pa.float64()),
                        ("min_pixels", pa.int64()),
                        ("max_pixels", pa.int64()),
                        ("total_pixels", pa.int64()),
                    ]
                )
            ),
        ),
        ("ability", pa.string()),
        ("reward_model", pa.struct([("style", pa.string()), ("ground_truth", pa.string())])),
        (
            "extra_info",
            pa.struct(
                [
                    ("index", pa.int64()),
                    ("split", pa.string()),
                    ("source", pa.string()),
                    ("task", pa.string()),
                    ("qa_type", pa.string()),
                    ("fps", pa.float64()),
                    ("video_id", pa.string()),
                    ("id", pa.string()),
                    ("question", pa.string()),
                    ("num_frames", pa.int64()),
                    ("height", pa.int64()),
                    ("width", pa.int64()),
                    ("num_tokens", pa.int64()),
                    ("struc_info", pa.string()),
                    ("metadata", pa.string()),
                ]
            ),
        ),
    ]
)


def canonical_source(name: str) -> str:
    """The one spelling of a known source (``Cholec80_CVS``, ``jigsaws``, ...); an unknown name is returned as it is."""
    return _SOURCE_OF_LETTERS.get(re.sub(r"[^a-z0-9]", "", name.lower()), name)


def task_of(qa_type: str) -> str | None:
    """Task of a ``qa_type`` with ``_gpt``/``_gemini`` variants merged, or None for one never seen."""
    plain = qa_type.strip().lower()
    for author in CAPTION_AUTHORS:
        plain = plain.removesuffix(author)
    return TASK_OF_QA_TYPE.get(plain)


@dataclass(frozen=True)
class Clip:
    """A clip as the model gets it.

    Attributes:
        frames: absolute paths of the frame images, in order.
        fps: frames per second of this list; frame i lies at i / fps seconds.
        height, width: pixels of a frame file, before any resize.
        min_pixels, max_pixels, total_pixels: limits per frame, per frame, and for the clip (``video_tokens.py``).
        num_tokens: tokens of the clip in the prompt.
    """

    frames: Sequence[str]
    fps: float
    height: int
    width: int
    min_pixels: int
    max_pixels: int
    total_pixels: int
    num_tokens: int


def build_row(
    *,
    benchmark: str,
    source: str,
    task: str,
    qa_type: str,
    index: int,
    split: str,
    question: str,
    answer: str,
    clip: Clip,
    video_id: str,
    record_id: str,
    struc_info: str = "",
    metadata: str = "",
) -> dict:
    """One row of :data:`ROW_SCHEMA`, for a question about one clip.

    The placeholder touches the question (no line break), as the model's published inference code feeds it. Without an
    answer, ``messages`` is the prompt alone and the ground truth is empty.

    Args:
        benchmark, source, task: joined to ``data_source``, by which verl groups its validation metrics.
        index: unique within the file; verl groups the answers to one prompt by it.
        struc_info, metadata: JSON text of the record's structured truth and of its clip metadata, or "".
    """
    prompt = [{"role": "user", "content": f"<video>{question}"}]
    return {
        "data_source": f"{benchmark}/{source}/{task}",
        "prompt": prompt,
        "messages": prompt + ([{"role": "assistant", "content": answer}] if answer else []),
        "videos": [
            {
                "video": list(clip.frames),
                "sample_fps": clip.fps,
                "raw_fps": clip.fps,
                "min_pixels": clip.min_pixels,
                "max_pixels": clip.max_pixels,
                "total_pixels": clip.total_pixels,
            }
        ],
        "ability": task,
        "reward_model": {"style": "rule", "ground_truth": answer},
        "extra_info": {
            "index": index,
            "split": split,
            "source": source,
            "task": task,
            "qa_type": qa_type,
            "fps": clip.fps,
            "video_id": video_id,
            "id": record_id,
            "question": question,
            "num_frames": len(clip.frames),
            "height": clip.height,
            "width": clip.width,
            "num_tokens": clip.num_tokens,
            "struc_info": struc_info,
            "metadata": metadata,
        },
    }


class RowWriter(contextlib.AbstractContextManager):
    """Streams rows into a Parquet file that appears under its name only when it is whole.

    Rows are held for one row group at a time. Leaving the ``with`` block normally renames the temporary file to
    ``path`` (replacing an older one); leaving it through an exception removes the temporary file and leaves ``path`` as
    it was.
    """

    def __init__(self, path: str | os.PathLike, *, rows_per_group: int = 1024):
        self.path = Path(path)
        self.count = 0
        self._rows_per_group = rows_per_group
        self._pending: list[Mapping] = []
        self._closed = False
        # The process id keeps two commands that write to one folder from sharing a temporary file.
        self._temporary = self.path.with_name(f".{self.path.name}.{os.getpid()}.tmp")
        self._writer = pq.ParquetWriter(self._temporary, ROW_SCHEMA, compression="zstd")

    def write(self, row: Mapping) -> None:
        self._pending.append(row)
        self.count += 1
        if len(self._pending) >= self._rows_per_group:
            self._flush()

    def _flush(self) -> None:
        if self._pending:
            self._writer.write_table(pa.Table.from_pylist(self._pending, schema=ROW_SCHEMA))
            self._pending = []

    def close(self) -> None:
        """Write what is pending; the file takes its name when the ``with`` block ends."""
        if not self._closed:
            self._flush()
            self._writer.close()
            self._closed = True

    def __exit__(self, kind, error, traceback) -> None:
        try:
            if kind is None:
                self.close()
                os.replace(self._temporary, self.path)
            else:
                with contextlib.suppress(OSError):
                    self._writer.close()
        finally:
            self._temporary.unlink(missing_ok=True)
