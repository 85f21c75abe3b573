# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""What an exported folder's own files say about its use: sizes of frames, defaults of generation.

Stock processors enlarge small frames, and Qwen's generation defaults penalize repetition, which this training never
did. Both are silent. A folder cannot say everything: docs/use_the_model.md lists what is left to the caller.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from omegaconf import OmegaConf

from recipe.medgrpo.common.run_folder import RunDir
from recipe.medgrpo.export.checkpoint import ExportError

LIMITS = {"videos": ("min_pixels", "max_pixels", "total_pixels"), "images": ("min_pixels", "max_pixels")}
#: Files of a processor: transformers 5 writes the first, older ones the others.
PROCESSOR_FILES = ("processor_config.json", "preprocessor_config.json", "video_preprocessor_config.json")
PROCESSORS = {"video_processor_type": "videos", "image_processor_type": "images"}
#: Greedy in transformers (one candidate) and in vLLM (a temperature below its least), and valid for both.
GREEDY = {"do_sample": True, "temperature": 1e-6, "top_k": 1, "top_p": 1.0, "repetition_penalty": 1.0}
KEPT = ("bos_token_id", "eos_token_id", "pad_token_id", "transformers_version")


def media_settings(parquet: Path) -> dict[str, Any]:
    """Of the rows that a model was trained on: for each kind of medium the pixel limits of most rows (``limits``), the
    widest (``size``), and for clips the rates by frequency (``fps``).
    """
    if not parquet.is_file():
        raise ExportError(f"{parquet}: no such Parquet file; name the rows that the model was trained on with --data")
    found: dict[str, Any] = {}
    for kind in (kind for kind in LIMITS if kind in pq.read_schema(parquet).names):
        items = [item for row in pq.read_table(parquet, columns=[kind])[kind].to_pylist() for item in row or ()]
        limits = Counter(tuple(item[name] for name in LIMITS[kind]) for item in items)
        if not limits:
            continue
        lows, highs = ([values[at] for values in limits] for at in (0, 1))
        found[kind] = {
            "limits": dict(zip(LIMITS[kind], limits.most_common(1)[0][0], strict=True)),
            "size": {"shortest_edge": min(lows), "longest_edge": max(highs)},
        }
        if kind == "videos":
            found[kind]["fps"] = [fps for fps, _ in Counter(item["sample_fps"] for item in items).most_common()]
    if not found:
        raise ExportError(f"{parquet} has no media: is it a file of data_preprocess?")
    return found


def template(run: RunDir, stage: str) -> str | None:
    """Name of the wording around each question of a stage's model: that of validation, if it has one of its own."""
    file = (run.rl if stage == "rl" else run.sft) / ".hydra" / "config.yaml"
    config = OmegaConf.load(file) if file.is_file() else OmegaConf.create()
    return OmegaConf.select(config, "data.val_template") or OmegaConf.select(config, "data.template")


def write_processor(folder: Path, media: Mapping[str, Any]) -> None:
    """Limits of the training's rows instead of stock ones: a frame at its final size stays as it is.

    A raw frame gets the size that training would have given it.
    """
    for file in (folder / name for name in PROCESSOR_FILES):
        if not file.is_file():
            continue
        config = json.loads(file.read_text(encoding="utf-8"))
        for part in (config, config.get("image_processor"), config.get("video_processor")):
            kind = next((kind for name, kind in PROCESSORS.items() if name in (part or {})), None)
            if kind is None:
                continue
            # A model of clips alone may still be shown an image; the clips' limits are the nearest known.
            known = media.get(kind) or next(iter(media.values()))
            for name in ("min_pixels", "max_pixels"):
                part.pop(name, None)
            part |= {"do_resize": True, "size": known["size"]}
            if kind == "videos" and "fps" in known:
                # Only for those who let the processor sample a video file (do_sample_frames).
                part["fps"] = known["fps"][0]
        file.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def write_generation(folder: Path, max_tokens: int) -> None:
    """Greedy answers without penalties, of the training's length; the model's own end tokens."""
    file = folder / "generation_config.json"
    old = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    new = {name: old[name] for name in KEPT if old.get(name) is not None} | GREEDY | {"max_new_tokens": max_tokens}
    file.write_text(json.dumps(new, indent=2) + "\n", encoding="utf-8")
