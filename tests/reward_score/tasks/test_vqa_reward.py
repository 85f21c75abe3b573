# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Medical VQA rewards: the vectors of Med-R1's published code, the papers' components, and their loopholes."""

import json
import math
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reward_score import SCORE_KEYS, ScoreConfig, Scorer, compute_score, make_sample, read_config
from reward_score.errors import BadGroundTruth, BadOption, RewardError
from reward_score.judge import DIMENSIONS, LLMJudge, Verdict
from reward_score.tasks import answer_tags
from reward_score.tasks.open_answer import right

MCQ = "omnimedvqa/CT/mcq"
OPTIONS = ["MRI", "Ultrasound", "CT", "X-ray"]
EXTRA = {
    "question": "Which modality? A)MRI, B)Ultrasound, C)CT, D)X-ray",
    "options": json.dumps(OPTIONS),
    "answer_text": "CT",
}

# spec/medical_vqa.md, table 1.3, gold "<answer> C </answer>": (accuracy, think, nothink, evaluation's extraction).
VECTORS = [
    ("<think>x</think><answer>C</answer>", 1, 1, 0, "C"),
    ("<think>x</think>\n<answer> C </answer>", 1, 1, 0, "C"),
    ("<think>x</think>\n<answer> C </answer>\n", 1, 0, 0, "C"),
    ("\n<think>x</think>\n<answer> C </answer>", 1, 0, 0, "C"),
    ("<answer>C</answer>", 1, 0, 1, "C"),
    (" <answer>C</answer>", 1, 0, 1, "C"),
    ("C", 1, 0, 0, None),
    ("c", 0, 0, 0, None),
    ("<answer>c</answer>", 0, 0, 1, "c"),
    ("<answer>C)CT</answer>", 0, 0, 1, None),
    ("<answer>C. CT</answer>", 0, 0, 1, None),
    ("<answer>\nC\n</answer>", 0, 0, 1, "C"),
    ("<answer>A</answer><answer>C</answer>", 0, 0, 1, "A"),
    ("<think>a</think><answer>A</answer> so <answer>C</answer>", 0, 1, 0, "A"),
    ("reason <answer>C</answer>", 1, 0, 0, "C"),
    ("", 0, 0, 0, None),
]


def vqa(answer, truth="C", task="mcq", extra=EXTRA, judge="lexical", **options):
    options = {"reward_tasks": "all", "judge": judge, "similarity": object(), "vqa": options}
    scorer = Scorer(read_config(options))
    return scorer.score([make_sample(f"omnimedvqa/CT/{task}", answer, truth, extra)])[0]


@pytest.mark.parametrize(("text", "accuracy", "think", "nothink", "word"), VECTORS)
@pytest.mark.parametrize("truth", ["C", "<answer> C </answer>"])
def test_vectors_of_the_published_code(text, accuracy, think, nothink, word, truth):
    both = {"accuracy": 1.0, "tags": 1.0}
    for form, kept in (("think", think), ("nothink", nothink)):
        found = vqa(text, truth, form=form, weights=both)
        assert (found["accuracy"], found["tags"], found["score"]) == (accuracy, kept, accuracy + kept)
    assert answer_tags.answer_word(text) == word


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("<answer>C</answer><think>x</think>", 1),
        (" <answer>C</answer>\n<think>x\ny</think>", 1),
        ("<answer>C</answer><think>x</think>\n", 0),
        ("<think>x</think><answer>C</answer>", 0),
        ("<answer>C</answer>", 0),
    ],
)
def test_think_after(text, kept):
    assert vqa(text, form="think_after")["tags"] == kept


def test_strict_tags_close_the_loopholes():
    loopholes = {
        "nothink": "<answer>A</answer><answer>C</answer>",
        "think": "<think>a</think><answer>A</answer> so <answer>C</answer>",
    }
    honest = {"nothink": "<answer>C</answer>", "think": "<think>x</think><answer>C</answer>"}
    for form, text in loopholes.items():
        assert vqa(text, form=form)["tags"] == 1
        assert vqa(text, form=form, strict_tags=True)["tags"] == 0
        assert vqa(honest[form], form=form, strict_tags=True)["tags"] == 1


