# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""No way of rambling pays: in no task, for no answer, whatever its form; nor does being cut at the token limit."""

import json
from itertools import pairwise, product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reward_score import Artifact, Provenance, ScoreConfig, Scorer, make_sample
from reward_score.errors import RewardError

BOX, OTHER, FAR = "[100, 100, 200, 200]", "[110, 90, 240, 200]", "[900, 900, 990, 990]"
EVENTS = [
    {"start": 10.0, "end": 20.0, "caption": "cutting: The scissors cut the skin above the left wrist."},
    {"start": 25.0, "end": 40.0, "caption": "suturing: The needle driver passes the needle through both edges."},
]
SPANS = [{"start": 40, "end": 50}, {"start": 60, "end": 66}]
ASPECTS = "Respect for tissue: 2/5, Suture/needle handling: 1/5, Time and motion: 3/5"
BOXES = f"1.0 seconds: {BOX} 2.0 seconds: {BOX} 3.0 seconds: {BOX}"
CAPTION = "The surgeon retracts the gallbladder with a grasper while the hook dissects the cystic duct."
REFERENCES = {
    "tag": ("40.0-50.0, 60.0-66.0 seconds.", [{"spans": SPANS}]),
    "stg": (BOXES, {f"{t}.0": [100, 100, 200, 200] for t in (1, 2, 3)}),
    "dvc": ("\n".join(f"{e['start']}-{e['end']} seconds: {e['caption']}" for e in EVENTS), [EVENTS]),
    "nap": ("tying", [{"action_list": ["cutting", "tying", "suturing"]}]),
    "sa": (ASPECTS, None),
    "cvs": ("Two structures: 2, Cystic plate: 1, Hepatocystic triangle: 0", None),
    "vs": (CAPTION, None),
    "rc": ("The clipper applies a clip to the cystic artery.", None),
    **{"mcq": ("C", None), "closed": ("yes", None), "open": ("left kidney", None)},
}
STRUCTURED = ("tag", "stg", "dvc", "nap", "sa", "cvs")
LOOSE = [f"1.0 seconds: {OTHER}", f"Boxes: 2.0 seconds: {OTHER}", f"7.0 seconds: {BOX}", "[[100, 100, 200, 200]]"]
# Answers as good, half right and wrong models give them, in the official form and in others.
ANSWERS = {
    "tag": [
        *("40.0-50.0, 60.0-66.0 seconds.", "42.0-55.0 seconds.", "0-9 seconds.", "It is 1-2", "from 41 to 49 seconds"),
    ],
    "stg": [BOXES.replace(f"2.0 seconds: {BOX}", f"2.0 seconds: {OTHER}"), BOXES.replace(BOX, FAR), *LOOSE],
    "dvc": [
        REFERENCES["dvc"][0],
        *("10.0-21.0 seconds: cutting: The knife cuts.", "60.0-70.0 seconds: cutting: The knife cuts."),
        "Events:\n12.0-20.0 seconds: The knife cuts.",
    ],
    "nap": ["tying", "cutting", "Tying.", "'cutting'"],
    "sa": [
        *(ASPECTS, "Respect for tissue: 2/5", "Respect for tissue: 5/5, Time and motion: 5/5"),
        "So: Time and motion: 3/5.",
    ],
    "cvs": [REFERENCES["cvs"][0], "Two structures: 2", "two structures: 0, cystic plate: 0, hepatocystic triangle: 2"],
}
JUNK = [
    *(" I am certain.", "\nThat is all.", " seconds", " and so on and so on", "\n\n\n\n\n\n", "!" * 9, " ???? ????"),
    *(" Please give full marks.", " 1 2 3", " [", "...................", "                "),
]
# Parts in the task's own form that hit nothing.
WRONG = {
    "tag": [", 90.0-99.0 seconds.", " 70-71", " 50.0-40.0", ", 80.0-80.0 seconds."],
    "stg": [f" 9.0 seconds: {BOX}", " 9.0 seconds: [x]", " 8.5 seconds: [1, 2", f" 4.0 seconds: {FAR}"],
    "dvc": ["\n90.0-95.0 seconds: tying: A knot is tied.", "\n91-91 seconds: x", "\n99-90 seconds: x"],
    "nap": [" cutting", ", suturing", " (or suturing)"],
    "sa": [", Elegance: 5/5", " 4/5", ", Quality: 9/5"],
    "cvs": [", Gallbladder: 2", " 2 2 2", ", Cystic duct: 1"],
}
#: What is said again, and the separators.
PARTS = {
    "tag": (["40.0-50.0", "42.0-55.0", "0-9", "1-2", "from 41 to 49"], [", ", " ", "\n"]),
    "stg": ([f"{time}.0 seconds: {box}" for time, box in ((1, BOX), (1, OTHER), (2, FAR), (2, OTHER))], [" ", "\n"]),
    "dvc": ([*REFERENCES["dvc"][0].split("\n"), "10.0-21.0 seconds: cutting: The knife cuts."], ["\n"]),
    "nap": (["tying", "cutting"], [" ", ", "]),
    "sa": (["Respect for tissue: 2/5", "Time and motion: 5/5"], [", "]),
    "cvs": (["Two structures: 2", "Cystic plate: 0"], [", "]),
}
COMPONENTS = [
    *((task, "raw") for task in STRUCTURED),
    *((task, part) for task in ("vs", "rc", "dvc") for part in ("similarity", "judge")),
]


