# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""VS and RC, video summary and region caption: free text, 1-3 sentences.

Reward: half the semantic similarity to the reference, half the verdict of a medical judge, each normalized with its own
percentiles before the mix (MedGRPO, "hybrid caption reward"). An empty answer is 0 and never reaches the judge.

The paper names no length penalty. Here the format factor falls as 1/length beyond four times the reference's words (at
least 100 words), because the encoder reads only the first 256 tokens: what follows would be free to repeat or to stuff.
"""

from reward_score.errors import BadGroundTruth
from reward_score.sample import CaptionPair, Rating, Sample

COMPONENTS = ("similarity", "judge")
MAX_LENGTH_RATIO = 4
MIN_WORD_LIMIT = 100


def rate(sample: Sample, fallback: float) -> Rating:
    """Reward parts of one answer: the pair to compare, and the length factor as its format.

    Raises:
        BadGroundTruth: the reference is empty.
    """
    reference = sample.reference.strip()
    if not reference:
        raise BadGroundTruth("the reference caption is empty")
    candidate = sample.answer.strip()
    if not any(character.isalnum() for character in candidate):
        return Rating(0.0, None, [], 1)
    limit = max(MIN_WORD_LIMIT, MAX_LENGTH_RATIO * len(reference.split()))
    return Rating(min(1.0, limit / len(candidate.split())), None, [CaptionPair(candidate, reference)], 1)
