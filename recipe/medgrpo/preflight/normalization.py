# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Before the first step: is the normalization of these data, this model and this run?"""

import shutil
from pathlib import Path

import pyarrow.parquet as pq
from omegaconf import DictConfig
from verl.utils.checkpoint.checkpoint_manager import find_latest_ckpt_path

import reward_score
from data_preprocess.common.atomic_file import whole_file
from recipe.medgrpo.preflight.errors import SetupError
from recipe.medgrpo.preflight.longest_prompt import training_files
from recipe.medgrpo.scoring.artifact_check import weights_fingerprint
from recipe.medgrpo.scoring.training_options import resolved


def check_normalization(config: DictConfig) -> None:
    """Raise unless the artifact covers all pairs of the data and was measured on the model that training starts from.

    A resumed run needs the artifact that it was started with, which is copied next to the checkpoints.
    """
    reward = resolved(config.medgrpo.reward)
    scorer = reward_score.get_scorer(reward)
    for file in training_files(config):
        sources = set(pq.read_table(file, columns=["data_source"])["data_source"].to_pylist())
        scorer.check(source for source in sources if source.rsplit("/", 1)[-1] in config.data.tasks)
    if reward.normalization == "none":
        return
    kept = Path(config.trainer.default_local_dir) / "normalization.json"
    artifact = reward_score.Artifact.load(reward.artifact)
    _check_model(config, artifact)
    resumes = config.trainer.resume_mode != "disable" and find_latest_ckpt_path(str(kept.parent)) is not None
    if resumes and kept.exists() and (old := reward_score.Artifact.load(kept)).hash != artifact.hash:
        raise SetupError(
            f"{kept.parent} was trained with normalization {old.hash[:12]}, "
            f"{reward.artifact} is {artifact.hash[:12]}: "
            f"set medgrpo.reward.artifact={kept} to go on, or another trainer.default_local_dir to start anew"
        )
    kept.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(kept) as part:
        shutil.copyfile(reward.artifact, part)
    print(f"normalization {artifact.hash[:12]} from {reward.artifact}")


def _check_model(config: DictConfig, artifact: reward_score.Artifact) -> None:
    """Raise if the artifact was measured on other weights than the training starts from."""
    file, model = config.medgrpo.reward.artifact, config.actor_rollout_ref.model.path
    measured = artifact.provenance
    own = weights_fingerprint(Path(model)) if measured.fingerprint else None
    if own is None:
        # A name on the hub has none.
        if Path(measured.model).resolve() != Path(model).resolve():
            print(
                f"WARNING: the normalization {file} was measured on {measured.model}, but training starts from {model}."
                " If these are different weights, a median answer no longer gets 0.5: calibrate with this model",
                flush=True,
            )
        return
    if own != measured.fingerprint and not config.medgrpo.accept_other_model:
        raise SetupError(
            f"the normalization {file} was measured on {measured.model} (weights {measured.fingerprint[:12]}), but "
            f"training starts from {model} (weights {own[:12]}), so a median answer would not get 0.5: calibrate with "
            "this model (`medgrpo calibrate --model`), or set medgrpo.accept_other_model=true if that is meant"
        )
