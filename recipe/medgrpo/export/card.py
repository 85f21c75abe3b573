# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""The model card of an exported folder, and the files that its snippets use."""

from __future__ import annotations

import math
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined
from omegaconf import DictConfig, OmegaConf

from recipe.medgrpo.common.run_folder import RunDir, read_json, write_json
from recipe.medgrpo.common.versions import versions
from recipe.medgrpo.export.checkpoint import Checkpoint
from recipe.medgrpo.model_inputs.prompt_templates import QUESTION
from recipe.medgrpo.model_inputs.prompt_templates import TEMPLATES as TEMPLATES_OF_QUESTIONS
from reward_score.errors import NormalizationError
from reward_score.normalization.artifact import Artifact

TEMPLATES = Path(__file__).with_name("templates")
#: Standalone by design: it imports numpy and torch alone.
POSITIONS = Path(__file__).parents[1] / "model_inputs" / "mrope.py"
#: Of the RL stage: words to their key in the configuration.
SETTINGS = {
    "prompts per step": "data.train_batch_size",
    "answers per prompt": "actor_rollout_ref.rollout.n",
    "learning rate": "actor_rollout_ref.actor.optim.lr",
    "rewarded tasks": "medgrpo.reward.reward_tasks",
}
#: Half the width of a 95% interval, in standard errors.
NORMAL_95 = 1.96


def facts(
    run: RunDir, config: DictConfig, checkpoint: Checkpoint, stage: str, *, base: str | None, license: str
) -> dict[str, Any]:
    """What the run's files say about one of its models; what they do not say is None."""
    summary, rl = _evaluation(run, checkpoint, stage), stage == "rl"
    return {
        "name": run.root.resolve().name,
        "license": license,
        "base": base,
        "stage": stage,
        "step": checkpoint.step,
        "preset": _preset(run) if rl else None,
        "normalization": _normalization_hash(run) if rl else None,
        "judge": summary and summary.get("judge"),
        "sources": sorted({pair["source"] for pair in summary["pairs"]}) if summary else None,
        "summary": summary,
        "settings": {name: OmegaConf.select(config, key) for name, key in SETTINGS.items()} if rl else {},
        "versions": versions(),
    }


def write(
    folder: Path, known: Mapping[str, Any], media: Mapping[str, Any], max_tokens: int, template: str | None
) -> None:
    """README.md (the card), medgrpo.json, mrope.py and the programs, in the folder of the model.

    Args:
        template: name of the wording around each question; None: a question is asked as it is.
    """
    model = read_json(folder / "config.json", "the checkpoint's stage")
    settings = {"media": media, "max_tokens": max_tokens, "patch_size": model["vision_config"]["patch_size"]}
    settings["template"] = TEMPLATES_OF_QUESTIONS[template] if template else QUESTION
    of_run = {name: known[name] for name in ("stage", "step", "preset", "normalization", "versions")}
    write_json(folder / "medgrpo.json", settings | of_run)
    # The other one shows a server clips.
    programs = ["use_transformers.py"] + ["use_vllm.py"] * ("videos" in media)
    for file in (POSITIONS, *(TEMPLATES / name for name in programs)):
        shutil.copyfile(file, folder / file.name)
    spaces = {"trim_blocks": True, "lstrip_blocks": True, "keep_trailing_newline": True}
    environment = Environment(undefined=StrictUndefined, **spaces)
    environment.filters["interval"] = interval
    text = environment.from_string((TEMPLATES / "README.md.jinja").read_text(encoding="utf-8"))
    card = text.render(**known, media=media, max_tokens=max_tokens, template=template, model_type=model["model_type"])
    (folder / "README.md").write_text(card + "\n", encoding="utf-8")


def interval(mean: float | None, error: float | None) -> str:
    """``0.412 (0.388 to 0.436)``: a mean and its 95% interval by the normal approximation."""
    if mean is None:
        return "-"
    if error is None or math.isnan(error):
        return f"{mean:.3f}"
    return f"{mean:.3f} ({mean - NORMAL_95 * error:.3f} to {mean + NORMAL_95 * error:.3f})"


def _evaluation(run: RunDir, checkpoint: Checkpoint, stage: str) -> dict[str, Any] | None:
    """The run's evaluation of this very checkpoint, whatever the run's folder was called then."""
    file = run.evaluation(stage).summary
    if not file.is_file():
        return None
    summary = read_json(file, "medgrpo evaluate")
    model = Path(summary["model"])
    own = {checkpoint.folder / "huggingface", checkpoint.folder}
    tails = [path.relative_to(run.root).parts for path in own]
    known = model.resolve() in map(Path.resolve, own) or any(model.parts[-len(tail) :] == tail for tail in tails)
    return summary if known else None


def _preset(run: RunDir) -> str | None:
    file = run.config.with_name("hydra.yaml")
    return OmegaConf.select(OmegaConf.load(file), "hydra.runtime.choices.preset") if file.is_file() else None


def _normalization_hash(run: RunDir) -> str | None:
    for file in (run.rl / "normalization.json", run.normalization):
        try:
            return Artifact.load(file).hash
        except NormalizationError:
            continue
    return None
