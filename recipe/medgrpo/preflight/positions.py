# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Before the first step: does the trainer see the prompt that vLLM samples from, with every token at its place?

One real row of every source goes both ways: as verl's agent loop makes training inputs of it, and through vLLM's own
processor and position rule. Runs in a process of its own, because importing vLLM changes the process that does it.
"""

from __future__ import annotations

import bisect
import functools
import itertools
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from types import SimpleNamespace

import pyarrow.parquet as pq

from data_preprocess.media.frames import FrameError
from recipe.medgrpo.common.listed import listed
from recipe.medgrpo.preflight.errors import SetupError

#: Exit status of the check's process when the two ways differ.
DIFFERENT = 3


def first_rows(files: list[str], tasks: list[str] | None) -> list[dict]:
    """The first row of each source (of ``tasks``) over all ``files``."""
    chosen = {}
    for file in files:
        data_sources = pq.read_table(file, columns=["data_source"])["data_source"].to_pylist()
        for index, data_source in enumerate(data_sources):
            source, task = data_source.rsplit("/", 1)
            if source not in chosen and (tasks is None or task in tasks):
                chosen[source] = _row_at(file, index)
    return list(chosen.values())


def _row_at(file: str, index: int) -> dict:
    """One row of a Parquet file; only its row group is read."""
    parquet = pq.ParquetFile(file)
    counts = [parquet.metadata.row_group(group).num_rows for group in range(parquet.num_row_groups)]
    group = bisect.bisect_right(list(itertools.accumulate(counts)), index)
    return parquet.read_row_group(group).slice(index - sum(counts[:group]), 1).to_pylist()[0]


class Checker:
    """Both ways for one model folder."""

    def __init__(self, model: str, chat_template: str | None = None):
        # First: it loads the plugin's half for verl, which vLLM for CPU needs to find its platform.
        from verl.utils import hf_processor  # isort: split
        from vllm import ModelRegistry
        from vllm.config import ModelConfig
        from vllm.multimodal import MULTIMODAL_REGISTRY
        from vllm.plugins import load_general_plugins

        from recipe.medgrpo.model_inputs.prompt_templates import use_chat_template

        load_general_plugins()
        self.model = model
        self.processor = hf_processor(model)
        use_chat_template(self.processor, chat_template)
        config = ModelConfig(model=model, dtype="float32")
        self.vllm_processor = MULTIMODAL_REGISTRY.create_processor(config)
        cls, _ = ModelRegistry.resolve_model_cls(config.architectures, config)
        # Positions need the configuration alone, not the weights.
        self.vllm_model = cls.__new__(cls)
        self.vllm_model.__dict__["config"] = config.hf_config

    def trainer(self, row: dict, media_options) -> SimpleNamespace:
        """Prompt ids, positions (3, L) and media, as verl's agent loop makes them."""
        from recipe.medgrpo.model_inputs import encode

        messages = encode.with_media(row["prompt"], row)
        images, videos = encode.load_media(messages, self.processor.image_processor.patch_size, media_options)
        inputs = encode.encode(self.processor, messages, images, videos)
        positions = encode.positions_of(self.processor, inputs)[:, 0].numpy()
        return SimpleNamespace(ids=inputs["input_ids"][0].tolist(), positions=positions, images=images, videos=videos)

    def rollout(self, ids: list[int], images, videos) -> SimpleNamespace:
        """The same, as vLLM makes them of what verl's server is sent."""
        from verl.workers.rollout.utils import qwen2_5_vl_dedup_image_tokens
        from vllm.multimodal.inputs import MultiModalFeatureSpec

        from recipe.medgrpo.model_inputs import encode

        media = {kind: found for kind, found in (("image", images), ("video", videos)) if found}
        found = self.vllm_processor(
            qwen2_5_vl_dedup_image_tokens(ids, self.processor),
            self.vllm_processor.info.parse_mm_data(media),
            hf_processor_mm_kwargs=encode.MM_PROCESSOR_KWARGS,
        )
        features = [
            MultiModalFeatureSpec(data=found["mm_kwargs"][kind][i], modality=kind, identifier="", mm_position=place)
            for kind, places in found["mm_placeholders"].items()
            for i, place in enumerate(places)
        ]
        ids = list(found["prompt_token_ids"])
        return SimpleNamespace(ids=ids, positions=self.vllm_model.get_mrope_input_positions(ids, features)[0].numpy())

    def check(self, row: dict, media_options) -> int:
        """Number of prompt tokens of the row; SetupError where tokens, positions, or its own count of them differ."""
        where = f"row {row['extra_info']['index']} of {row['data_source']}, model {self.model}"
        try:
            ours = self.trainer(row, media_options)
        except FrameError as error:
            raise SetupError(f"positions could not be compared: {where}: {error}") from error
        theirs = self.rollout(ours.ids, ours.images, ours.videos)
        if ours.ids != theirs.ids:
            raise SetupError(
                f"{where}: the trainer's prompt has {len(ours.ids)} tokens, vLLM's {len(theirs.ids)}, and they are not "
                "the same. Run `medgrpo doctor`: a version outside the tested ones processes media differently"
            )
        differing = (ours.positions != theirs.positions).any(axis=0).nonzero()[0]
        if len(differing):
            at = int(differing[0])
            raise SetupError(
                f"{where}: {len(differing)} of {len(ours.ids)} positions differ, first at token {at}: the trainer has "
                f"{ours.positions[:, at].tolist()} (time, height, width), vLLM {theirs.positions[:, at].tolist()}. The "
                "policy that is trained would not be the one that is sampled. Is the plugin installed in this "
                "environment (pip install --no-deps -e .)? Run `medgrpo doctor` for versions"
            )
        media_tokens = sum(ours.ids.count(t) for t in (self.processor.image_token_id, self.processor.video_token_id))
        stated = row["extra_info"].get("num_tokens")
        if stated is not None and stated != media_tokens:
            raise SetupError(
                f"{where}: the row states {stated} media tokens, the model makes {media_tokens} of them: write the "
                "Parquet anew with data_preprocess for this model"
            )
        return len(ours.ids)


