# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Whether heads, GPUs and the batch can be split as configured: verl and vLLM find out only once their workers run."""

from collections.abc import Callable

from omegaconf import DictConfig

from recipe.medgrpo.preflight.errors import SetupError, usable


def heads(path: str) -> dict[str, int]:
    """What a model's heads are called in messages, and how many there are: attention, key and value, vision tower."""
    from transformers import AutoConfig

    with usable(path):
        config = AutoConfig.from_pretrained(path)
        text, vision = config.get_text_config(), config.vision_config
    return {
        "attention heads": text.num_attention_heads,
        "key heads": text.num_key_value_heads,
        "heads of the vision tower": vision.num_heads,
    }


def _divides(parts: int, whole: int) -> bool:
    return whole % parts == 0


def _shares(parts: int, whole: int) -> bool:
    """Key heads may be split, or each be held by several GPUs."""
    return whole % parts == 0 or parts % whole == 0


def _check(option: str, parts: int, gpus: int, wholes: list[tuple[str, int, Callable[[int, int], bool]]]) -> None:
    failed = [f"{whole} {name}" for name, whole, fits in wholes if not fits(parts, whole)]
    if failed:
        works = [n for n in range(1, gpus + 1) if all(fits(n, whole) for _, whole, fits in wholes)]
        raise SetupError(
            f"{option}: {parts} does not fit {' and '.join(failed)}; these work: " + ", ".join(map(str, works))
        )


def check_parallel(config: DictConfig, path: str) -> None:
    """Compare sequence parallelism, tensor parallelism and the batch with the model at ``path`` and the GPUs."""
    actor, rollout = config.actor_rollout_ref.actor, config.actor_rollout_ref.rollout
    gpus = config.trainer.n_gpus_per_node * config.trainer.nnodes
    sequence, tensor = actor.fsdp_config.ulysses_sequence_parallel_size, rollout.tensor_model_parallel_size
    if sequence > 1 and not config.actor_rollout_ref.model.use_remove_padding:
        raise SetupError(f"SP={sequence} needs training without padding (flash-attn): set SP=1, or not ATTN=sdpa")
    fits = {"GPUs": _divides, "attention heads": _divides, "key heads": _shares, "heads of the vision tower": _divides}
    wholes = [(name, whole, fits[name]) for name, whole in {"GPUs": gpus, **heads(path)}.items()]
    # verl's sequence parallelism leaves the vision tower whole.
    _check("SP (ulysses_sequence_parallel_size)", sequence, gpus, wholes[:-1])
    _check("TP (rollout.tensor_model_parallel_size)", tensor, gpus, wholes)
    answers, ranks = actor.ppo_mini_batch_size * rollout.n, gpus // sequence
    if answers % ranks:
        works = [n for n in range(sequence, gpus + 1, sequence) if answers % (n // sequence) == 0]
        raise SetupError(
            f"{answers} answers (actor_rollout_ref.actor.ppo_mini_batch_size x rollout.n) cannot be shared evenly by "
            f"{ranks} ranks, and verl would fill the batch with padding; numbers of GPUs that work: "
            + ", ".join(map(str, works))
        )
