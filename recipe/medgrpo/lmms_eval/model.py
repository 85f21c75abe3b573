# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""lmms-eval's model ``medgrpo``: a folder of `medgrpo export`, asked by the program that lies in it.

lmms-eval's own Qwen2.5-VL class takes every list of frames for two a second, whatever their rate is, and resizes them
by limits of its own. It leaves the times to transformers, whose rule is not that of training (docs/use_the_model.md).
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

from lmms_eval.api.model import lmms
from lmms_eval.models.registry_v2 import ModelManifest
from tqdm import tqdm

from recipe.medgrpo.export.checkpoint import ExportError


def manifest() -> ModelManifest:
    """The entry point of the group ``lmms_eval.models``."""
    return ModelManifest("medgrpo", chat_class_path="recipe.medgrpo.lmms_eval.model.ExportedModel")


class ExportedModel(lmms):
    """Greedy answers of an exported folder (``pretrained``), one at a time."""

    is_simple = False

    def __init__(self, pretrained: str, dtype: str = "auto", batch_size: int = 1, device: str | None = None) -> None:
        super().__init__()
        program = Path(pretrained) / "use_transformers.py"
        if not program.is_file():
            raise ExportError(f"{pretrained} has no use_transformers.py: make the folder with medgrpo export")
        spec = importlib.util.spec_from_file_location("use_transformers", program)
        self.program = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(self.program)
        self.model, self.processor = self.program.load(dtype)

    def generate_until(self, requests) -> list[str]:
        """Answers in the order of the requests."""
        answers = []
        for request in tqdm(requests, desc="answers"):
            _, messages_of, options, number, task, split = request.args
            messages = [self._fed(turn) for turn in messages_of(self.task_dict[task][split][number])]
            limit = options.get("max_new_tokens") or self.program.SETTINGS["max_tokens"]
            answers.append(self.program.respond(self.model, self.processor, messages, limit))
        return answers

    @staticmethod
    def _fed(turn: dict) -> dict:
        """A turn with clips as qwen_vl_utils reads them, at their true rate."""
        clips = (part.get("url") for part in turn["content"])
        content = [
            part if clip is None else {"type": "video", "video": list(clip), **clip.spec}
            for part, clip in zip(turn["content"], clips, strict=True)
        ]
        return turn | {"content": content}

    def loglikelihood(self, requests):
        raise NotImplementedError("MedVidBench's tasks ask for text")

    def generate_until_multi_round(self, requests):
        raise NotImplementedError("MedVidBench's tasks have one turn")
