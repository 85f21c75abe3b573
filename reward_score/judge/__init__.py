# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Judges of captions."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from reward_score.errors import BadOption
from reward_score.judge.config import JudgeConfig, complaints
from reward_score.judge.lexical import LexicalJudge
from reward_score.judge.llm import LLMJudge
from reward_score.judge.verdict import DIMENSIONS, Judge, Verdict

__all__ = ["DIMENSIONS", "Judge", "JudgeConfig", "LLMJudge", "LexicalJudge", "Verdict", "make_judge", "read_judge"]


def read_judge(judge: Any) -> "JudgeConfig | Judge":
    """What the option `judge` means: an LLM judge's options, or a judge. Raises BadOption."""
    if judge in ("lexical", "openai"):
        return LexicalJudge() if judge == "lexical" else JudgeConfig()
    if isinstance(judge, Mapping):
        try:
            return JudgeConfig(**judge)
        except (ValidationError, TypeError) as error:
            raise BadOption(f"options of the judge: {complaints(error)}") from None
    if isinstance(judge, str):
        raise BadOption(f"judge {judge!r} is unknown; known: lexical, openai, or the options of an LLM judge")
    if not isinstance(judge, JudgeConfig) and not callable(getattr(judge, "judge", None)):
        raise BadOption(f"judge must be a name, options, or have a method `judge(pairs)`, not {type(judge).__name__}")
    return judge


def make_judge(judge: Any) -> Judge:
    """A judge from the option `judge`: ``lexical``, ``openai`` (GPT-4.1), options of an LLM judge, or a judge.

    Example:
        >>> from reward_score.sample import CaptionPair
        >>> [verdict] = make_judge("lexical").judge([CaptionPair("A hook.", "A hook cuts.")])
        >>> verdict.identification
        5.0
    """
    judge = read_judge(judge)
    return LLMJudge(judge) if isinstance(judge, JudgeConfig) else judge
