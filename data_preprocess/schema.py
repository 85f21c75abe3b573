# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""The row schemas of this project, one for clips and one for pictures.

A row serves verl's SFT trainer (``messages`` and media) and its RL trainer (``prompt``, media, ``reward_model``,
``extra_info``) alike. Rows hold paths, never pixels. ``data_source`` is ``<benchmark>/<source>/<task>``.

* Clip rows (:data:`ROW_SCHEMA`): tasks :data:`TASKS`, column ``videos``, the question after ``<video>``; the ground
  truth is the answer's text.
* Picture rows (:data:`IMAGE_ROW_SCHEMA`): tasks :data:`IMAGE_TASKS`, column ``images``, the problem after ``<image>``.
  A problem is the bare question, for ``mcq`` followed by its options in Med-R1's one-line form. Prompt templates are
  laid around it at load time (``data.template``). The ground truth is the letter (``mcq``) or the answer's text;
  ``messages`` end with it inside ``<answer>...</answer>``. In ``extra_info``, ``options`` is a JSON list of texts (""
  if none) and ``image_id`` the start of the file's SHA-256, or its path where files were not opened.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

# What text of the data must not hold: words that verl replaces by media, and tokens of the models (``<|im_start|>``).
RESERVED = re.compile(r"<(?:video|image|audio)>|<\|\w+\|>")
RESERVED_REMEDY = "verl or the model's tokenizer would take it for more than text: write it in another way"

IMAGE_TASKS = ("mcq", "closed", "open")
TASKS = ("tag", "stg", "vs", "rc", "dvc", "nap", "sa", "cvs")


_KINDS = {"text": pa.string(), "whole": pa.int64(), "number": pa.float64()}


def plain_source(name: str) -> str:
    """The name of a source with ``_`` for the signs that separate names in ``data_source`` and in artifacts."""
    return re.sub(r"[/|]", "_", name)


def _fields(names_and_kinds: str) -> list[tuple[str, pa.DataType]]:
    """Fields of ``"index whole, split text"``."""
    pairs = (pair.split() for pair in names_and_kinds.split(","))
    return [(name, _KINDS[kind]) for name, kind in pairs]


def _schema(media: str, item: list[tuple[str, pa.DataType]], extra_info: str) -> pa.Schema:
    messages = pa.list_(pa.struct(_fields("role text, content text")))
    return pa.schema(
        [
            ("data_source", pa.string()),
            ("prompt", messages),
            ("messages", messages),
            (media, pa.list_(pa.struct(item))),
            ("ability", pa.string()),
            ("reward_model", pa.struct(_fields("style text, ground_truth text"))),
            ("extra_info", pa.struct(_fields("index whole, split text, source text, task text, " + extra_info))),
        ]
    )


ROW_SCHEMA = _schema(
    "videos",
    [("video", pa.list_(pa.string()))]
    + _fields("sample_fps number, raw_fps number, min_pixels whole, max_pixels whole, total_pixels whole"),
    "qa_type text, fps number, video_id text, id text, question text, num_frames whole, height whole, width whole, "
    "num_tokens whole, struc_info text, metadata text",
)
IMAGE_ROW_SCHEMA = _schema(
    "images",
    _fields("image text, min_pixels whole, max_pixels whole"),
    "question text, options text, answer_text text, modality text, question_type text, image_id text, id text, "
    "height whole, width whole, num_tokens whole, dataset text",
)