@pytest.fixture(scope="module", params=["none", "logistic"])
def value(request, encoder):
    """value(task, answer, **extra): the reward, as such or by percentiles, where a raw of 0 still earns some."""
    options = {"normalization": "none"}
    if request.param == "logistic":
        values = {("AVOS", task, part): [i / 50 for i in range(40)] for task, part in COMPONENTS}
        artifact = Artifact.from_observations(values, Provenance(model="m", split="s", decoding="d"))
        options = {"normalization": "logistic", "artifact": artifact}
    scorer = Scorer(ScoreConfig(reward_tasks="all", similarity=encoder, **options))

    def run(task, answer, **extra):
        reference, structure = REFERENCES[task]
        if structure is not None:
            extra["struc_info"] = json.dumps(structure)
        return scorer.score([make_sample(f"m/AVOS/{task}", answer, reference, {"fps": 1.0, **extra})])[0]["score"]

    return run


@pytest.mark.parametrize("task", STRUCTURED)
def test_a_suffix_without_a_new_correct_part_never_raises_the_score(value, task):
    for answer in ANSWERS[task]:
        before = value(task, answer)
        for suffix in [*WRONG[task], *(JUNK if task != "dvc" else [])]:
            assert value(task, answer + suffix) <= before, (answer, suffix)
            # Nor does more of it.
            assert value(task, answer + suffix * 3) <= value(task, answer + suffix), (answer, suffix)


@pytest.mark.parametrize("task", STRUCTURED)
def test_long_text_after_the_answer_costs_in_any_form(value, task):
    for answer in ANSWERS[task]:
        if before := value(task, answer):
            assert value(task, answer + "\nI am certain that this is right.") < before, answer
            assert value(task, answer + "\n" * 40) < before, answer


def falls(scores):
    return all(later < earlier for earlier, later in pairwise(scores))


@pytest.mark.parametrize("task", STRUCTURED)
def test_a_repetition_strictly_lowers_the_score_in_any_form(value, task):
    parts, separators = PARTS[task]
    for answer, part, separator in product(ANSWERS[task], parts, separators):
        if part in answer:
            scores = [value(task, answer + (separator + part) * times) for times in range(5)]
            assert falls(scores) or not any(scores[1:]), (answer, part, scores)
            assert scores[1] < scores[0] or scores[0] == 0


CAPTIONS = [
    CAPTION,
    CAPTION[:-1],
    "The weather is nice.",
    "An operation",
    "A hook is seen. The gallbladder is held by the grasper.",
    "The surgeon operates on the patient with an instrument, and the tissue is cut; blood is seen",
]


def tails(text):
    words = text.split()
    return [" ".join(words[-n:]) for n in (1, 2, 3, 5, len(words)) if n <= len(words)]


@pytest.mark.parametrize("task", ["vs", "rc"])
def test_a_sentence_or_its_tail_said_again_strictly_lowers_a_caption(value, task):
    for caption in CAPTIONS:
        for tail in tails(caption):
            scores = [value(task, caption + f" {tail}" * times) for times in range(5)]
            assert falls(scores) or not any(scores), (caption, tail)
        for again in (caption.upper(), caption.replace(" ", "  "), f"- {caption}", f"And {caption}"):
            scores = [value(task, caption), value(task, f"{caption}\n{again}")]
            assert falls(scores) or not any(scores), (caption, again)


def test_a_repetition_costs_much_and_a_counter_does_not_hide_it(value):
    assert value("vs", f"{CAPTION} " * 4) < value("vs", CAPTION) / 3
    counted = "".join(f" Step {i}, the hook dissects the duct." for i in range(5))
    assert value("vs", CAPTION + counted) < value("vs", CAPTION + " Step 1, the hook dissects the duct.")


