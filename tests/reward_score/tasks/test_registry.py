# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Tasks of the user's own: a module in the working folder and the option that names it."""

import json
import subprocess
import sys
from collections import Counter

import pytest

from reward_score import ScoreConfig, Scorer, make_sample, read_config
from reward_score.errors import BadOption, RewardError
from reward_score.judge import LexicalJudge
from reward_score.tasks.registry import TASKS

TASK = """
from reward_score.sample import Rating
COMPONENTS = ("raw",)
def rate(sample, fallback):
    return Rating(1.0, float(sample.answer == sample.reference))
"""
ROW = ("my_set/ward/{}", "grasper", "grasper", None)


@pytest.fixture
def module(tmp_path, monkeypatch):
    """module(name, text) makes a module in the working folder; tasks that joined the table leave it at the end."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    before, modules = dict(TASKS), set(sys.modules)

    def write(name, text=TASK):
        path = tmp_path.joinpath(*name.split(".")).with_suffix(".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return name

    yield write
    TASKS.clear()
    TASKS.update(before)
    for name in set(sys.modules) - modules:
        del sys.modules[name]


@pytest.mark.parametrize("given", [["wards.ties"], "wards.ties", ("wards.ties", "knots")])
def test_an_extra_task_is_rewarded_in_addition(module, given):
    module("wards.ties"), module("knots")
    config = read_config({"extra_tasks": given})
    assert config.reward_tasks[:5] == ("tag", "stg", "vs", "rc", "ties")
    scorer = Scorer(config)
    scorer.check(["my_set/ward/ties"])
    assert scorer.score([make_sample(ROW[0].format("ties"), *ROW[1:])])[0]["score"] == 1
    assert read_config({"extra_tasks": given, "reward_tasks": ["ties"]}).reward_tasks[:1] == ("ties",)
    assert set(read_config({"extra_tasks": given, "reward_tasks": "all"}).reward_tasks) == set(TASKS)


def test_a_fresh_process_finds_the_module_in_its_working_folder(module, tmp_path):
    """As a console script runs: the working folder is not on its search path."""
    module("ties")
    code = (
        "import json, sys; sys.path[:] = [p for p in sys.path if p]\n"
        "from reward_score import compute_score\n"
        "print(compute_score(*json.loads(sys.argv[1]), extra_tasks=['ties'])['score'])"
    )
    row = json.dumps([ROW[0].format("ties"), *ROW[1:]])
    done = subprocess.run([sys.executable, "-P", "-c", code, row], capture_output=True, text=True, cwd=tmp_path)
    assert (done.stdout, done.stderr) == ("1.0\n", "")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("nowhere", None, "cannot import 'nowhere'.*PYTHONPATH"),
        ("broken", "1 / 0", "cannot import 'broken' .ZeroDivisionError"),
        ("empty", "", "'empty' is no task: it needs a function `rate`"),
        ("odd", TASK.replace('"raw"', '"luck"'), "'odd' is no task"),
        ("tag", TASK, "there is a task 'tag' already .reward_score.tasks.tag."),
        ("not a name", None, "cannot import"),
    ],
)
def test_what_is_no_task_ends_the_start(module, name, text, message):
    if text is not None:
        module(name, text)
    with pytest.raises(BadOption, match=f"extra_tasks: .*{message}"):
        read_config({"extra_tasks": [name]})


CAPTION = """
from reward_score.sample import CaptionPair, Rating
COMPONENTS = {}
def rate(sample, fallback):
    return Rating(1.0, {}, [CaptionPair(sample.answer, sample.reference)] * 3)
"""


@pytest.mark.parametrize("mix", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("names", ["judge", "similarity", "raw judge", "raw similarity", "similarity judge"])
def test_the_reference_is_worth_1_whatever_the_components(module, names, mix):
    module("ties", CAPTION.format(tuple(names.split()), "1.0" if "raw" in names else None))
    used = set(names.split())

    class Counting(LexicalJudge):
        def judge(self, pairs):
            asked.update(["judge"] * len(pairs))
            return super().judge(pairs)

        def similarity(self, pairs):
            asked.update(["similarity"] * len(pairs))
            return [1.0] * len(pairs)

    asked = Counter()
    config = ScoreConfig(extra_tasks=["ties"], caption_mix=mix, judge=Counting(), similarity=Counting())
    [result] = Scorer(config).score([make_sample(ROW[0].format("ties"), *ROW[1:])])
    if {"judge", "similarity"} <= used:
        used -= {0.0: {"similarity"}, 1.0: {"judge"}}.get(mix, set())
    assert result["score"] == 1 and asked.keys() == used - {"raw"}


@pytest.mark.parametrize(("names", "raw"), [(("raw",), None), (("judge",), "1.0")])
def test_a_raw_that_components_do_not_name_is_an_error(module, names, raw):
    module("ties", CAPTION.format(names, raw))
    with pytest.raises(RewardError, match="my_set/ward/ties: `rate` of ties must give a `raw` if COMPONENTS names it"):
        Scorer(ScoreConfig(extra_tasks=["ties"])).score([make_sample(ROW[0].format("ties"), *ROW[1:])])


@pytest.mark.parametrize(
    "result",
    [
        *("None", "1.0", "Rating(1.0, float('nan'))", "Rating(2.0, 1.0)", "Rating(1.0, 7)"),
        *("Rating(1.0, 1.0, concise=float('nan'))", "Rating(1.0, 1.0, concise=0.0)"),
    ],
)
def test_what_is_no_rating_is_an_error_that_names_the_row(module, result):
    module("ties", TASK.replace("Rating(1.0, float(sample.answer == sample.reference))", result))
    scorer = Scorer(ScoreConfig(extra_tasks=["ties"]))
    with pytest.raises(RewardError, match="my_set/ward/ties: `rate` of ties must give a Rating within"):
        scorer.score([make_sample(ROW[0].format("ties"), *ROW[1:])])
