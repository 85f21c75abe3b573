# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""What a training will need, from the model's config.json and the composed configuration: memory per GPU and time.

Weights, gradients, optimizer and KV cache are counted; activations and time are rough (each row says how it is got).
No weights are loaded and no GPU is touched. Rows that are too long for the limits are an error: the training would meet
them in the middle of an epoch.
"""

from __future__ import annotations

import argparse
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq
from omegaconf import DictConfig
from rich.console import Console
from rich.table import Table

from recipe.medgrpo.preflight.longest_prompt import EstimateError, check_lengths

GIB = 2**30
#: Shares of an accelerator's peak that training and decoding reach; assumptions, not measurements.
TRAIN_SHARE, DECODE_SHARE = 0.35, 0.5
#: What vLLM takes beside weights and cache, and CUDA beside everything: GiB, assumed.
VLLM_EXTRA, CONTEXT = 2.0, 1.5


@dataclass(frozen=True)
class Model:
    """Sizes of a vision-language model, counted on its architecture without weights."""

    parameters: int
    language_linear: tuple[tuple[int, int], ...]
    layers: int
    hidden: int
    intermediate: int
    vocabulary: int
    kv_width: int

    @classmethod
    def of(cls, path: str) -> Model:
        import torch
        from transformers import AutoConfig, AutoModelForImageTextToText

        try:
            config = AutoConfig.from_pretrained(path)
            with torch.device("meta"):
                model = AutoModelForImageTextToText.from_config(config)
        except (OSError, ValueError) as error:
            raise EstimateError(f"{path}: no usable config.json of a vision-language model: {error}") from None
        text = config.get_text_config()
        head = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
        linear = tuple(
            (module.in_features, module.out_features)
            for name, module in model.named_modules()
            if isinstance(module, torch.nn.Linear) and "visual" not in name and "lm_head" not in name
        )
        return cls(
            parameters=sum(parameter.numel() for parameter in model.parameters()),
            language_linear=linear,
            layers=text.num_hidden_layers,
            hidden=text.hidden_size,
            intermediate=text.intermediate_size,
            vocabulary=text.vocab_size,
            kv_width=2 * text.num_key_value_heads * head,
        )

    def trainable(self, rank: int) -> int:
        """Parameters that get gradients: all, or those of LoRA adapters of ``rank`` in the language model."""
        return sum(rank * (inputs + outputs) for inputs, outputs in self.language_linear) if rank else self.parameters


def memory(model: Model, config: DictConfig, gpu_gib: float) -> dict[str, dict[str, float]]:
    """Phase -> item -> GiB on each GPU. While vLLM answers, the actor's state lies beside it unless offloaded."""
    actor, rollout = config.actor_rollout_ref.actor, config.actor_rollout_ref.rollout
    gpus = config.trainer.n_gpus_per_node * config.trainer.nnodes
    trained, tokens = model.trainable(config.actor_rollout_ref.model.lora_rank), actor.ppo_max_token_len_per_gpu
    weights, optimizer = 4 * model.parameters / gpus / GIB, 8 * trained / gpus / GIB
    per_token = 2 * (4 * model.hidden + 3 * model.intermediate)
    stored = 2 * model.hidden * model.layers
    if not config.actor_rollout_ref.model.enable_gradient_checkpointing:
        stored = per_token * model.layers
    update = {
        "weights (fp32, sharded)": weights,
        "gradients (fp32, sharded)": 4 * trained / gpus / GIB,
        "optimizer (Adam, fp32, sharded)": optimizer,
        "two gathered layers (bf16)": 2 * 2 * model.parameters / model.layers / GIB,
        f"activations, roughly ({tokens} tokens)": tokens * (stored + per_token) / GIB,
        "logits and their gradient, roughly": tokens * model.vocabulary * 10 / GIB,
        "CUDA context": CONTEXT,
    }
    offload = actor.fsdp_config
    resting = (0 if offload.param_offload else weights) + (0 if offload.optimizer_offload else optimizer)
    engine = rollout.gpu_memory_utilization * gpu_gib
    served = 2 * model.parameters / rollout.tensor_model_parallel_size / GIB
    answer = {
        "vLLM: weights (bf16)": served,
        "vLLM: KV cache": engine - served - VLLM_EXTRA,
        "vLLM: the rest": VLLM_EXTRA,
        "the actor's state beside it": resting,
        "CUDA context": CONTEXT,
    }
    return {"update": update, "rollout": answer}


