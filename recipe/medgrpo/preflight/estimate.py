# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""What is known of a training before it starts: memory of a GPU, least work of a step, and the tokens of its rows.

Weights, gradients and optimizer are counted, and what autograd keeps is measured (activations.py), from config.json and
the composed configuration: no weights are loaded and no GPU is touched. Rows that are too long are an error.
"""

import argparse
import math
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq
from omegaconf import DictConfig
from rich.console import Console
from rich.table import Table

from data_preprocess.common.cli_types import positive
from recipe.medgrpo.common.configuration import check_given, composed
from recipe.medgrpo.preflight.doctor import GIB, nvidia_smi
from recipe.medgrpo.preflight.errors import SetupError
from recipe.medgrpo.preflight.parallel import check_parallel, check_sft_parallel
from recipe.medgrpo.scoring.training_options import read_tasks

#: GiB of CUDA's contexts, NCCL's buffers and what sleeping vLLM leaves: assumed until a run on GPUs tells.
ASSUMED = 4.0
#: Floating-point operations per second of one H100 in bfloat16, by its data sheet.
PEAK = 989e12


def count_parameters(model, lora_rank: int = 0) -> tuple[int, int]:
    """Parameters of a vision-language model, and those that get gradients: all, or LoRA's in the language model."""
    import torch

    parameters = sum(parameter.numel() for parameter in model.parameters())
    widths = sum(
        module.in_features + module.out_features
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear) and "visual" not in name and "lm_head" not in name
    )
    return parameters, lora_rank * widths or parameters


def memory(model, config: DictConfig, gpu_gib: float) -> dict[str, dict[str, float]]:
    """Phase -> item -> GiB on each GPU. While vLLM answers, the actor's state stays next to it unless offloaded."""
    from recipe.medgrpo.preflight.activations import activation_bytes, gathered_bytes

    options, rollout = config.actor_rollout_ref.model, config.actor_rollout_ref.rollout
    actor = config.actor_rollout_ref.actor
    offload, gpus = actor.fsdp_config, config.trainer.n_gpus_per_node * config.trainer.nnodes
    parameters, trained = count_parameters(model, options.lora_rank)
    tokens, sequence = actor.ppo_max_token_len_per_gpu, offload.ulysses_sequence_parallel_size
    # Each rank of a sequence-parallel group runs the vision tower for the whole group's sequences.
    kept = activation_bytes(model, tokens, 4 * tokens * sequence, options.enable_gradient_checkpointing)
    # flash-attn's cross entropy writes the gradient over the logits. With padding verl's entropy is not compiled: it
    # holds the logits, their softmax and the product in float32, of padding too. Six fit a run (docs/gpu_check.md).
    copies = 1 if options.use_remove_padding else 6
    weights, optimizer = 4 * parameters / gpus / GIB, 8 * trained / gpus / GIB
    resting = (not offload.param_offload) * weights + (not offload.optimizer_offload) * optimizer
    served = 2 * parameters / rollout.tensor_model_parallel_size / GIB
    return {
        "update": {
            "weights (fp32, sharded)": weights,
            "gradients (fp32, sharded)": 4 * trained / gpus / GIB,
            "optimizer (Adam, fp32, sharded)": optimizer,
            "weights gathered for use (bf16)": gathered_bytes(model) / GIB,
            f"language model's activations ({tokens} tokens)": kept["language model"] / GIB,
            "vision tower's activations": kept["vision tower"] / GIB,
            "the layer being recomputed": kept["layer"] / GIB,
            "logits": copies * kept["logits"] / GIB,
            "CUDA, NCCL, sleeping vLLM (assumed)": ASSUMED,
        },
        "rollout": {
            "vLLM: weights (bf16)": served,
            "vLLM: caches and buffers": rollout.gpu_memory_utilization * gpu_gib - served,
            "the actor's state next to it": resting,
        },
    }


