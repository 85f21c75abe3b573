# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""VS and RC, video summary and region caption: free text, 1-3 sentences.

Reward: half the semantic similarity to the reference, half the verdict of a medical judge (MedGRPO, "hybrid caption
reward"). Encoder and judge get the text without what it says again, which is surplus (`tasks.surplus`). And the format
factor falls as 1/length beyond four references (at least 100 words), because the encoder reads only 256 tokens.
"""

import re

from reward_score.errors import BadGroundTruth
from reward_score.sample import CaptionPair, Rating, Sample
from reward_score.tasks.surplus import concise, distinct

COMPONENTS = ("similarity", "judge")
MAX_LENGTH_RATIO = 4
MIN_WORD_LIMIT = 100
# Well above the average of any prose, so that it binds only where words are not set apart.
_CHARACTERS_PER_WORD = 12
_WORD = re.compile(r"[^\W_]+")


def words(text: str) -> int:
    """Length in words, by runs of letters and digits; by characters where that gives more."""
    return max(len(_WORD.findall(text)), len(text) // _CHARACTERS_PER_WORD)


def word_limit(reference_words: int) -> int:
    return max(MIN_WORD_LIMIT, MAX_LENGTH_RATIO * reference_words)


def length_factor(candidate: str, limit: int) -> float:
    """Factor in (0, 1] that falls as 1/length beyond so many words."""
    # A word takes two characters with what sets it apart; most captions need no counting, which is the slow part.
    return 1.0 if len(candidate) < 2 * limit else min(1.0, limit / words(candidate))


def rate(sample: Sample, fallback: float) -> Rating:
    """Reward parts of one answer: the pair to compare, and the length factor as its format.

    Example:
        >>> from reward_score import ScoreConfig, Scorer, make_sample
        >>> sample = make_sample("medvidbench/AVOS/rc", "A grasper holds it.", "A grasper holds the liver.", None)
        >>> rate(sample, 0.5).pairs
        [CaptionPair(candidate='A grasper holds it.', reference='A grasper holds the liver.')]
        >>> judged = Scorer(ScoreConfig(judge="lexical", caption_mix=0)).score([sample])[0]
        >>> 0 < judged["score"] < 1, judged["judge_action"]
        (True, 5.0)
    """
    reference = sample.reference.strip()
    if not reference:
        raise BadGroundTruth("the reference caption is empty")
    if not any(character.isalnum() for character in sample.answer):
        return Rating(0.0, None, [], 1)
    candidate, surplus = distinct(sample.answer, reference)
    factor = length_factor(candidate, word_limit(words(reference)))
    return Rating(factor, None, [CaptionPair(candidate, reference)], 1, concise=concise(surplus, reference))
