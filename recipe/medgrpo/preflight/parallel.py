# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Whether heads, GPUs and the batch can be split as configured: verl and vLLM find out only once their workers run."""

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from huggingface_hub import hf_hub_download
from omegaconf import DictConfig

from recipe.medgrpo.preflight.errors import SetupError, usable

#: Name and size of what is to be split, and whether so many parts fit it.
Whole = tuple[str, int, Callable[[int, int], bool]]


def heads(path: str) -> dict[str, int]:
    """What a model's heads are called in messages, and how many there are: attention, key and value, vision tower."""
    with usable(path):
        file = Path(path, "config.json") if Path(path).is_dir() else hf_hub_download(path, "config.json")
        content = Path(file).read_text(encoding="utf-8")
        written = json.loads(content, object_hook=lambda values: SimpleNamespace(**values))
        try:
            return _heads(getattr(written, "text_config", written), written.vision_config)
        except AttributeError:
            # What a file leaves out has a default, which transformers knows after some seconds of imports.
            from transformers import AutoConfig

            config = AutoConfig.from_pretrained(path)
            return _heads(config.get_text_config(), config.vision_config)


def _heads(text: Any, vision: Any) -> dict[str, int]:
    found = {
        "attention heads": text.num_attention_heads,
        "key heads": text.num_key_value_heads,
        "heads of the vision tower": vision.num_heads,
    }
    if hasattr(text, "linear_num_key_heads"):
        found["key heads of the delta nets"] = text.linear_num_key_heads
    return found


def _divides(parts: int, whole: int) -> bool:
    return whole % parts == 0


def _shares(parts: int, whole: int) -> bool:
    """Key heads may be split, or each be held by several GPUs."""
    return whole % parts == 0 or parts % whole == 0


def _check(option: str, parts: int, gpus: int, wholes: list[Whole]) -> None:
    failed = [f"{whole} {name}" for name, whole, fits in wholes if parts < 1 or not fits(parts, whole)]
    if failed:
        works = [n for n in range(1, gpus + 1) if all(fits(n, whole) for _, whole, fits in wholes)]
        raise SetupError(
            f"{option}: {parts} does not fit {' and '.join(failed)}; these work: " + ", ".join(map(str, works))
        )


def _wholes(gpus: int, path: str) -> list[Whole]:
    wholes = {"GPUs": gpus, **heads(path)}
    return [(name, whole, _shares if name == "key heads" else _divides) for name, whole in wholes.items()]


def _check_sequence(sequence: int, gpus: int, wholes: list[Whole], model: DictConfig) -> None:
    if sequence > 1 and not model.use_remove_padding:
        raise SetupError(f"SP={sequence} needs training without padding (flash-attn): set SP=1, or not ATTN=sdpa")
    delta_nets = any("delta nets" in name for name, _, _ in wholes)
    if sequence > 1 and delta_nets and importlib.util.find_spec("fla") is None:
        raise SetupError(f"SP={sequence}: delta nets need flash-linear-attention for it: install it, or set SP=1")
    # verl's sequence parallelism leaves the vision tower whole, and hands delta nets on from GPU to GPU.
    _check("SP (ulysses_sequence_parallel_size)", sequence, gpus, wholes[:3])


def _gpus(trainer: DictConfig) -> int:
    for key in ("n_gpus_per_node", "nnodes"):
        if not (isinstance(trainer[key], int) and trainer[key] > 0):
            raise SetupError(f"trainer.{key}={trainer[key]}: give a whole number from 1 (scripts: N_GPUS, NNODES)")
    return trainer.n_gpus_per_node * trainer.nnodes


def check_sft_parallel(config: DictConfig) -> None:
    """Compare sequence parallelism and the batch of a composed ``sft`` configuration with its model and the GPUs."""
    gpus, batch = _gpus(config.trainer), config.data.train_batch_size
    sequence = config.engine.ulysses_sequence_parallel_size
    _check_sequence(sequence, gpus, _wholes(gpus, config.model.path), config.model)
    ranks = gpus // sequence
    if batch < 1 or batch % ranks:
        raise SetupError(
            f"data.train_batch_size={batch} cannot be shared evenly by {ranks} ranks, and verl would train on smaller "
            f"batches: make it a multiple of {ranks}, or change the number of GPUs (N_GPUS, NNODES)"
        )


def check_parallel(config: DictConfig, path: str) -> None:
    """Compare sequence parallelism, tensor parallelism and the batch with the model at ``path`` and the GPUs."""
    actor, rollout = config.actor_rollout_ref.actor, config.actor_rollout_ref.rollout
    gpus = _gpus(config.trainer)
    sequence, tensor = actor.fsdp_config.ulysses_sequence_parallel_size, rollout.tensor_model_parallel_size
    wholes = _wholes(gpus, path)
    _check_sequence(sequence, gpus, wholes, config.actor_rollout_ref.model)
    _check("TP (rollout.tensor_model_parallel_size)", tensor, gpus, wholes)
    answers, ranks = actor.ppo_mini_batch_size * rollout.n, gpus // sequence
    if answers % ranks:
        works = [n for n in range(sequence, gpus + 1, sequence) if answers % (n // sequence) == 0]
        raise SetupError(
            f"{answers} answers (actor_rollout_ref.actor.ppo_mini_batch_size x rollout.n) cannot be shared evenly by "
            f"{ranks} ranks, and verl would fill the batch with padding; numbers of GPUs that work: "
            + ", ".join(map(str, works))
        )