def check_memory(phases: dict[str, dict[str, float]], config: DictConfig, gpu_gib: float) -> list[str]:
    """Warnings, each with what may still be changed; SetupError if what is counted exactly is more than a GPU has."""
    fsdp, rollout = config.actor_rollout_ref.actor.fsdp_config, config.actor_rollout_ref.rollout
    fewer = [] if config.actor_rollout_ref.model.lora_rank else ["LORA=64"]
    offload = [] if fsdp.param_offload and fsdp.optimizer_offload else ["OFFLOAD=1"]
    least = config.data.max_prompt_length + config.data.max_response_length
    tokens = config.actor_rollout_ref.actor.ppo_max_token_len_per_gpu
    shorter = [f"actor_rollout_ref.actor.ppo_max_token_len_per_gpu down to {least}"] if tokens > least else []
    update, served = phases["update"], phases["rollout"]
    state = sum(size for item, size in update.items() if "sharded" in item)
    _check_state(state, gpu_gib, fewer)
    if served["vLLM: caches and buffers"] < 0:
        raise SetupError(
            f"vLLM's share of each GPU ({rollout.gpu_memory_utilization:.2f} of {gpu_gib:.0f} GiB) is smaller than the "
            f"model's weights ({served['vLLM: weights (bf16)']:.1f} GiB): raise "
            "actor_rollout_ref.rollout.gpu_memory_utilization, or TP, or take a smaller model"
        )
    remedies = {"update": [*shorter, *fewer], "rollout": [*offload, "a lower gpu_memory_utilization"]}
    return [
        f"{phase}: {sum(phases[phase].values()):.0f} GiB of {gpu_gib:.0f}: {', '.join([*ways, 'more GPUs'])}"
        for phase, ways in remedies.items()
        if sum(phases[phase].values()) > gpu_gib
    ]


def _check_state(state: float, gpu_gib: float, fewer: list[str]) -> None:
    if state > gpu_gib:
        raise SetupError(
            f"weights, gradients and optimizer take {state:.0f} GiB of each GPU, which has {gpu_gib:.0f}: "
            + ", ".join([*fewer, "more GPUs", "a smaller model"])
        )


def check_sft_memory(config: DictConfig, gpu_gib: float) -> None:
    """SetupError if what SFT keeps is more than a GPU has; offloading brings all of it there for an update."""
    from recipe.medgrpo.preflight.activations import meta_model

    engine, model = config.engine, config.model
    if engine.offload_policy or engine.model_dtype not in ("fp32", "float32"):
        return
    parameters, trained = count_parameters(meta_model(model.path), model.lora_rank)
    gpus = config.trainer.n_gpus_per_node * config.trainer.nnodes
    _check_state((4 * parameters + 12 * trained) / gpus / GIB, gpu_gib, ["MODEL=... (an SFT checkpoint that you have)"])


def least_seconds(parameters: int, tokens: int, gpus: int) -> float:
    """Below which no step can be: its matrix products at the peak of every GPU. Sampling comes on top.

    Per parameter and token: 2 operations for the old log-probabilities; 2 forward, 2 recomputed and 4 backward for the
    update.
    """
    return 10 * parameters * tokens / gpus / PEAK


def media_tokens(config: DictConfig) -> list[int]:
    """``extra_info.num_tokens`` of the training rows with a rewarded task."""
    from recipe.medgrpo.preflight.longest_prompt import training_files

    table = pq.read_table(training_files(config), columns=["ability", "extra_info"])
    chosen = table.filter(pc.is_in(table["ability"], pc.cast(list(config.data.tasks), "string")))
    return pc.struct_field(chosen["extra_info"].combine_chunks(), "num_tokens").drop_null().to_pylist()


