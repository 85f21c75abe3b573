# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
import math

import pytest
from pydantic import ValidationError

from reward_score.errors import BadOption
from reward_score.judge import DIMENSIONS, LexicalJudge, Verdict, make_judge


def test_verdict():
    verdict = Verdict(terminology=5, identification=4, specificity=3, context=2, action=1)
    assert (verdict.mean, verdict.normalized) == (3, 0.5)
    assert DIMENSIONS == ("terminology", "identification", "specificity", "context", "action")


@pytest.mark.parametrize("grade", [0, 6, math.nan, "good", None])
def test_grades_out_of_range_are_refused(grade):
    with pytest.raises(ValidationError):
        Verdict(terminology=grade, identification=4, specificity=3, context=2, action=1)


def test_make_judge():
    assert isinstance(make_judge("lexical"), LexicalJudge)
    judge = LexicalJudge()
    assert make_judge(judge) is judge
    with pytest.raises(BadOption, match="known: lexical"):
        make_judge("oracle")
    with pytest.raises(BadOption, match="judge"):
        make_judge(3)
