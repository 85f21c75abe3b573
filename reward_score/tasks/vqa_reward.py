# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""What the medical VQA tasks (mcq, closed, open) have in common: their options, and a reward that is a weighted sum.

Reward = sum of weight x component, as in Med-R1 (accuracy + format, at most 2) and in Zhu et al. Components, each in
[0, 1]: ``accuracy``; ``tags``, the papers' format reward; ``alignment``, 1 if an expert finds the reasoning medically
sound; ``ecr`` and ``cwr``, the answer's length over `max_length`, in tokens, always and only if the answer is right.
Nothing is normalized. `accuracy_lenient` is logged and never rewarded. Two rules are ours, so that rambling never pays:
a right answer's accuracy is rewarded times `surplus.concise`, and an answer that was cut earns nothing.
"""

import math
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from reward_score.errors import BadGroundTruth, RewardError
from reward_score.sample import Claim, Rating, Sample
from reward_score.tasks import answer_tags
from reward_score.tasks.answer_tags import Form
from reward_score.tasks.surplus import LEAD_IN, around, concise, distinct

Share = Annotated[float, Field(ge=0, le=1)]
Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]

#: Keys that the tasks add to reward_score's result.
KEYS = ("accuracy", "accuracy_lenient", "tags", "alignment", "ecr", "cwr")


class Weights(BaseModel):
    """Weight of each component in the reward; 0 leaves it out."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    accuracy: Weight = 1.0
    tags: Weight = 0.0
    alignment: Weight = 0.0
    ecr: Weight = 0.0
    cwr: Weight = 0.0


class VQAOptions(BaseModel):
    """Options of the medical VQA tasks.

    Args:
        form: where the reasoning stands: ``think``, ``nothink`` or ``think_after``.
        strict_tags: the component ``tags`` also wants each tag exactly once; the published code lets surplus tags pass.
        nothink_strict: with any text outside the answer tags the accuracy is 0, as Med-R1's no-think text has it; the
            published code only takes the format reward away.
        max_length: tokens at which the length rewards end to grow; needed by them.
        alignment_threshold: the expert's verdict, scaled to [0, 1], from which on reasoning counts as sound.
        weights: see `Weights`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    form: Form = "think"
    strict_tags: bool = False
    nothink_strict: bool = False
    max_length: Annotated[int, Field(ge=1)] | None = None
    alignment_threshold: Share = 0.5
    weights: Weights = Weights()


DEFAULT = VQAOptions()


def rate_tagged(sample: Sample, options: VQAOptions, accuracy: bool, lenient: bool, readable: bool) -> Rating:
    """Components of one answer once its task has said whether it is right, strictly and leniently, and readable."""
    text, weights = sample.answer, options.weights
    if options.nothink_strict:
        # The form alone would let text pass between a first and a second pair of tags.
        alone = answer_tags.has_form(text.strip(), "nothink") and answer_tags.exactly_one_of_each(text, "nothink")
        accuracy = accuracy and alone
    form = answer_tags.has_form(text, options.form)
    if options.strict_tags:
        form = form and answer_tags.exactly_one_of_each(text, options.form)
    parts = {"accuracy": float(accuracy), "accuracy_lenient": float(lenient), "tags": float(form)}
    if sample.response_length is not None and options.max_length is not None:
        length = min(1.0, sample.response_length / options.max_length)
        parts |= {"ecr": length, "cwr": length if accuracy else 0.0}
    elif weights.ecr or weights.cwr:
        raise RewardError(
            f"{sample.row}: a length reward (ecr, cwr) needs extra_info['response_length'], the answer's tokens, which "
            "the recipe's reward manager gives, and the option vqa.max_length"
        )
    claim = None
    if weights.alignment:
        thought = answer_tags.reasoning(text)
        # Silence is not sound reasoning, and needs no expert.
        if any(character.isalnum() for character in thought):
            claim = Claim(thought, sample.question, sample.answer_text or sample.reference)
        else:
            parts["alignment"] = 0.0
    factor = _concise(text, gold(sample)) if accuracy else 1.0
    return Rating(float(readable), float(accuracy), parts=parts, claim=claim, concise=factor)


def _concise(text: str, reference: str) -> float:
    """Factor for characters outside the first reasoning and the first answer, for what either says again, and for an
    answer that goes on for more than `LEAD_IN` characters after it has said enough.

    Repetition in reasoning counts against the reasoning's own length: some comes naturally in long texts.
    """
    place, thought = answer_tags.answer_place(text), answer_tags.reasoning_place(text)
    answer = text if place is None else answer_tags.unwrapped(text)
    surplus = max(distinct(answer, reference)[1], len(answer) - len(reference) - LEAD_IN, 0)
    if place is None:
        return concise(surplus, reference)
    if thought is None:
        return concise(surplus + around(text, [place]), reference)
    said, again = distinct(answer_tags.reasoning(text))
    return concise(surplus + around(text, [place, thought]), reference) * concise(again, said)


def reward(parts: dict[str, float], weights: Weights, concise: float = 1.0) -> float:
    """Weighted sum of the components that have a weight, accuracy times `concise`."""
    parts = parts | {"accuracy": parts["accuracy"] * concise}
    return math.fsum(weight * parts[name] for name, weight in weights if weight)


def gold(sample: Sample) -> str:
    """The reference, stripped."""
    text = answer_tags.unwrapped(sample.reference)
    if not text:
        raise BadGroundTruth("the reference answer is empty")
    return text