def check_before_training(config) -> AbstractContextManager[Callable[[], str]]:
    """Start to compare a row of every source of the training data: see :func:`in_background`."""
    model, data = config.actor_rollout_ref.model, config.data
    request = {"model": model.path, "chat_template": model.custom_chat_template, "files": listed(data.train_files)}
    request |= {"tasks": list(data.tasks), "media": {**data.media, "memory_gb": 0.5}}
    return in_background(request)


@contextmanager
def in_background(request: dict) -> Iterator[Callable[[], str]]:
    """Run :func:`main` in a process of its own, which ends with the block at the latest.

    Yields a function that waits for its line. It raises SetupError where the two ways differ, or where they could not
    be compared.
    """
    command = [sys.executable, "-m", "recipe.medgrpo.preflight.positions", json.dumps(request)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield functools.partial(_found, process)
        finally:
            process.kill()


def _found(process: subprocess.Popen) -> str:
    printed, errors = process.communicate()
    last = (printed.strip().splitlines() or [""])[-1]
    if process.returncode == DIFFERENT:
        raise SetupError(last)
    if process.returncode:
        if os.environ.get("MEDGRPO_TRACEBACK") == "1":
            print(errors, file=sys.stderr)
        reason = (errors.strip().splitlines() or [f"exit status {process.returncode}"])[-1]
        raise SetupError(f"the check of positions could not be made (MEDGRPO_TRACEBACK=1 shows all): {reason}")
    return last


def main(request: dict) -> int:
    from recipe.medgrpo.model_inputs.media_cache import MediaOptions

    media = MediaOptions(**request.get("media", {}))
    try:
        rows = first_rows(request["files"], request.get("tasks"))
        checker = Checker(request["model"], request.get("chat_template"))
        lengths = [f"{row['data_source']} {checker.check(row, media)} tokens" for row in rows]
    except (SetupError, OSError) as error:
        # A file, the model or a row is at fault; one line, as the caller reads the last.
        reason = error if isinstance(error, SetupError) else f"positions could not be compared: {error}"
        print(" ".join(str(reason).split()))
        return DIFFERENT
    print(f"positions: trainer and vLLM agree on {len(rows)} rows, one of each source ({', '.join(lengths)})")
    return 0


if __name__ == "__main__":
    sys.exit(main(json.loads(sys.argv[1])))
