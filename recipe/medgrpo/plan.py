# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""What a run script would do, in twenty lines, and its whole configuration in a file: ``DRY_RUN=1`` of the scripts."""

import argparse
import os
import sys
import tempfile
from typing import Any

from recipe.medgrpo.common.configuration import ConfigurationError, check_given, composed


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", choices=["medgrpo", "sft"], default="medgrpo", help="whose configuration it is")
    parser.add_argument("--stages", required=True, help="what the script would run, in order")
    parser.add_argument("overrides", nargs="*", help="of the configuration")


def run(args: argparse.Namespace) -> int:
    from hydra.errors import HydraException
    from omegaconf import OmegaConf, open_dict
    from omegaconf.errors import OmegaConfBaseException

    from recipe.medgrpo.scoring.training_options import read_tasks
    from reward_score.errors import BadOption

    try:
        config = composed(args.config, args.overrides, return_hydra_config=True)
        check_given(config)
        if args.config == "medgrpo":
            read_tasks(config)
    except (HydraException, ConfigurationError, BadOption, OmegaConfBaseException) as error:
        print(f"the overrides make no configuration: {error}", file=sys.stderr)
        return 1
    chosen = OmegaConf.to_container(config.hydra.runtime.choices)
    with open_dict(config):
        del config["hydra"]
    plan = training(config, chosen) if args.config == "medgrpo" else warm_start(config)
    for name, value in {"stages": args.stages, **plan}.items():
        print(f"{name:15s} {value}")
    descriptor, path = tempfile.mkstemp(prefix=f"{args.config}_", suffix=".yaml")
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(OmegaConf.to_yaml(config, resolve=True))
    print(f"{'configuration':15s} {path}\nNothing was started (DRY_RUN). `medgrpo estimate` computes the memory.")
    return 0


def training(config: Any, chosen: dict[str, str]) -> dict[str, str]:
    """The plan of RL; ``chosen`` maps config groups to their choices."""
    actor, rollout, model = (config.actor_rollout_ref[name] for name in ("actor", "rollout", "model"))
    data, trainer, reward, fsdp = config.data, config.trainer, config.medgrpo.reward, actor.fsdp_config
    artifact = f", {reward.artifact}" if reward.normalization != "none" else ""
    asked = reward.judge if isinstance(reward.judge, str) else f"{chosen['judge']}, {reward.judge.model}"
    offloaded = [name for name in ("param", "optimizer") if fsdp[f"{name}_offload"]]
    return {
        "output": trainer.default_local_dir,
        "training data": data.train_files,
        "held-out data": data.val_files,
        "model": model.path + (f", LoRA of rank {model.lora_rank}" if model.lora_rank else ""),
        "preset": f"{chosen['preset']}, advantages by {config.algorithm.adv_estimator}",
        "tasks": " ".join(data.tasks),
        "normalization": f"{reward.normalization}{artifact}",
        "judge": f"{asked}, {reward.caption_mix:g} of a caption's reward is its similarity",
        "lengths": f"prompt up to {data.max_prompt_length}, answer up to {data.max_response_length} tokens",
        "a step": f"{data.train_batch_size} prompts x {rollout.n} answers, temperature {rollout.temperature:g}",
        "steps": f"{_steps(trainer)}, learning rate {actor.optim.lr:g}",
        "machine": f"{trainer.nnodes} x {trainer.n_gpus_per_node} of platform {chosen['platform']}, {actor.strategy}, "
        f"{rollout.tensor_model_parallel_size} per vLLM, {fsdp.ulysses_sequence_parallel_size} per sequence",
        "memory": f"vLLM {rollout.gpu_memory_utilization:g} of a GPU, update {actor.ppo_max_token_len_per_gpu} tokens "
        f"per GPU, host memory holds: {' and '.join(offloaded) or 'nothing'}",
        "checkpoints": f"every {trainer.save_freq} steps, {trainer.max_actor_ckpt_to_keep or 'all'} kept: "
        + " ".join(actor.checkpoint.save_contents),
        "logs": " ".join(trainer.logger),
    }


def warm_start(config: Any) -> dict[str, str]:
    """The plan of SFT; ``config`` is composed from sft.yaml."""
    data, trainer, engine = config.data, config.trainer, config.engine
    offloaded = [name for name in ("param", "optimizer") if engine[f"{name}_offload"]]
    return {
        "output": trainer.default_local_dir,
        "training data": data.train_files,
        "model": config.model.path,
        "lengths": f"a row up to {data.max_length} tokens",
        "a step": f"{data.train_batch_size} rows",
        "steps": f"{_steps(trainer)}, learning rate {config.optim.lr:g}, {config.optim.lr_scheduler_type}",
        "machine": f"{trainer.nnodes} x {trainer.n_gpus_per_node}, {engine.strategy}, "
        f"{engine.ulysses_sequence_parallel_size} per sequence",
        "memory": f"update {data.max_token_len_per_gpu} tokens per GPU, host memory holds: "
        f"{' and '.join(offloaded) or 'nothing'}",
        "checkpoints": f"{trainer.save_freq}, {trainer.max_ckpt_to_keep or 'all'} kept: "
        + " ".join(config.checkpoint.save_contents),
        "logs": " ".join(trainer.logger),
    }


def _steps(trainer: Any) -> str:
    return str(trainer.total_training_steps or f"{trainer.total_epochs} epochs")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    add_arguments(parser)
    try:
        return run(parser.parse_args())
    except ModuleNotFoundError as error:
        print(
            f"a plan needs the Python package {error.name}: make the environment first (docs/install.md)",
            file=sys.stderr,
        )
        return 1


if __name__ == "__main__":
    sys.exit(main())
