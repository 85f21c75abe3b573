# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Judges of captions."""

from reward_score.errors import BadOption
from reward_score.judge.base import DIMENSIONS, Judge, Verdict
from reward_score.judge.lexical import LexicalJudge

__all__ = ["DIMENSIONS", "Judge", "LexicalJudge", "Verdict", "make_judge"]

_JUDGES = {"lexical": LexicalJudge}


def make_judge(judge: "str | Judge") -> Judge:
    """A judge from its name (``lexical``), or the judge that was handed in.

    Raises:
        BadOption: unknown name, or an object without a ``judge`` method.
    """
    if isinstance(judge, str):
        if judge not in _JUDGES:
            raise BadOption(
                f"judge {judge!r} is unknown; known: {', '.join(_JUDGES)}, or an object with `judge(pairs)`"
            )
        return _JUDGES[judge]()
    if not callable(getattr(judge, "judge", None)):
        raise BadOption(f"judge must be a name or have a method `judge(pairs)`, not {type(judge).__name__}")
    return judge
