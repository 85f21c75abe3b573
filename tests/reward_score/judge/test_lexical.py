# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
import json
from pathlib import Path

import pytest

import reward_score.judge.lexical as lexical
from reward_score.judge import DIMENSIONS, LexicalJudge
from reward_score.sample import CaptionPair

REFERENCE = (
    "During laparoscopic cholecystectomy the grasper retracts the gallbladder while the hook dissects the cystic duct."
)


def verdict(candidate, reference=REFERENCE):
    return LexicalJudge().judge([CaptionPair(candidate, reference)])[0]


def test_other_scripts_are_read():
    assert verdict("天气很好", "外科医生用抓钳牵拉胆囊").specificity == 1
    assert verdict("хирург тянет пузырь", "Хирург тянет пузырь.").specificity == 5


@pytest.mark.parametrize(
    "text",
    [
        REFERENCE,
        "The nurse inserts the indwelling needle into the vein and releases the tourniquet.",
        "Endoscopic submucosal dissection: forceps lift the mucosal flap as the knife dissects the submucosa.",
        "Something happens.",
        "The",
    ],
)
def test_the_reference_itself_gets_full_grades(text):
    assert verdict(text, text).mean == 5


def test_synonyms_and_inflections_are_equal():
    one = verdict("The tweezers are lifting tissues.", "Forceps lift the tissue.")
    assert (one.terminology, one.identification, one.action) == (5, 5, 5)


@pytest.mark.parametrize(
    ("candidate", "dimension"),
    [
        (REFERENCE.replace("hook", "scissors"), "identification"),
        (REFERENCE.replace("cystic duct", "cystic artery"), "identification"),
        (REFERENCE.replace("dissects", "coagulates"), "action"),
        (REFERENCE.replace("laparoscopic cholecystectomy", "open surgery"), "context"),
        (REFERENCE.replace("the hook", "some tool"), "specificity"),
    ],
)
def test_a_wrong_term_lowers_its_own_dimension(candidate, dimension):
    got = verdict(candidate)
    assert getattr(got, dimension) < 5
    assert got.terminology < 5 or dimension == "specificity"
    for other in {"identification", "action", "context"} - {dimension}:
        if dimension != "specificity":
            assert getattr(got, other) == 5


def test_a_contradiction_costs_more_than_another_wrong_term():
    reference = "The needle is inserted into the skin."
    opposite = verdict("The needle is removed into the skin.", reference)
    unrelated = verdict("The needle is disinfected into the skin.", reference)
    assert opposite.action < unrelated.action or opposite.action == unrelated.action == 1
    both = verdict("The needle is inserted and removed into the skin.", reference)
    extra = verdict("The needle is inserted and disinfected into the skin.", reference)
    assert both.action < extra.action < 5


def test_vague_text_and_foreign_text_get_low_grades():
    assert verdict("The video shows a procedure being performed with some tool.").mean < 1.5
    assert verdict("The stock market fell on Monday.").mean < 1.5
    assert verdict("!!!").mean == verdict("").mean == 1


def test_a_silent_dimension_neither_gains_nor_loses():
    reference = "The hook dissects the liver."
    assert verdict("The hook dissects the liver.", reference).context == 5
    assert verdict("Something else.", reference).context == 1
    assert verdict("The hook dissects the liver during mastectomy.", reference).context < 4


def test_deterministic_and_in_range():
    pairs = [CaptionPair(REFERENCE[:i], REFERENCE[i:]) for i in range(0, len(REFERENCE), 7)]
    first, second = LexicalJudge().judge(pairs), LexicalJudge().judge(pairs)
    assert first == second
    assert all(1 <= getattr(one, name) <= 5 for one in first for name in DIMENSIONS)


def test_every_phrase_of_the_lexicon_is_found_as_its_own_term_and_opposites_are_terms():
    content = json.loads(Path(lexical.__file__).with_name("lexicon.json").read_text())
    terms = {term for name in lexical._CATEGORIES for term in content[name]}
    assert {term for pair in content["opposites"] for term in pair} <= terms
    for category in lexical._CATEGORIES:
        for term, synonyms in content[category].items():
            for phrase in (term, *synonyms):
                assert term in getattr(lexical._lexicon().read(f"It is the {phrase}."), category), phrase