@pytest.mark.parametrize(
    ("task", "part", "padded"),
    [
        ("tag", "42.0-55.0", "42." + "0" * 30 + "-55." + "0" * 30),
        ("tag", "from 41 to 49", "from 41              to 49"),
        ("stg", "1.0 seconds: [110", "1.0 seconds: [110." + "0" * 40),
        ("stg", "1.0 seconds: [110", "1.0            seconds:              [110"),
        ("sa", "Respect for tissue: 2/5", f"Respect for tissue: {'0' * 40}2/5"),
        ("cvs", "Two structures: 2", "Two structures:                      2"),
    ],
)
def test_endless_numbers_and_spaces_within_a_part_cost(value, task, part, padded):
    for answer in (answer for answer in ANSWERS[task] if part in answer):
        assert value(task, answer.replace(part, padded)) < value(task, answer) or value(task, answer) == 0


SPAN = st.tuples(st.integers(0, 80), st.integers(1, 30)).map(lambda s: (s[0], s[0] + s[1]))
WORDS = ["the", "hook", "dissects", "cystic", "duct", "liver", "a", "grasper", "holds", "clip", "blood", "skin"]
SENTENCES = st.lists(st.sampled_from(WORDS), min_size=2, max_size=9, unique=True).map(lambda said: f"{' '.join(said)}.")


@settings(max_examples=40)
@given(sentences=st.lists(SENTENCES, min_size=1, max_size=3), data=st.data())
def test_any_sentence_of_any_caption_said_again_lowers_it(value, sentences, data):
    caption = " ".join(sentences)
    again = data.draw(st.sampled_from(sentences))
    assert value("vs", f"{caption} {again}") < value("vs", caption)


@settings(max_examples=60)
@given(count=st.integers(1, 4), spans=st.lists(SPAN, min_size=1, max_size=4), data=st.data())
def test_any_span_said_again_lowers_any_tag_answer(value, count, spans, data):
    answer = ", ".join(f"{start}.0-{end}.0" for start, end in spans)
    start, end = data.draw(st.sampled_from(spans))
    before = value("tag", answer + " seconds.")
    after = value("tag", answer + f", {start}.0-{end}.0" * count + " seconds.")
    assert after < before or after == before == 0


@pytest.mark.parametrize("task", ["mcq", "closed", "open"])
def test_a_short_answer_said_again_is_worth_less(value, task):
    answer = REFERENCES[task][0]
    assert value(task, answer) == 1
    for text in (f"{answer} {answer}", f"{answer}. {answer}.", f"<answer>{answer}</answer><answer>{answer}</answer>"):
        assert value(task, text) < 1
    assert value(task, f"<answer>{answer}</answer> and that is all there is to be said about it") < 1


CUT = [{"finish_reason": "length"}, {"response_length": 96, "max_response_length": 96}]
ENDED = [{}, {"finish_reason": "stop"}, {"response_length": 40, "max_response_length": 96}]
ENDED += [{"finish_reason": "stop", "response_length": 80, "max_response_length": 96}]


@pytest.mark.parametrize("task", REFERENCES)
def test_an_answer_that_was_cut_has_not_the_form(value, task):
    reference = REFERENCES[task][0]
    whole = value(task, reference)
    assert whole > 0.8
    assert [value(task, reference, **cut) for cut in CUT] == [0, 0]
    assert {value(task, reference, **ended) for ended in ENDED} == {whole}
    if task == "tag":
        assert value(task, reference, **CUT[1], finish_reason="stop") == whole


def test_captions_fall_over_the_last_tenth_of_the_limit(scorer, encoder):
    def factor(length, scorer=scorer):
        extra = {"response_length": length, "max_response_length": 200}
        return scorer.score([make_sample("m/AVOS/vs", CAPTION, CAPTION, extra)])[0]["format"]

    assert [factor(length) for length in (1, 180, 190, 195, 199)] == pytest.approx([1, 1, 0.5, 0.25, 0.05])
    assert factor(200) == 0
    off = Scorer(ScoreConfig(similarity=encoder, overlong_buffer=0))
    assert factor(200, off) == 1


def test_a_cut_caption_is_not_judged(scorer):
    found = scorer.score([make_sample("m/AVOS/vs", CAPTION, CAPTION, {"finish_reason": "length"})])[0]
    assert (found["parsed"], found["similarity"], found["judge"], found["cut"]) == (0, 0, 0, 1)


@pytest.mark.parametrize("wrong", [{"finish_reason": 1}, {"response_length": "9"}, {"max_response_length": 9.5}])
def test_what_is_said_of_the_length_must_be_readable(wrong):
    with pytest.raises(RewardError, match=f"m/AVOS/vs: extra_info.'{next(iter(wrong))}'"):
        make_sample("m/AVOS/vs", CAPTION, CAPTION, wrong)
