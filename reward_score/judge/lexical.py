# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""A deterministic lexical rubric on the five clinical dimensions, for runs without an LLM judge.

It is *not* the paper's LLM judge: it compares clinical terms by a word list and understands neither grammar nor
negation. Each dimension is an F1 score of the terms C and R of candidate and reference, mapped linearly to 1..5:
``F1 = 2 |C & R| / (|C| + |R| + contradictions)``, so that listing the whole word list does not pay. Where the reference
has no term of a dimension, that takes the F1 of all content words, lowered by the terms that the candidate claims.
"""

import json
import re
from collections import defaultdict
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from reward_score.judge.verdict import Verdict
from reward_score.sample import CaptionPair

_WORD = re.compile(r"[^\W_]+")
_VOWELS = set("aeiou")
_STOP = frozenset(
    "a an the this that these those and or of to in on at by with for from into onto over under as is are was were be "
    "been being it its their his her which while then who during after before there here has have had "
    "using used use via".split()
)
_CATEGORIES = ("instruments", "anatomy", "actions", "procedures")


def stem(word: str) -> str:
    """Crude stem: plural, -ed, -ing and a doubled last letter removed, so that inflections of one word meet."""
    for suffix in ("ing", "ies", "ied", "es", "ed", "s", "e"):
        if word.endswith(suffix) and len(word) - len(suffix) >= 3 and not word.endswith("ss"):
            word = word[: -len(suffix)] + ("y" if suffix in ("ies", "ied") else "")
            break
    if len(word) > 3 and word[-1] == word[-2] and word[-1] not in _VOWELS and word[-1] not in "ls":
        word = word[:-1]
    return word[:-1] if len(word) > 3 and word.endswith("e") else word


def _words(text: str) -> list[str]:
    return [stem(word) for word in _WORD.findall(text.lower()) if word not in _STOP]


class Terms(NamedTuple):
    """What the rubric sees of a caption: clinical terms by category, content words, and the share of vague words."""

    instruments: frozenset[str]
    anatomy: frozenset[str]
    actions: frozenset[str]
    procedures: frozenset[str]
    content: frozenset[str]
    vague_share: float

    @property
    def named(self) -> frozenset[str]:
        return self.instruments | self.anatomy

    @property
    def done(self) -> frozenset[str]:
        return self.actions | self.procedures


class _Lexicon:
    def __init__(self) -> None:
        data = json.loads(Path(__file__).with_name("lexicon.json").read_text(encoding="utf-8"))
        self.vague = frozenset(stem(word) for word in data["vague"])
        # First word -> phrase -> its (category, term)s: "suture" is both an instrument and an action.
        self.phrases: dict[str, dict[tuple[str, ...], list[tuple[str, str]]]] = defaultdict(lambda: defaultdict(list))
        for category in _CATEGORIES:
            for term, synonyms in data[category].items():
                for phrase in (term, *synonyms):
                    words = _words(phrase)
                    self.phrases[words[0]][tuple(words)].append((category, term))
        for first, phrases in self.phrases.items():
            self.phrases[first] = dict(sorted(phrases.items(), key=lambda item: -len(item[0])))
        self.opposites: dict[str, set[str]] = defaultdict(set)
        for one, other in data["opposites"]:
            self.opposites[one].add(other)
            self.opposites[other].add(one)

    def read(self, text: str) -> Terms:
        words = _words(text)
        found: dict[str, set[str]] = {category: set() for category in _CATEGORIES}
        i = 0
        while i < len(words):
            phrases = self.phrases.get(words[i], {})
            phrase = next((one for one in phrases if tuple(words[i : i + len(one)]) == one), ())
            for category, term in phrases[phrase] if phrase else ():
                found[category].add(term)
            i += len(phrase) or 1
        vague = sum(word in self.vague for word in words) / len(words) if words else 1.0
        return Terms(*map(frozenset, found.values()), frozenset(words) - self.vague, vague)


@lru_cache(maxsize=1)
def _lexicon() -> _Lexicon:
    return _Lexicon()


# References return G times per group and again in later epochs.
@lru_cache(maxsize=8192)
def _read_reference(text: str) -> Terms:
    return _lexicon().read(text)


def _f1(candidate: frozenset[str], reference: frozenset[str], overlap: float | None = None) -> float:
    """F1 of two term sets; if the reference has none, `overlap` lowered by what the candidate claims."""
    if not reference:
        return (overlap or 0.0) / (1 + len(candidate))
    opposites = _lexicon().opposites
    contradictions = sum(not reference.isdisjoint(opposites.get(term, ())) for term in candidate - reference)
    return 2 * len(candidate & reference) / (len(candidate) + len(reference) + contradictions)


def _grade(closeness: float) -> float:
    return 1 + 4 * min(1.0, max(0.0, closeness))


class LexicalJudge:
    """The lexical rubric as a judge; see the module's text for the rules."""

    name = "lexical"

    def judge(self, pairs: Iterable[CaptionPair]) -> list[Verdict]:
        """One verdict per pair; a caption without any content word gets 1 everywhere."""
        return [self._verdict(_lexicon().read(candidate), _read_reference(reference)) for candidate, reference in pairs]

    @staticmethod
    def _verdict(candidate: Terms, reference: Terms) -> Verdict:
        overlap = _f1(candidate.content, reference.content, float(not candidate.content))
        vagueness = max(0.0, candidate.vague_share - reference.vague_share)
        return Verdict(
            terminology=_grade(_f1(candidate.named | candidate.done, reference.named | reference.done, overlap)),
            identification=_grade(_f1(candidate.named, reference.named, overlap)),
            specificity=_grade(overlap * (1 - vagueness)),
            context=_grade(_f1(candidate.procedures, reference.procedures, overlap)),
            action=_grade(_f1(candidate.actions, reference.actions, overlap)),
        )