def test_nothink_strict_wants_nothing_outside_the_tags():
    between = "<answer>C</answer> because it is bright <answer>C</answer>"
    assert vqa(between, form="nothink")["accuracy"] == 1
    assert vqa(between, form="nothink", nothink_strict=True)["accuracy"] == 0
    assert vqa("reason <answer>C</answer>", form="nothink")["accuracy"] == 1
    assert vqa("reason <answer>C</answer>", form="nothink", nothink_strict=True)["accuracy"] == 0
    assert vqa("<answer>C</answer>\n", form="nothink", nothink_strict=True)["accuracy"] == 1


def test_length_rewards_count_tokens():
    right_one, wrong = "<think>x</think><answer>C</answer>", "<think>x</think><answer>A</answer>"
    extra = EXTRA | {"response_length": 128}
    ecr = {"max_length": 512, "weights": {"accuracy": 1.0, "tags": 1.0, "ecr": 1.0}}
    cwr = {"max_length": 512, "weights": {"accuracy": 1.0, "tags": 1.0, "cwr": 1.0}}
    assert vqa(right_one, extra=extra, **ecr)["score"] == vqa(right_one, extra=extra, **cwr)["score"] == 2.25
    assert vqa(wrong, extra=extra, **ecr)["score"] == 1.25
    assert vqa(wrong, extra=extra, **cwr)["score"] == 1.0
    assert vqa(right_one, extra=extra | {"response_length": 2048}, **ecr)["ecr"] == 1.0


@pytest.mark.parametrize("options", [{"max_length": 512}, {}])
@pytest.mark.parametrize("name", ["ecr", "cwr"])
def test_a_length_reward_without_a_length_is_an_error(name, options):
    extra = EXTRA | ({} if options else {"response_length": 3})
    with pytest.raises(RewardError, match="response_length.*max_length"):
        vqa("C", extra=extra, weights={name: 1.0}, **options)


class Expert:
    """Keeps what it is asked, and grades by one word."""

    name = "expert"

    def __init__(self):
        self.asked = []

    def judge(self, pairs):
        self.asked += pairs
        return [Verdict(**dict.fromkeys(DIMENSIONS, 5 if "dense" in pair.candidate else 1)) for pair in pairs]


def test_alignment_asks_the_judge_about_the_reasoning():
    expert = Expert()
    weights = {"accuracy": 1.0, "tags": 1.0, "alignment": 1.0}
    good = vqa("<think>dense bone is white</think><answer>C</answer>", judge=expert, weights=weights)
    assert (good["alignment"], good["score"]) == (1.0, 3.0)
    assert expert.asked[0].candidate == "dense bone is white"
    assert EXTRA["question"] in expert.asked[0].reference and expert.asked[0].reference.endswith("CT")
    assert vqa("<think>hm</think><answer>C</answer>", judge=expert, weights=weights)["alignment"] == 0
    asked = len(expert.asked)
    assert vqa("<think> </think><answer>C</answer>", judge=expert, weights=weights)["alignment"] == 0
    assert len(expert.asked) == asked
    # Reasoning that never closes ends at the answer, which is no part of it.
    vqa("<think>thin <answer>C</answer>", judge=expert, weights=weights)
    assert expert.asked.pop().candidate == "thin"
    assert math.isnan(vqa("<think>dense</think><answer>C</answer>", judge=expert)["alignment"])
    assert len(expert.asked) == asked


def test_the_embedded_judge_knows_sound_reasoning_from_none():
    extra = EXTRA | {"question": "Which modality is this ultrasound image of the liver?", "answer_text": "ultrasound"}
    weights = {"alignment": 1.0}
    assert vqa("<think>An ultrasound.</think><answer>C</answer>", extra=extra, weights=weights)["alignment"] == 1
    for thought in ("bananas grow slowly", extra["question"], f"The correct answer is not CT. {extra['question']}"):
        assert vqa(f"<think>{thought}</think><answer>C</answer>", extra=extra, weights=weights)["alignment"] == 0


def test_alignment_by_an_llm_has_its_own_question_and_the_jobs_limits():
    judge = {"model": "m", "base_url": "http://127.0.0.1:1/v1", "cache": None}
    scorer = Scorer(ScoreConfig(reward_tasks="all", judge=judge, vqa={"weights": {"alignment": 1.0}}))
    assert isinstance(scorer.expert, LLMJudge) and scorer.expert.prompt.startswith("reasoning-")
    assert scorer.judge.prompt.startswith("comparative-") and scorer.expert.limiter is scorer.judge.limiter


