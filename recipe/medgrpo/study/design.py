# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""What a study consists of, read from one YAML file: worlds, settings, seeds, and predictions with their bounds."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Annotated, Literal, NamedTuple, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

Positive = Annotated[float, Field(gt=0)]


class StudyError(ValueError):
    """A study or its results cannot be used; the message names file, place and remedy."""


class Strict(BaseModel):
    """Part of a design: keys that it does not know are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read the YAML file."""
        try:
            return cls.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
        except (OSError, UnicodeDecodeError, yaml.YAMLError, ValidationError) as error:
            raise StudyError(f"{path}: {error}") from None


class World(Strict):
    """What the settings of one seed share: drawn clips (so many per source), the SFT model, the artifact."""

    sources: tuple[str, ...]
    clips: Annotated[int, Field(ge=1)]
    #: Whether every TAG question has its twin.
    twins: bool = False
    #: Of SFT and of validation.
    tasks: tuple[str, ...]
    #: One fps for all clips; None: each clip's own.
    position_fps: Positive | None = None
    sft_steps: Annotated[int, Field(ge=1)]


class Unlike(Strict):
    """By source: raw rewards are made unlike (`unlike` in __main__.py)."""

    scale: dict[str, Positive] = {}
    shift: dict[str, float] = {}


class Setting(Unlike):
    """One arm: RL in a world under some overrides. ``scale`` and ``shift`` need the normalization of that name."""

    world: str
    #: That RL trains on; validation covers the world's.
    tasks: tuple[str, ...]
    overrides: tuple[str, ...] = ()


class Term(Strict):
    """Part of an outcome: the validation mean of one key of one (source, task), with a weight."""

    pair: str
    key: str
    weight: float = 1.0


#: In a prediction's ``against``: the SFT model from which the setting starts.
SFT = "sft"


class Prediction(Strict):
    """One line of the table: the expected difference of two arms, within each seed; one within ``bound`` is none."""

    question: str
    claim: str
    setting: str
    against: str
    outcome: str
    expect: Literal["equal", "higher", "lower"]
    bound: Positive


class Cell(NamedTuple):
    """One run."""

    setting: str
    seed: int

    @property
    def file(self) -> str:
        return f"{self.setting}.{self.seed}.json"


class Study(Strict):
    """The whole design; ``load`` reads it."""

    seeds: tuple[int, ...]
    rl_steps: Annotated[int, Field(ge=1)]
    worlds: dict[str, World]
    settings: dict[str, Setting]
    outcomes: dict[str, tuple[Term, ...]]
    questions: dict[str, str]
    predictions: tuple[Prediction, ...]

    @model_validator(mode="after")
    def _names_exist(self) -> Study:
        used = [(one.world, self.worlds) for one in self.settings.values()]
        for one in self.predictions:
            used += [(name, self.settings) for name in (one.setting, one.against) if name != SFT]
            used += [(one.outcome, self.outcomes), (one.question, self.questions)]
        if missing := [name for name, known in used if name not in known]:
            raise ValueError(f"names that nothing has: {', '.join(missing)}")
        for name, one in self.settings.items():
            if missing := set(one.tasks) - set(self.worlds[one.world].tasks):
                raise ValueError(f"setting {name}: its world has no task {', '.join(sorted(missing))}")
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError("a seed is given twice")
        return self

    def cells(self) -> Iterator[Cell]:
        """All runs: every setting of one seed before the next seed, so that what is there is paired at any time."""
        return (Cell(setting, seed) for seed, setting in product(self.seeds, self.settings))

    def alike(self, cell: Cell) -> Iterator[Cell]:
        """The runs that start from this one's SFT model, itself included."""
        world = self.settings[cell.setting].world
        return (Cell(name, cell.seed) for name, setting in self.settings.items() if setting.world == world)
