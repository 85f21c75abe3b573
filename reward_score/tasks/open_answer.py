# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Closed (yes/no) and open questions with a short text as answer.

Yes/no: right only if exactly one of the two words occurs and is the reference (MedEvalKit's rule). Other texts: equal
to the reference apart from case, punctuation, spaces, Unicode form and the spelling of numbers (1,000 and 1000, 2,5 and
2.50); signs next to a number or after a word count, and so do ratios. Lenient, for
evaluation: all that `answer_tags.offered` finds must hold the reference as whole words.
"""

import re
import unicodedata

from reward_score.errors import BadGroundTruth
from reward_score.sample import Rating, Sample
from reward_score.tasks import answer_tags
from reward_score.tasks.vqa_reward import DEFAULT, VQAOptions, gold, rate_tagged

COMPONENTS = ()

# Above a digit a figure is a power, which its plain form would not be: 10³ is not 103.
_RAISED = re.compile(r"(?<=[^\W\d_])[⁰¹²³⁴⁵⁶⁷⁸⁹]+|[₀-₉]+|[^⁰¹²³⁴⁵⁶⁷⁸⁹₀-₉½⅓⅔¼¾⅛⅜⅝⅞]+")
_SIGNS = str.maketrans(
    dict.fromkeys("≤⩽≦", "<=") | dict.fromkeys("≥⩾≧", ">=") | dict.fromkeys("\u2010\u2011\u2012\u2013\u2212", "-")
)
# ">50%" is neither "50%" nor "<50%", "HER2+" not "HER2-"; a hyphen within a word or between numbers is no sign.
_WORDS = re.compile(
    r"(?:[<>]=?\s{0,3}|(?<![\w)%])[+-])?\d+(?:\.\d+)*(?:\s{0,3}%|\+(?!\w))?"
    r"|[^\W\d]\w*(?:[+-]{1,3}(?!\w))?|\w+|[≠±↑↓]|(?<=\d)\s{0,2}[:/](?=\s{0,2}\d)"
)
# One spelling of numbers, in this order: 1,000; 2,5; .5; 2.50; 50 percent.
_NUMBERS = (
    (re.compile(r"(?<![\w.,])\d{1,3}(?:,\d{3})+(?![\d,])"), lambda found: found[0].replace(",", "")),
    (re.compile(r"(?<![\w.,])(\d+),(\d+)(?![\d,])"), r"\1.\2"),
    (re.compile(r"(?<![\w.])\.(?=\d)"), "0."),
    (re.compile(r"(?<![\w.])(\d+)(?:\.0+|(\.\d*[1-9])0+)(?![\d.]\d|\d)"), lambda found: found[1] + (found[2] or "")),
    (re.compile(r"(?<=\d)\s{0,3}per\s?cent\b"), "%"),
)


def one_form(text: str) -> str:
    """A text in one of the ways in which Unicode can spell it."""
    if text.isascii():
        return text
    text = "".join(character for character in text if unicodedata.category(character) != "Cf")
    return _RAISED.sub(lambda part: unicodedata.normalize("NFKC", part[0]), text).translate(_SIGNS)


def _words(text: str) -> list[str]:
    text = one_form(text).casefold()
    for pattern, spelling in _NUMBERS:
        text = pattern.sub(spelling, text)
    return [re.sub(r"\s+", "", word) for word in _WORDS.findall(text)]


def right(answer: str, reference: str, lenient: bool = False) -> bool:
    """Whether an answer is the reference; leniently also, where that is no yes or no, if it holds it as whole words."""
    words, said = _words(reference), _words(answer)
    if words in (["yes"], ["no"]):
        return {"yes", "no"}.intersection(said) == set(words)
    return said == words or (lenient and f" {' '.join(words)} " in f" {' '.join(said)} ")


def rate(sample: Sample, fallback: float, options: VQAOptions = DEFAULT) -> Rating:
    """Reward parts of one answer; `fallback` is for other tasks.

    Example:
        >>> from reward_score import make_sample
        >>> rate(make_sample("slake/CT/open", "the left kidney", "left kidney", None), 0.5).parts
        {'accuracy': 0.0, 'accuracy_lenient': 1.0, 'tags': 0.0}
    """
    reference = gold(sample)
    if not _words(reference):
        raise BadGroundTruth(f"the reference answer {reference!r} has no word")
    answer = answer_tags.unwrapped(sample.answer)
    accuracy = right(answer, reference)
    offered = answer_tags.offered(sample.answer)
    lenient = bool(offered) and all(right(one, reference, lenient=True) for one in offered)
    return rate_tagged(sample, options, accuracy, lenient, bool(_words(answer)))