@dataclass(frozen=True)
class Clip:
    """A clip as the model gets it.

    Attributes:
        frames: absolute paths of the frame images, in order.
        fps: frames per second of this list; frame i lies at i / fps seconds.
        position_fps: what the model is given instead; None for the true fps.
        height, width: pixels of a frame file, before any resize; None where no frame was opened.
        min_pixels, max_pixels, total_pixels: limits per frame, per frame, and for the clip (``media/token_count.py``).
        num_tokens: tokens of the clip in the prompt, or None.
    """

    frames: Sequence[str]
    fps: float
    height: int | None
    width: int | None
    min_pixels: int
    max_pixels: int
    total_pixels: int
    num_tokens: int | None
    position_fps: float | None = None


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
    system: str = "",
) -> dict:
    """One row of :data:`ROW_SCHEMA`, for a question about one clip.

    The placeholder touches the question (no line break), as the model's published inference code feeds it. Without an
    answer, ``messages`` is the prompt alone and the ground truth is empty.

    Args:
        benchmark, source, task: joined to ``data_source``, by which verl groups its validation metrics.
        index: unique within the file; verl groups the answers to one prompt by it.
        struc_info, metadata: JSON text of the record's structured truth and of its clip metadata, or "".
        system: a system message ahead of the question, or "".

    Example:
        >>> frames = ["/data/0.jpg", "/data/1.jpg"]
        >>> clip = Clip(frames, 0.5, 480, 854, 6272, 37632, total_pixels=90_316_800, num_tokens=32)
        >>> row = build_row(benchmark="medvidbench", source="AVOS", task="tag", qa_type="tal", index=0, split="train",
        ...     question="When is the cutting?", answer="0.0-2.0 seconds.", clip=clip, video_id="a", record_id="a&&0")
        >>> row["data_source"], row["prompt"][0]["content"]
        ('medvidbench/AVOS/tag', '<video>When is the cutting?')
    """
    prompt = [{"role": "system", "content": system}] if system else []
    media = {
        "video": list(clip.frames),
        "sample_fps": clip.position_fps or clip.fps,
        "raw_fps": clip.position_fps or clip.fps,
        "min_pixels": clip.min_pixels,
        "max_pixels": clip.max_pixels,
        "total_pixels": clip.total_pixels,
    }
    extra_info = {
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
    }
    prompt.append({"role": "user", "content": f"<video>{question}"})
    return _row(benchmark, prompt, answer, answer, extra_info, videos=[media])


def _row(benchmark: str, prompt: list[dict], reply: str, truth: str, extra_info: dict, **media: list[dict]) -> dict:
    return {
        "data_source": f"{benchmark}/{extra_info['source']}/{extra_info['task']}",
        "prompt": prompt,
        "messages": prompt + ([{"role": "assistant", "content": reply}] if reply else []),
        **media,
        "ability": extra_info["task"],
        "reward_model": {"style": "rule", "ground_truth": truth},
        "extra_info": extra_info,
    }


def option_line(options: Sequence[str]) -> str:
    """What follows the question: the options in Med-R1's one-line form."""
    return " " + ", ".join(f"{chr(ord('A') + i)}){option}" for i, option in enumerate(options))


@dataclass(frozen=True)
class Picture:
    """An image as the model gets it; sizes in pixels of the file, None where it was not opened."""

    path: str
    image_id: str
    min_pixels: int
    max_pixels: int
    height: int | None = None
    width: int | None = None
    num_tokens: int | None = None


def build_image_row(
    *,
    benchmark: str,
    source: str,
    task: str,
    index: int,
    split: str,
    question: str,
    answer: str,
    picture: Picture,
    options: Sequence[str] = (),
    modality: str = "",
    question_type: str = "",
    record_id: str = "",
    dataset: str = "",
) -> dict:
    """One row of :data:`IMAGE_ROW_SCHEMA`, for a question about one image.

    Args:
        benchmark, source, task: joined to ``data_source``; ``task`` is one of :data:`IMAGE_TASKS`.
        question: without its options.
        answer: text of the answer; with ``options``, one of them exactly, and only one.

    Raises:
        ValueError: the answer is not exactly one of the options, or there are more options than letters.
    """
    truth = answer
    if options:
        if list(options).count(answer) != 1 or len(options) > 26:
            raise ValueError(f"answer {answer!r} is not exactly one of the options {list(options)}")
        truth = chr(ord("A") + list(options).index(answer))
        question += option_line(options)
    extra_info = {
        "index": index,
        "split": split,
        "source": source,
        "task": task,
        "question": question,
        "options": json.dumps(list(options), ensure_ascii=False) if options else "",
        "answer_text": answer,
        "modality": modality,
        "question_type": question_type,
        "image_id": picture.image_id,
        "id": record_id,
        "height": picture.height,
        "width": picture.width,
        "num_tokens": picture.num_tokens,
        "dataset": dataset,
    }
    prompt = [{"role": "user", "content": f"<image>{question}"}]
    media = {"image": picture.path, "min_pixels": picture.min_pixels, "max_pixels": picture.max_pixels}
    return _row(benchmark, prompt, f"<answer>{truth}</answer>", truth, extra_info, images=[media])
