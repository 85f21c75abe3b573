# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Normalization that follows the policy (``ema``): learned in one place, used by all reward workers, checkpointed.

The sampler, which sees every scored batch, owns the statistics. A reward worker takes them over at its first answer of
a step. The other methods have no state: for them each checkpoint keeps the artifact's hash, compared on resume.
"""

import asyncio
import json
import math
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import ray
from pydantic import BaseModel
from verl.trainer.ppo.checkpoint_callback import CheckpointCallback
from verl.utils.checkpoint.checkpoint_manager import find_latest_ckpt_path

from recipe.medgrpo.common.run_folder import write_json
from recipe.medgrpo.trainer.step_metrics import ScoredAnswer
from reward_score import Artifact, Normalizer, ScoreConfig
from reward_score.errors import NormalizationError

BOARD = "medgrpo_normalizer"
FILE = "normalizer.json"
#: Next to the checkpoints: the state after the last step, for a checkpoint whose own file a kill prevented.
LAST_STEP = "normalizer.last_step.json"
#: Component of the normalization -> key of the score.
COMPONENTS = {"raw": "rule", "similarity": "similarity", "judge": "judge"}


class Checkpoints(BaseModel):
    """Folder of a run's checkpoints, and verl's options of how to resume from it."""

    folder: Path
    resume_mode: Literal["auto", "disable", "resume_path"]
    resume_from_path: Path | None

    def resumed(self) -> Path | None:
        """The checkpoint that verl resumes from, or None."""
        if self.resume_mode == "resume_path":
            return self.resume_from_path.absolute()
        latest = find_latest_ckpt_path(str(self.folder.absolute())) if self.resume_mode == "auto" else None
        return Path(latest) if latest else None

    def state_at(self, checkpoint: Path) -> dict[str, Any] | None:
        """The normalizer's state at a checkpoint; verl calls back only after the checkpoint counts as written."""
        own, last_step = checkpoint / FILE, self.folder / LAST_STEP
        if own.exists():
            return json.loads(own.read_text(encoding="utf-8"))
        state = json.loads(last_step.read_text(encoding="utf-8")) if last_step.exists() else {"step": None}
        return state if checkpoint.name == f"global_step_{state['step']}" else None


@ray.remote(num_cpus=0)
class _Board:
    """Holds the state that the reward workers are to use."""

    def __init__(self) -> None:
        self.state: dict[str, Any] | None = None

    def put(self, state: dict[str, Any]) -> None:
        self.state = state

    def get(self) -> dict[str, Any] | None:
        return self.state


class RunningNormalizer:
    """The sampler's side; with ``linear_judge`` the judge's component is not normalized."""

    def __init__(self, normalizer: Normalizer, folder: Path, linear_judge: bool = False) -> None:
        self.normalizer, self.folder, self.linear_judge = normalizer, folder, linear_judge
        self._board = None
        if normalizer.method == "ema":
            self._board = _Board.options(name=BOARD, get_if_exists=True).remote()
            self._publish()

    @classmethod
    def start(cls, reward: ScoreConfig, checkpoints: Checkpoints) -> "RunningNormalizer":
        """Continue from the checkpoint that verl will resume from; one of another normalization is refused."""
        artifact = Artifact.load(reward.artifact) if reward.normalization != "none" else None
        normalizer = Normalizer(artifact, reward.normalization, reward.k)
        if (resumed := checkpoints.resumed()) is not None:
            if (state := checkpoints.state_at(resumed)) is not None:
                normalizer.load_state_dict(state)
            elif normalizer.method == "ema":
                raise NormalizationError(
                    f"{resumed} has no {FILE}, its running statistics; resume from an earlier checkpoint "
                    "(trainer.resume_mode=resume_path trainer.resume_from_path=...) or start anew in another folder"
                )
        return cls(normalizer, checkpoints.folder, linear_judge=reward.judge_norm == "linear")

    def observe(self, step: int, answers: Iterable[ScoredAnswer]) -> None:
        """Let the statistics follow one step, and publish them."""
        if self._board is None:
            return
        values = defaultdict(list)
        for answer in answers:
            _, source, task = answer.data_source.split("/")
            for component, key in COMPONENTS.items():
                value = answer.score[key]
                if not math.isnan(value) and not (component == "judge" and self.linear_judge):
                    values[source, task, component].append(value)
        self.normalizer.observe(values)
        write_json(self.folder / LAST_STEP, {"step": step} | self.normalizer.state_dict())
        self._publish()

    def _publish(self) -> None:
        ray.get(self._board.put.remote(self.normalizer.state_dict()))


class NormalizerFollower:
    """A reward worker's side: keeps its normalizer at the published state."""

    def __init__(self, normalizer: Normalizer) -> None:
        self.normalizer = normalizer
        self._step: int | None = None
        self._lock = asyncio.Lock()

    async def follow(self, step: int) -> None:
        """To be awaited before an answer of training step ``step`` is scored."""
        if self.normalizer.method != "ema":
            return
        async with self._lock:
            if self._step != step:
                state = await ray.get_actor(BOARD).get.remote()
                self.normalizer.load_state_dict(state)
                self._step = step


class NormalizerCheckpoint(CheckpointCallback):
    """``trainer.checkpoint_callback_class``: keeps the sampler's normalizer in each checkpoint."""

    def on_save(self, trainer, global_step: int, checkpoint_dir: str, async_save: bool = False, **kwargs) -> None:
        write_json(Path(checkpoint_dir) / FILE, trainer.replay_buffer.normalizer.normalizer.state_dict())