@pytest.mark.parametrize(("answer", "accuracy"), [("<answer>C</answer><answer>A</answer>", 1), ("A) or C)", 0)])
def test_a_hedge_is_leniently_wrong_whatever_the_reward_says(answer, accuracy):
    for truth, strict in (("C", accuracy), ("A", 0)):
        found = vqa(answer, truth)
        assert (found["accuracy"], found["accuracy_lenient"]) == (strict, 0)


#: Answers and references, by accuracy and lenient accuracy.
SHORT = {
    (1, 1): [
        *(("yes", "Yes"), ("<answer>Yes.</answer>", "yes"), ("<think>no</think><answer>yes</answer>", "yes")),
        *(("<answer>Left  kidney.</answer>", "left kidney"), ("<answer>> 50 %</answer>", ">50%")),
        *(("<answer>5 - 10.</answer>", "5-10"), ("<answer>T2 weighted</answer>", "T2-weighted")),
    ],
    (0, 0): [
        *(("<answer>yes and no</answer>", "yes"), ("<answer>not known</answer>", "no")),
        *(("<answer>kidney</answer>", "left kidney"), ("", "left kidney")),
        *(("<answer></answer>left kidney", "left kidney"), ("<answer>-5</answer>", "5")),
        *(("<answer>50%</answer>", ">50%"), ("<answer>about <50%</answer>", ">50%")),
        *(("<answer>3</answer>", "3+"), ("<answer>5 to 10</answer>", "5-10")),
        ("<answer>it is 2.5 mm</answer>", "5 mm"),
    ],
    (0, 1): [("<answer>the left kidney</answer>", "left kidney")],
    (1, 0): [
        ("<answer>yes</answer><answer>no</answer>", "yes"),
        ("<answer>left kidney</answer><answer>liver</answer>", "left kidney"),
    ],
}


@pytest.mark.parametrize(("found", "pair"), [(found, pair) for found in SHORT for pair in SHORT[found]])
@pytest.mark.parametrize("task", ["closed", "open"])
def test_short_answers(found, pair, task):
    result = vqa(*pair, task, extra=None)
    assert (result["accuracy"], result["accuracy_lenient"]) == found


@pytest.mark.parametrize("truth", ["5-10", "2 2", "left left", "grade 3 of 3"])
@pytest.mark.parametrize("form", ["{}", "<answer>{}</answer>"])
def test_what_the_reference_says_twice_may_be_said_twice(truth, form):
    assert vqa(form.format(truth), truth, "open", extra=None)["score"] == 1
    more = vqa(form.format(f"{truth} {truth}"), truth, "open", extra=None)
    assert more["score"] < 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (unicodedata.normalize("NFC", "Ménétrier disease"), unicodedata.normalize("NFD", "Ménétrier disease")),
        ("\ufb01broma", "fibroma"),
        ("left\u00a0kidney", "left kidney"),
        ("co\u00adlon", "colon"),
        ("\ufeffcolon", "colon"),
        ("\u22125", "-5"),
        ("\u22655", ">=5"),
        ("\uff1e50\uff05", ">50%"),
        ("5\u201310", "5-10"),
        ("3 \u00b5g", "3 \u03bcg"),
        ("cm\u00b2", "cm2"),
        ("H\u2082O", "H2O"),
        ("STRASSE", "stra\u00dfe"),
        *(("5mm", "5 mm"), ("2,5 cm", "2.5 cm"), ("1,000", "1000"), ("0.50", "0.5"), (".5", "0.5"), ("5.0 cm", "5 cm")),
        *(("50 percent", "50%"), ("50 per cent", "50%"), ("\u2a7d5", "<=5"), ("1 : 2", "1:2"), ("1.5T", "1.5 T")),
    ],
)
def test_an_open_answer_is_right_in_any_spelling(one, other):
    for answer, truth in ((one, other), (other, one)):
        found = vqa(f"<answer>{answer}</answer>", truth, "open", extra=None)
        assert (found["accuracy"], found["accuracy_lenient"]) == (1, 1)


