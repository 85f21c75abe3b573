# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
import math
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reward_score import SCORE_KEYS, TASKS, make_sample
from reward_score.tasks import cvs, dvc, nap, sa, stg, tag
from reward_score.tasks.geometry import box_iou, span_iou, union_iou

TASK_NAMES = sorted(TASKS)
# Pieces of all official formats, so that random texts come close to parsing.
PIECES = [
    *("1", "2.5", "33.3", ".", "-", "–", " ", ", ", ",", ":", "\n", "[", "]", "[[", "]]", "/5", "1e9", "nan", "inf"),
    *(" seconds.", " seconds: ", " second", " to ", "00:00:10", "1.0 seconds: [1, 2, 30, 40] ", "[[1, 2, 3, 4]]"),
    *("Two structures: 1", "Cystic plate: 2", "Time and motion: 3/5", "tying", "Time Range: ", "**Description:**"),
    *("1-2 seconds: cut\n", "the hook dissects", "٣", "é", "\x00", "\ud800", "9" * 400),
]
TEXTS = st.one_of(
    st.lists(st.sampled_from(PIECES), max_size=40).map("".join),
    st.text(max_size=300),
    st.tuples(st.sampled_from(PIECES), st.integers(1, 20_000)).map(lambda pair: (pair[0] * pair[1])[:20_000]),
)
TENTHS = st.integers(0, 3000).map(lambda n: n / 10)
SPANS = st.lists(st.tuples(TENTHS, TENTHS).map(lambda pair: (min(pair), max(pair))), min_size=1, max_size=6)


@pytest.mark.parametrize("task", TASK_NAMES)
@settings(max_examples=25)
@given(text=TEXTS)
def test_any_text_gets_a_score_in_range_with_the_fixed_keys(score, task, text):
    result = score(task, text)
    assert tuple(result) == SCORE_KEYS
    assert all(isinstance(value, float) for value in result.values())
    for name, value in result.items():
        most = 5 if name.startswith("judge_") and name != "judge_normalized" else 1
        assert 0 <= value <= most or math.isnan(value)
    assert not any(math.isnan(result[name]) for name in ("score", "raw", "normalized", "format", "parsed"))
    assert result["parsed"] == (result["format"] > 0)
    if not result["parsed"]:
        assert result["score"] == result["raw"] == 0


@pytest.mark.parametrize("task", TASK_NAMES)
def test_the_reference_in_the_official_format_is_one(score, references, task):
    result = score(task, references[task])
    assert (result["score"], result["raw"], result["format"], result["parsed"]) == (1, 1, 1, 1)


@settings(max_examples=100)
@given(spans=SPANS, fps=st.sampled_from([0.1, 0.5, 1.0, 3.0]))
def test_tag_references_score_one_against_themselves(score, spans, fps):
    text = ", ".join(f"{start}-{end}" for start, end in spans) + " seconds."
    struc_info = [{"spans": [{"start": start, "end": end} for start, end in spans]}]
    assert score("tag", text, text, struc_info, fps=fps)["score"] == pytest.approx(1)


QUARTERS = st.integers(0, 40).map(lambda n: f"{n / 4:.2f}")
BOXES = st.tuples(*[st.integers(0, 50_000).map(lambda n: n / 100)] * 2, *[st.integers(1, 900)] * 2)


@settings(max_examples=50)
@given(boxes=st.dictionaries(QUARTERS, BOXES, min_size=1, max_size=12))
def test_stg_references_score_one_against_themselves(score, boxes):
    corners = {time: [x, y, x + w, y + h] for time, (x, y, w, h) in boxes.items()}
    # As in the data: structure with any spelling of the time, text with one decimal.
    text = " ".join(f"{float(time):.1f} seconds: {box}" for time, box in corners.items())
    assert score("stg", text, text, [{"bbox_dict": corners}])["score"] == pytest.approx(1)


WORDS = st.sampled_from(["the", "hook", "dissects", "liver", "5", "mm", "suture", "x"])
CAPTIONS = st.lists(WORDS, min_size=1).map(" ".join)


@settings(max_examples=50)
@given(events=st.lists(st.tuples(TENTHS, TENTHS, CAPTIONS), min_size=1, max_size=6), fps=st.sampled_from([0.1, 0.5, 3]))
def test_dvc_references_score_one_against_themselves(score, events, fps):
    events = [(min(start, end), max(start, end), caption) for start, end, caption in events]
    text = "\n".join(f"{start}-{end} seconds: {caption}" for start, end, caption in events)
    struc_info = [[{"start": start, "end": end, "caption": caption} for start, end, caption in events]]
    for structure in (struc_info, None):
        assert score("dvc", text, text, structure, fps=fps)["score"] == pytest.approx(1)