def cache_sequences(model: Model, config: DictConfig, cache_gib: float) -> tuple[int, int]:
    """Longest sequences that the KV cache of one replica holds, and those that a step asks of it."""
    rollout = config.actor_rollout_ref.rollout
    longest = config.data.max_prompt_length + config.data.max_response_length
    per_token = 2 * model.layers * model.kv_width / rollout.tensor_model_parallel_size
    replicas = config.trainer.n_gpus_per_node * config.trainer.nnodes // rollout.tensor_model_parallel_size
    asked = -(-config.data.train_batch_size * rollout.n // replicas)
    return int(cache_gib * GIB // (per_token * longest)), asked


def media_tokens(config: DictConfig) -> list[int]:
    """``extra_info.num_tokens`` of the training rows with a rewarded task."""
    files = config.data.train_files
    found: list[int] = []
    for file in [files] if isinstance(files, str) else files:
        if not Path(file).is_file():
            raise EstimateError(f"data.train_files: {file} is missing")
        table = pq.read_table(file, columns=["ability", "extra_info"])
        chosen = table.filter(pc.is_in(table["ability"], pc.cast(list(config.data.tasks), "string")))
        tokens = pc.struct_field(chosen["extra_info"].combine_chunks(), "num_tokens")
        found += tokens.drop_null().to_pylist()
    return found


def sft_steps(config: DictConfig) -> int:
    """Steps that verl's SFT trainer takes with a composed ``sft`` configuration: whole batches, times epochs.

    0 if that cannot be told: which rows ``data.only`` leaves of a random choice.
    """
    data, trainer = config.data, config.trainer
    if trainer.total_training_steps:
        return trainer.total_training_steps
    files = [data.train_files] if isinstance(data.train_files, str) else list(data.train_files)
    for file in files:
        if not Path(file).is_file():
            raise EstimateError(f"data.train_files: {file} is missing")
    rows, limit = sum(pq.read_metadata(file).num_rows for file in files), data.train_max_samples
    limited = 0 < limit < rows
    if any(values is not None for values in data.only.values()):
        if limited:
            return 0
        from recipe.medgrpo.trainer.dataset import chosen_rows

        rows = len(chosen_rows(pq.read_table(files, columns=["extra_info"]).to_pandas(), data.only, files))
    return (limit if limited else rows) // data.train_batch_size * trainer.total_epochs


def seconds_per_step(model: Model, config: DictConfig, prompt: float, tflops: float, bandwidth: float) -> float:
    """Rough seconds of a step whose answers are as long as allowed.

    Args:
        prompt: mean tokens of a prompt.
        tflops: peak of one accelerator in bf16. bandwidth: of its memory, TB/s.
    """
    rollout, actor = config.actor_rollout_ref.rollout, config.actor_rollout_ref
    gpus = config.trainer.n_gpus_per_node * config.trainer.nnodes
    answers, answer = config.data.train_batch_size * rollout.n, config.data.max_response_length
    tokens = answers * (prompt + answer)
    # Old log-probabilities 2, forward 2, backward 4, recomputation 2 operations per parameter and token.
    passes = 10 if actor.model.enable_gradient_checkpointing else 8
    operations = model.parameters * (passes * tokens + 2 * config.data.train_batch_size * prompt)
    decoding = answer * 2 * model.parameters / rollout.tensor_model_parallel_size / (bandwidth * 1e12 * DECODE_SHARE)
    return operations / (gpus * tflops * 1e12 * TRAIN_SHARE) + decoding


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("overrides", nargs="*", help="of the configuration, as main_medgrpo takes them")
    parser.add_argument("--base", help="model to count if actor_rollout_ref.model.path does not exist yet")
    parser.add_argument("--sft-steps", action="store_true", help="of an SFT run: check its rows, print its steps")
    parser.add_argument("--gpu-memory", type=float, help="GiB of one GPU (default: nvidia-smi's, else 80)")
    parser.add_argument("--tflops", type=float, default=989.0, help="peak of one GPU in bf16 (H100)")
    parser.add_argument("--bandwidth", type=float, default=3.35, help="TB/s of a GPU's memory (H100)")


def gpu_memory() -> float:
    """GiB of the first GPU, or 80 (the paper's H100) where there is none to ask."""
    query = ["nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits", "--id=0"]
    try:
        return float(subprocess.run(query, capture_output=True, text=True, check=True, timeout=30).stdout) / 1024
    except (OSError, subprocess.SubprocessError, ValueError):
        return 80.0


def run(args: argparse.Namespace) -> int:
    from hydra import compose, initialize_config_module

    with initialize_config_module(config_module="recipe.medgrpo.config", version_base=None):
        config = compose("sft" if args.sft_steps else "medgrpo", args.overrides)
    if args.sft_steps:
        steps = sft_steps(config)
        check_lengths(config, config.model.path, sft=True)
        print(steps)
        return 0
    path = config.actor_rollout_ref.model.path
    path = path if args.base is None or (Path(path) / "config.json").exists() else args.base
    model = Model.of(path)
    gpu = args.gpu_memory or gpu_memory()
    console = Console()
    phases = memory(model, config, gpu)
    for phase, items in phases.items():
        table = Table("GiB per GPU", phase, title_justify="left")
        for name, amount in items.items():
            table.add_row(f"{amount:.1f}", name)
        table.add_row(f"{sum(items.values()):.1f}", f"of {gpu:.0f}", style="bold")
        console.print(table)
        if sum(items.values()) > gpu:
            console.print(
                "[red]more than a GPU has, by this estimate[/red]: lower ppo_max_token_len_per_gpu (with SP=2 if the "
                "longest sample needs it) or gpu_memory_utilization, or set OFFLOAD=1 or LORA=64"
            )
    fits, asked = cache_sequences(model, config, phases["rollout"]["vLLM: KV cache"])
    console.print(f"KV cache: {fits} sequences of full length per replica, {asked} asked per step", highlight=False)
    if fits < 1:
        console.print("[red]not one full sequence fits the KV cache[/red]: raise gpu_memory_utilization or TP")
    tokens = media_tokens(config)
    if tokens:
        mean = sum(tokens) / len(tokens)
        console.print(f"media tokens: mean {mean:.0f}, longest {max(tokens)}, over {len(tokens)} rows", highlight=False)
        seconds = seconds_per_step(model, config, mean, args.tflops, args.bandwidth)
        steps = config.trainer.total_training_steps
        total = f", {seconds * steps / 3600:.1f} h for {steps} steps" if steps else ""
        console.print(f"time: about {seconds:.0f} s a step{total}, judge and reading left out", highlight=False)
    check_lengths(config, path)
    return 0
