# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""NAP, next action prediction: the label of the step that follows the clip.

Answer: the label alone, ``tying``.

Reward: 1 if the answer is the reference's label, ignoring case, spacing and hyphens, otherwise 0. The leaderboard
instead maps any text to the nearest class by sentence embedding, which would pay for guessing.
"""

import json
import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from reward_score.errors import BadGroundTruth
from reward_score.ground_truth import load_struc_info
from reward_score.sample import Rating, Sample
from reward_score.tasks.surplus import around, concise

COMPONENTS = ("raw",)

_LISTED = re.compile(r"\[('[^'\[\]]*'(?:, '[^'\[\]]*')*)\]")
_MARKS = re.compile(r"\A[\W_]+|[\W_]+\Z")

# Texts to the index of the most similar label, one per text.
NearestLabel = Callable[[Sequence[str], Sequence[str]], list[int]]


@lru_cache(maxsize=1)
def _tables() -> dict[str, Any]:
    return json.loads(Path(__file__).with_name("nap_labels.json").read_text(encoding="utf-8"))


def procedure_of(source: str, question: str) -> str | None:
    """NurViD's procedure: the first listed name contained in the question, case ignored; None elsewhere.

    Quirk kept: "Subcutaneous Injection Insulin" is found as "Subcutaneous Injection".
    """
    if source != "NurViD":
        return None
    question = question.lower()
    return next((name for name in _tables()["labels"]["NurViD"] if name.lower() in question), None)


def class_list(source: str, procedure: str | None) -> list[str]:
    """The leaderboard's labels of a source, [] for a source without a list; NurViD without a procedure: all of them."""
    table = _tables()["labels"].get(source, [])
    if isinstance(table, list):
        return table
    return table[procedure] if procedure else sorted({label for labels in table.values() for label in labels})


def clean(text: str, source: str) -> str:
    """Text without outer spaces; CoPESD's older label names become the current ones."""
    text = text.strip()
    return _tables()["synonyms"].get(source, {}).get(text, text)


def _spelling(text: str) -> str:
    """A label without regard to case, spacing and hyphens."""
    return re.sub(r"[\s_-]+", " ", text.strip()).casefold()


@lru_cache(maxsize=4096)
def _references(struc_info: str, answer: str, source: str, question: str) -> tuple[str, frozenset[str]]:
    """The spelling of the reference's label and of all labels of the row."""
    reference = clean(answer, source)
    if not reference:
        raise BadGroundTruth("the reference label is empty")
    structured = load_struc_info(struc_info)
    # The released data keep it in a list of one.
    structured = structured[0] if isinstance(structured, list) and structured else structured
    labels = structured.get("action_list") if isinstance(structured, dict) else None
    if not isinstance(labels, list) or not labels:
        listed = _LISTED.search(question)
        labels = listed[1][1:-1].split("', '") if listed else class_list(source, procedure_of(source, question))
    return _spelling(reference), frozenset(_spelling(clean(str(label), source)) for label in [*labels, reference])


def rate(sample: Sample, fallback: float) -> Rating:
    """Reward parts of one answer.

    Format is 1 if the answer is one of the row's labels, `fallback` if only marks around it differ, otherwise 0.

    Example:
        >>> from reward_score import make_sample
        >>> rating = rate(make_sample("medvidbench/AVOS/nap", "'Tying'", "tying", None), 0.5)
        >>> rating.raw, rating.format
        (1.0, 0.5)
    """
    reference, labels = _references(sample.struc_info, sample.reference, sample.source, sample.question)
    for format_factor, text in ((1.0, sample.answer), (fallback, _MARKS.sub("", sample.answer))):
        label = _spelling(clean(text, sample.source))
        if label in labels:
            start = sample.answer.index(text.strip())
            factor = concise(around(sample.answer, [(start, start + len(text.strip()))]), sample.reference)
            return Rating(format_factor, float(label == reference), concise=factor)
    return Rating(0.0, 0.0)


def metric(
    source: str, predictions: Sequence[str], answers: Sequence[str], questions: Sequence[str], nearest: NearestLabel
) -> list[dict[str, Any]]:
    """NAP_acc's verdict on all records of one source, as the leaderboard computes it.

    Labels are compared after trimming, case-sensitively; other text gets the nearest label. Quirks kept: without a list
    of its own a source's labels are its own references here, so with a single one everything is right; an empty
    answer gets a label too; a record whose reference is empty or not in the list is left out.

    Returns:
        Per record `scored`, `correct` (0/1 or None), `pred_class`, `via` ("exact", "nearest" or None), `procedure`.
    """
    results: list[dict[str, Any]] = []
    groups: dict[str | None, list[int]] = {}
    for i, question in enumerate(questions):
        procedure = procedure_of(source, question)
        groups.setdefault(procedure, []).append(i)
        results.append({"scored": False, "correct": None, "pred_class": None, "via": None, "procedure": procedure})
    for procedure, indices in groups.items():
        references = {i: clean(answers[i], source) for i in indices}
        labels = class_list(source, procedure) or sorted({reference for reference in references.values() if reference})
        scored = [i for i in indices if references[i] in labels]
        texts = {i: clean(predictions[i], source) for i in scored}
        foreign = sorted({text for text in texts.values() if text not in labels})
        if len(labels) == 1:
            mapped = dict.fromkeys(foreign, labels[0])
        else:
            found = nearest(foreign, labels) if foreign else []
            mapped = {text: labels[k] for text, k in zip(foreign, found, strict=True)}
        for i in scored:
            label = mapped.get(texts[i], texts[i])
            via = "nearest" if texts[i] in mapped else "exact"
            results[i] |= {"scored": True, "correct": int(label == references[i]), "pred_class": label, "via": via}
    return results