@pytest.mark.parametrize("task", ["vs", "rc"])
@settings(max_examples=25)
@given(text=st.one_of(CAPTIONS, st.text(min_size=1, max_size=80)).filter(lambda text: any(map(str.isalnum, text))))
def test_captions_score_one_against_themselves(score, task, text):
    assert score(task, text, text)["score"] == 1


@pytest.mark.parametrize("source", ["AVOS", "CholecT50", "CoPESD", "NurViD", "EgoSurgery"])
def test_nap_labels_score_one_against_themselves_and_zero_against_others(score, source):
    labels = nap.class_list(source, None) or ["closing", "closure", "design"]
    structure = {"action_list": labels}
    for label, other in zip(labels, [*labels[1:], labels[0]], strict=True):
        assert score("nap", label, label, structure, source=source)["score"] == 1
        assert score("nap", other, label, structure, source=source)["score"] == 0


ASPECTS = st.sampled_from(["Respect for tissue", "Suture/needle handling", "Time and motion", "Flow of operation"])


@settings(max_examples=50)
@given(scores=st.dictionaries(ASPECTS, st.integers(1, 5), min_size=1))
def test_sa_references_score_one_against_themselves(score, scores):
    text = ", ".join(f"{name}: {value}/5" for name, value in scores.items())
    for structure in ([{"skill_level": "N", "skill_scores": scores}], None):
        assert score("sa", text, text, structure)["score"] == 1


@settings(max_examples=27)
@given(scores=st.tuples(*[st.integers(0, 2)] * 3))
def test_cvs_references_score_one_against_themselves(score, scores):
    text = "Two structures: {}, Cystic plate: {}, Hepatocystic triangle: {}".format(*scores)
    names = ("two_structures", "cystic_plate", "hepatocystic_triangle")
    for structure in ([{"cvs_scores": dict(zip(names, scores, strict=True))}], None):
        assert score("cvs", text, text, structure)["score"] == 1


@settings(max_examples=100)
@given(a=SPANS, b=SPANS)
def test_overlap_is_symmetric_and_in_range(a, b):
    assert union_iou(a, b) == pytest.approx(union_iou(b, a))
    assert 0 <= union_iou(a, b) <= 1 and union_iou(a + b, a) <= union_iou(a, a)
    assert union_iou(a + a, b) == pytest.approx(union_iou(a, b))
    assert span_iou(a[0], b[0]) == span_iou(b[0], a[0])
    one, other = (*a[0], *b[0]), (*b[0], *a[0])
    assert box_iou(one, other) == box_iou(other, one)


HOSTILE = [
    *("1", "1.", "1-", "1 ", "1 to ", "1:", "0 seconds: [", "[[", "[[1,", "1-2 seconds: ", "1-2 seconds:\n", " ", "\n"),
    *("a", "a:", ":1/5", ",", "Time Range: 1–2 seconds ", "Start Time", "two structures: ", "\n1", "1.1.", "9"),
    *("<answer>", "</think><answer>", "<answer>\n", "<think>", "<answer>A</answer> <think>"),
]


def thread_seconds(function, text):
    """CPU seconds of this thread alone: other threads of the test process (Ray's, torch's) do not count."""
    begin = time.thread_time()
    function(text)
    return time.thread_time() - begin


def assert_linear(function):
    """20 kB of any repeated piece: linear parsing takes milliseconds, quadratic parsing several seconds of CPU."""
    for piece in HOSTILE:
        for text in (piece * (20_000 // len(piece)), "1-2 seconds: " + piece * (20_000 // len(piece))):
            # A garbage collection may fall into one try; it does not fall into three.
            assert any(thread_seconds(function, text) < 0.5 for _ in range(3)), piece


@pytest.mark.parametrize("task", TASK_NAMES)
def test_parsing_time_grows_linearly(task, references):
    assert_linear(
        lambda text: TASKS[task].rate(make_sample(f"m/AVOS/{task}", text, references[task], None), fallback=0.5)
    )


EVENTS = [{"start": i, "end": i + 5, "caption": "a"} for i in range(5)]
METRICS = {
    "tag": lambda text: tag.metric(text, [{"spans": EVENTS}], 1.0),
    "stg": lambda text: stg.metric(text, {"1.0": [1, 2, 3, 4], "1.5": [1, 2, 3, 4]}),
    "dvc": lambda text: (dvc.metric(text, EVENTS, 1.0), dvc.judge_pairs(text, EVENTS)),
    "nap": lambda text: nap.metric("NurViD", [text], ["scrub"], [text], lambda texts, labels: [0] * len(texts)),
    "sa": lambda text: sa.metric(text, [], text),
    "cvs": lambda text: cvs.metric(text, [], text),
}


@pytest.mark.parametrize("task", METRICS)
def test_the_metrics_time_grows_linearly(task):
    assert_linear(METRICS[task])
