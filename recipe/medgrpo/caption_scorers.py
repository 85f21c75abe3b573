# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Who scores captions outside the training: the training's own judge, encoder and mix, from the same overrides."""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import ValidationError

import reward_score
from reward_score.config import ScoreConfig
from reward_score.errors import BadOption, JudgeUnavailable
from reward_score.judge import DIMENSIONS, Judge, JudgeConfig, Verdict, make_judge, prompt, read_judge
from reward_score.judge.config import complaints

#: In place of a verdict that could not be had: no grade, which makes every mean that it enters NaN.
_NO_VERDICT = Verdict.model_construct(**dict.fromkeys(DIMENSIONS, math.nan))


def add_overrides(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "overrides",
        nargs="*",
        help="of the configuration, as main_medgrpo takes them: judge, medgrpo.reward and preset say who scores",
    )


@contextmanager
def composed_reward(overrides: Sequence[str]) -> Iterator[DictConfig]:
    """``medgrpo.reward`` of the training with these overrides, for a block that resolves it.

    Raises:
        BadOption: they make no sense.
    """
    from hydra import compose, initialize_config_module
    from hydra.errors import HydraException

    try:
        with initialize_config_module(config_module="recipe.medgrpo.config", version_base=None):
            config = compose("medgrpo", list(overrides))
        yield config.medgrpo.reward
    except (HydraException, OmegaConfBaseException) as error:
        # It quotes values, and then lists the packages that it searched.
        text = str(error).split("\nConfig search path")[0]
        raise BadOption("overrides: " + re.sub(r"=\S+", "=...", text)) from None


def reward_options(overrides: Sequence[str]) -> ScoreConfig:
    """The resolved ``medgrpo.reward`` of the training with these overrides.

    Raises:
        BadOption: they make no sense, or name a judge that only the training itself serves.
    """
    with composed_reward(overrides) as reward:
        options: dict[str, Any] = OmegaConf.to_container(reward, resolve=True)
    try:
        config = ScoreConfig(**options)
    except ValidationError as error:
        raise BadOption(f"medgrpo.reward: {complaints(error)}") from None
    own = config.judge if isinstance(config.judge, dict) else {}
    if own.get("backend") == "local" and not (own.get("base_url") and own.get("model")) and config.caption_mix < 1:
        raise BadOption(
            "judge=local: verl serves this judge within the training alone. Serve its model yourself for this command "
            "(vllm serve MODEL) and name it: +medgrpo.reward.judge.base_url=http://HOST:8000/v1 "
            "medgrpo.reward.judge.model=MODEL"
        )
    # Else its mistakes would show only after all answers are written.
    read_judge(config.judge)
    return config


def judge_provenance(judge: Judge | JudgeConfig) -> dict[str, Any]:
    """What the scale of grades depends on, as fields of :class:`reward_score.Provenance`."""
    if not isinstance(judge, JudgeConfig):
        return {"judge": judge.name}
    version = prompt.version(judge.rubric, judge.system_role)
    return {"judge": judge.name, "judge_prompt": version, "judge_temperature": judge.temperature}


class PatientJudge:
    """A judge that goes on without the verdicts that cannot be had, and counts them.

    One caption that a judge refuses would else end a command for good: at temperature 0 it is refused again.

    Args:
        judge: an option ``judge``, or a judge.
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
        attempt = getattr(self._judge, "attempt", self._judge.judge)
        results = attempt(pairs)
        self.asked += len(results)
        self.failures += [result for result in results if isinstance(result, JudgeUnavailable)]
        return [_NO_VERDICT if isinstance(result, JudgeUnavailable) else result for result in results]

    def check(self) -> None:
        """To be called when all captions were judged.

        Raises:
            JudgeUnavailable: more of them have no verdict than the judge's options allow.
        """
        if len(self.failures) > self.abort_share * self.asked:
            raise JudgeUnavailable(
                f"{len(self.failures)} of {self.asked} captions have no verdict of the judge {self.name}, more than "
                f"medgrpo.reward.judge.abort_share={self.abort_share:g}; the first: {self.failures[0]}. Mend the "
                "judge's settings or service and run this again: answers and verdicts that exist are kept"
            ) from self.failures[0]

    def note(self, unjudged: int) -> str:
        """For the user: how many answers were left out, and why; empty if none."""
        if not unjudged:
            return ""
        return f"the judge gave no verdict on {unjudged} answers, which are left out; the first: {self.failures[0]}"


def is_judged(raw: reward_score.RawScore) -> bool:
    """Whether an answer that :class:`PatientJudge` was asked about has its verdict, or needed none."""
    return not math.isnan(raw.components.get("judge", 0.0))
