# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Who scores captions outside the training: the training's own judge, encoder and mix, from the same overrides."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from types import SimpleNamespace
from typing import Any

import reward_score
from recipe.medgrpo.scoring.artifact_check import judge_provenance
from reward_score.errors import JudgeUnavailable
from reward_score.judge import DIMENSIONS, JudgeConfig, Verdict, make_judge, read_judge

#: In place of a verdict that could not be had: no grade, which makes every mean that it enters NaN.
_NO_VERDICT = Verdict.model_construct(**dict.fromkeys(DIMENSIONS, math.nan))


class PatientJudge:
    """A judge that goes on without the verdicts that cannot be had, and counts them.

    One caption that a judge refuses would otherwise end a command for good: at temperature 0 it is refused again.
    """

    def __init__(self, judge: Any) -> None:
        asked = read_judge(judge)
        self.provenance = judge_provenance(asked)
        self.abort_share = asked.abort_share if isinstance(asked, JudgeConfig) else 0.0
        self._judge = make_judge(asked)
        self.name = self._judge.name
        self.asked, self.failures = 0, []

    def judge(self, pairs: Sequence[reward_score.CaptionPair]) -> list[Verdict]:
        """One verdict per pair, in order; a verdict of NaN where there is none."""
        return self._patiently(self._judge, pairs)

    def expert(self) -> Any:
        """The judge of reasoning, whose failures are counted here."""
        expert = self._judge.expert() if hasattr(self._judge, "expert") else self._judge
        return SimpleNamespace(judge=partial(self._patiently, expert))

    def _patiently(self, judge: Any, pairs: Sequence[reward_score.CaptionPair]) -> list[Verdict]:
        results = getattr(judge, "attempt", judge.judge)(pairs)
        self.asked += len(results)
        self.failures += [result for result in results if isinstance(result, JudgeUnavailable)]
        return [_NO_VERDICT if isinstance(result, JudgeUnavailable) else result for result in results]

    def check(self) -> None:
        """To be called when all captions were judged; raises if more have no verdict than ``abort_share`` allows."""
        if len(self.failures) > self.abort_share * self.asked:
            raise JudgeUnavailable(
                f"{len(self.failures)} of {self.asked} captions have no verdict of the judge {self.name}, more than "
                f"medgrpo.reward.judge.abort_share={self.abort_share:g}; the first: {self.failures[0]}. Fix the "
                "judge's settings or service and run this again: answers and verdicts that exist are kept"
            ) from self.failures[0]

    def note(self, unjudged: int) -> str:
        """For the user: how many answers were left out, and why."""
        if not unjudged:
            return ""
        return f"the judge gave no verdict on {unjudged} answers, which are left out; the first: {self.failures[0]}"


def is_judged(raw: reward_score.RawScore) -> bool:
    """Whether an answer that :class:`PatientJudge` was asked about has its verdict, or needed none."""
    return not any(map(math.isnan, (raw.components.get("judge", 0.0), raw.parts.get("alignment", 0.0))))
