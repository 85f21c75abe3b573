# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""What a caption judge is: a comparative verdict on five clinical dimensions (MedGRPO, medical LLM judge)."""

from collections.abc import Sequence
from typing import Annotated, Protocol

from pydantic import BaseModel, ConfigDict, Field

from reward_score.sample import CaptionPair

Grade = Annotated[float, Field(ge=1, le=5, allow_inf_nan=False)]


class Verdict(BaseModel):
    """How close a caption is to its reference, 1 (entirely different) to 5 (equivalent) in each dimension."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    terminology: Grade
    #: Of instruments and anatomy.
    identification: Grade
    #: Specific rather than vague.
    specificity: Grade
    context: Grade
    action: Grade

    @property
    def mean(self) -> float:
        return (self.terminology + self.identification + self.specificity + self.context + self.action) / 5

    @property
    def normalized(self) -> float:
        return (self.mean - 1) / 4


DIMENSIONS = tuple(Verdict.model_fields)


class Judge(Protocol):
    """A judge of captions.

    `name` begins with its kind, after which metrics are named: ``lexical``, ``comparative:<model>`` (the training
    judge) or ``llm:<model>`` (the leaderboard's). A judge that waits for others may also have ``ajudge(pairs)``, a
    coroutine, and ``attempt(pairs)``, which gives a JudgeUnavailable in place of each verdict that cannot be had.
    """

    name: str

    def judge(self, pairs: Sequence[CaptionPair]) -> list[Verdict]:
        """One verdict per pair, in order; raises JudgeUnavailable rather than make one up."""