@pytest.mark.parametrize(
    ("answer", "truth"),
    [
        *(
            ("10\u00b3", "103"),
            ("1\u00bd", "11/2"),
            ("\u22125", "5"),
            ("<5", "\u22655"),
            (".5 cm", "5 cm"),
            ("1.05", "1.5"),
        ),
        *(
            ("HER2-", "HER2+"),
            ("CD34-", "CD34+"),
            ("O-", "O+"),
            ("\u2191T2", "\u2193T2"),
            ("\u22605", "5"),
            ("20", "2.0"),
        ),
        *(("1:2", "1/2"), ("5/10", "5-10"), ("1,000", "1"), ("10.01", "10.1")),
    ],
)
def test_forms_that_mean_something_else_stay_apart(answer, truth):
    assert vqa(answer, truth, "open", extra=None)["score"] == vqa(truth, answer, "open", extra=None)["score"] == 0


LOOP = "It is a CT. "


@pytest.mark.parametrize(
    ("honest", "rambling", "truth", "task"),
    [
        (
            "yes, there is a mass",
            "yes, although " + "the picture shows many other things as well, " * 9,
            "yes",
            "closed",
        ),
        (
            "<answer>yes</answer>",
            f"<answer>yes, {'as far as anybody can see from here ' * 9}</answer>",
            "yes",
            "closed",
        ),
        ("C\n", "C" + "\n" * 400, "C", "mcq"),
        (f"<think>{LOOP}</think><answer>C</answer>", f"<think>{LOOP * 80}</think><answer>C</answer>", "C", "mcq"),
    ],
)
def test_what_goes_on_or_round_in_circles_costs(honest, rambling, truth, task):
    good, bad = (vqa(text, truth, task, extra=None) for text in (honest, rambling))
    assert (good["score"], good["accuracy"], bad["accuracy"]) == (1, 1, 1) and bad["score"] < 0.2


def test_reasoning_may_use_a_phrase_twice():
    thought = "The image shows a bright ring of bone around the brain. The image shows a bright tumor. So it is CT."
    assert 0.7 < vqa(f"<think>{thought}</think><answer>C</answer>")["score"] < 1


def test_a_cut_answer_earns_nothing_and_is_logged_as_published():
    text, weights = "<answer>C</answer><think>The image shows", {"accuracy": 1.0, "tags": 1.0, "alignment": 1.0}
    found = vqa(text, extra=EXTRA | {"finish_reason": "length"}, weights=weights)
    assert (found["score"], found["format"], found["cut"], found["alignment"]) == (0, 0, 1, 0)
    assert (found["accuracy"], found["accuracy_lenient"]) == (1, 1)


def test_no_verdict_is_no_opinion():
    judge = Expert()
    judge.judge = lambda pairs: [Verdict.model_construct(**dict.fromkeys(DIMENSIONS, math.nan)) for _ in pairs]
    found = vqa("<think>dense</think><answer>C</answer>", judge=judge, weights={"alignment": 1.0})
    assert math.isnan(found["alignment"]) and math.isnan(found["score"])


@given(st.text(max_size=60))
def test_strict_right_is_lenient_right_without_surplus_tags(text):
    for task, truth in (("mcq", "C"), ("closed", "no"), ("open", "left kidney")):
        found = vqa(text, truth, task)
        assert found["accuracy"] <= found["accuracy_lenient"] and found["score"] == found["accuracy"]
    assert right("no", "no") and not right("yes no", "no")


@pytest.mark.parametrize("truth", ["", "E", "c", "CT"])
def test_a_row_without_a_letter_is_an_error(truth):
    with pytest.raises(BadGroundTruth, match=r"omnimedvqa/CT/mcq"):
        vqa("C", truth)


@pytest.mark.parametrize("options", ["{", "3", '["a", 1]'])
def test_options_that_cannot_be_read_are_an_error(options):
    with pytest.raises(BadGroundTruth, match="options"):
        vqa("C", extra={"options": options})


@pytest.mark.parametrize("wrong", [{"weights": {"acc": 1}}, {"weights": {"tags": -1}}, {"form": "both"}, {"x": 1}])
def test_unknown_options_are_refused(wrong):
    with pytest.raises(BadOption):
        vqa("C", **wrong)


def test_all_tasks_share_the_keys_and_no_artifact_is_needed():
    found = vqa("C")
    assert tuple(found) == SCORE_KEYS
    video = compute_score("medvidbench/AVOS/tag", "1.0-2.0 seconds.", "1.0-3.0 seconds.")
    assert tuple(video) == SCORE_KEYS and math.isnan(video["accuracy"])
    Scorer(ScoreConfig(reward_tasks=["mcq"])).check([MCQ])
