# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""What is known of a training before it starts: the model's state in a GPU's memory, and the tokens of its rows.

Weights, gradients and optimizer are counted, from config.json and the composed configuration; no weights are loaded and
no GPU is touched. Activations, logits and CUDA's own memory come on top: only a run on the GPU can tell these.
Rows that are too long for the limits are an error: the training would meet them in the middle of an epoch.
"""

import argparse
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq
from omegaconf import DictConfig
from rich.console import Console
from rich.table import Table

from recipe.medgrpo.preflight.doctor import GIB, nvidia_smi
from recipe.medgrpo.preflight.errors import SetupError


def count_parameters(path: str, lora_rank: int = 0) -> tuple[int, int]:
    """Parameters of a vision-language model, from its architecture, and those that get gradients.

    These are all, or with ``lora_rank`` those of LoRA adapters in the language model.
    """
    import torch
    from transformers import AutoConfig, AutoModelForImageTextToText

    try:
        with torch.device("meta"):
            model = AutoModelForImageTextToText.from_config(AutoConfig.from_pretrained(path))
    except (OSError, ValueError) as error:
        raise SetupError(f"{path}: no usable config.json of a vision-language model: {error}") from None
    parameters = sum(parameter.numel() for parameter in model.parameters())
    widths = sum(
        module.in_features + module.out_features
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear) and "visual" not in name and "lm_head" not in name
    )
    return parameters, lora_rank * widths or parameters


def memory(parameters: int, trained: int, config: DictConfig, gpu_gib: float) -> dict[str, dict[str, float]]:
    """Phase -> item -> GiB on each GPU. While vLLM answers, the actor's state stays next to it unless offloaded."""
    rollout, offload = config.actor_rollout_ref.rollout, config.actor_rollout_ref.actor.fsdp_config
    gpus = config.trainer.n_gpus_per_node * config.trainer.nnodes
    weights, optimizer = 4 * parameters / gpus / GIB, 8 * trained / gpus / GIB
    resting = (not offload.param_offload) * weights + (not offload.optimizer_offload) * optimizer
    return {
        "update": {
            "weights (fp32, sharded)": weights,
            "gradients (fp32, sharded)": 4 * trained / gpus / GIB,
            "optimizer (Adam, fp32, sharded)": optimizer,
        },
        "rollout": {
            "vLLM (gpu_memory_utilization)": rollout.gpu_memory_utilization * gpu_gib,
            "the actor's state next to it": resting,
        },
    }


def media_tokens(config: DictConfig) -> list[int]:
    """``extra_info.num_tokens`` of the training rows with a rewarded task."""
    from recipe.medgrpo.preflight.longest_prompt import training_files

    table = pq.read_table(training_files(config), columns=["ability", "extra_info"])
    chosen = table.filter(pc.is_in(table["ability"], pc.cast(list(config.data.tasks), "string")))
    return pc.struct_field(chosen["extra_info"].combine_chunks(), "num_tokens").drop_null().to_pylist()


def sft_steps(config: DictConfig) -> int:
    """Steps that verl's SFT trainer takes with a composed ``sft`` configuration: whole batches, times epochs.

    0 if that cannot be told: which rows ``data.only`` leaves of a random choice.
    """
    from recipe.medgrpo.preflight.longest_prompt import training_files
    from recipe.medgrpo.trainer.dataset import chosen_rows

    data, trainer = config.data, config.trainer
    if trainer.total_training_steps:
        return trainer.total_training_steps
    files, limit = training_files(config), data.train_max_samples
    rows = sum(pq.read_metadata(file).num_rows for file in files)
    limited = 0 < limit < rows
    if any(values is not None for values in data.only.values()):
        if limited:
            return 0
        rows = len(chosen_rows(pq.read_table(files, columns=["extra_info"]).to_pandas(), data.only, files))
    return (limit if limited else rows) // data.train_batch_size * trainer.total_epochs


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("overrides", nargs="*", help="of the configuration, as main_medgrpo takes them")
    parser.add_argument("--base", help="model to count if actor_rollout_ref.model.path does not exist yet")
    parser.add_argument("--sft-steps", action="store_true", help="of an SFT run: check its rows, print its steps")
    parser.add_argument("--gpu-memory", type=float, help="GiB of one GPU (default: nvidia-smi's, or 80 without a GPU)")


def run(args: argparse.Namespace) -> int:
    from hydra import compose, initialize_config_module

    from recipe.medgrpo.preflight.longest_prompt import check_lengths, load_processor

    with initialize_config_module(config_module="recipe.medgrpo.config", version_base=None):
        config = compose("sft" if args.sft_steps else "medgrpo", args.overrides)
    if args.sft_steps:
        steps = sft_steps(config)
        check_lengths(config, load_processor(config.model), sft=True)
        print(steps)
        return 0
    options = config.actor_rollout_ref.model
    path = args.base if args.base and not (Path(options.path) / "config.json").exists() else options.path
    gpu_gib = args.gpu_memory or _gpu_memory()
    _print_memory(memory(*count_parameters(path, options.lora_rank), config, gpu_gib), gpu_gib)
    if tokens := media_tokens(config):
        mean = sum(tokens) / len(tokens)
        print(f"media tokens: mean {mean:.0f}, longest {max(tokens)}, over {len(tokens)} rows")
    check_lengths(config, load_processor(options, path))
    return 0


def _print_memory(phases: dict[str, dict[str, float]], gpu_gib: float) -> None:
    console = Console()
    for phase, items in phases.items():
        table, total = Table("GiB per GPU", phase), sum(items.values())
        for name, amount in items.items():
            table.add_row(f"{amount:.1f}", name)
        table.add_row(f"{total:.1f}", f"of {gpu_gib:.0f}; activations, logits and CUDA come on top", style="bold")
        console.print(table)
        if total > gpu_gib:
            remedy = "lower gpu_memory_utilization, set OFFLOAD=1 or LORA=64, or take more GPUs"
            console.print(f"[red]more than a GPU has[/red]: {remedy}")


def _gpu_memory() -> float:
    """GiB of the first GPU, or 80 (the paper's H100) where there is none to ask."""
    try:
        return float(nvidia_smi("memory.total")[0][0].removesuffix(" MiB")) / 1024
    except (IndexError, ValueError):
        return 80.0