def sft_steps(config: DictConfig) -> int:
    """Steps of verl's SFT trainer with this ``sft`` configuration; SetupError unless it would take those asked for."""
    from recipe.medgrpo.preflight.longest_prompt import trained_rows

    data, trainer = config.data, config.trainer
    rows, limit, asked = trained_rows(config), data.train_max_samples, trainer.total_training_steps
    if limit > 0 and any(values is not None for values in data.only.values()):
        raise SetupError(
            f"data.train_max_samples={limit} with data.only: verl takes so many rows at first, and how many of them "
            "data.only leaves is not known: give one of the two, or a file of fewer rows"
        )
    rows = min(limit, rows) if limit > 0 else rows
    batches = rows // data.train_batch_size
    if not batches:
        raise SetupError(
            f"data.train_files: SFT would train on {rows} rows, fewer than "
            f"data.train_batch_size={data.train_batch_size}: lower that, or give more rows"
        )
    steps = batches * trainer.total_epochs
    if asked and asked > steps:
        raise SetupError(
            f"trainer.total_training_steps={asked}: {trainer.total_epochs} epochs have {steps} steps, after which verl "
            f"ends: set trainer.total_epochs={math.ceil(asked / batches)} or more (EPOCHS in the scripts)"
        )
    return asked or steps


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("overrides", nargs="*", help="of the configuration, as main_medgrpo takes them")
    parser.add_argument("--base", help="model to count if actor_rollout_ref.model.path does not exist yet")
    parser.add_argument("--sft-steps", action="store_true", help="of an SFT run: check its rows, print its steps")
    parser.add_argument(
        "--gpu-memory", type=positive, help="GiB of one GPU (default: nvidia-smi's, or 80 without a GPU)"
    )


def run(args: argparse.Namespace) -> int:
    config = composed("sft" if args.sft_steps else "medgrpo", args.overrides)
    check_given(config)
    if not args.sft_steps:
        return _estimate(config, args)
    check_sft_parallel(config)
    from recipe.medgrpo.preflight.longest_prompt import check_lengths, load_processor

    steps = sft_steps(config)
    check_sft_memory(config, args.gpu_memory or _gpu_memory())
    check_lengths(config, load_processor(config.model), sft=True)
    print(steps)
    return 0


def _estimate(config: DictConfig, args: argparse.Namespace) -> int:
    options = config.actor_rollout_ref.model
    path = args.base if args.base and not (Path(options.path) / "config.json").exists() else options.path
    read_tasks(config)
    # Before what imports verl and datasets, which takes far longer.
    check_parallel(config, path)
    from recipe.medgrpo.preflight.activations import meta_model
    from recipe.medgrpo.preflight.longest_prompt import check_lengths, check_rows, load_processor

    check_rows(config)
    gpu_gib, model = args.gpu_memory or _gpu_memory(), meta_model(path)
    phases, console = memory(model, config, gpu_gib), Console()
    for phase, items in phases.items():
        table = Table("GiB per GPU", phase)
        for name, amount in items.items():
            table.add_row(f"{amount:.1f}", name)
        table.add_row(f"{sum(items.values()):.1f}", f"of {gpu_gib:.0f}", style="bold")
        console.print(table)
    for warning in check_memory(phases, config, gpu_gib):
        print("more than a GPU has, in the phase " + warning)
    if tokens := media_tokens(config):
        mean = sum(tokens) / len(tokens)
        print(f"media tokens: mean {mean:.0f}, longest {max(tokens)}, over {len(tokens)} rows")
        gpus = config.trainer.n_gpus_per_node * config.trainer.nnodes
        step = round(mean) * config.data.train_batch_size * config.actor_rollout_ref.rollout.n
        least = least_seconds(count_parameters(model)[0], step, gpus)
        print(
            f"a step trains on {step / 1e6:.1f} M media tokens: on {gpus} H100 at their peak no less than {least:.0f} s"
        )
    check_lengths(config, load_processor(options, path))
    return 0


def _gpu_memory() -> float:
    """GiB of the first GPU, or 80 (the paper's H100) where there is none to ask."""
    try:
        return float(nvidia_smi("memory.total")[0][0].removesuffix(" MiB")) / 1024
    except (IndexError, ValueError):
        return 80.0
