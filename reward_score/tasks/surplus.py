# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""What an answer says beyond what was asked: the one rule by which rambling costs in every task.

``concise = R / (R + surplus)``, in characters, where R is the length of the reference answer. Surplus is text after the
answer, parts said twice, parts nobody asked for, runs of spaces. `Scorer` multiplies raw *and* format by it: a raw of 0
cannot fall, and weak answers lack the official form anyway.
"""

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import pairwise

from reward_score.tasks.geometry import merge_spans

Range = tuple[int, int]

#: Characters before the answer that cost nothing: half a sentence, as in "The action takes place at".
LEAD_IN = 60
#: Shortest R, so that a full stop after a label of five letters costs little.
_SHORTEST = 32
#: Words in a row that no text says twice by accident.
RUN = 5

# What may follow a part: a unit, marks, a conjunction.
_LINK = re.compile(r"\s{0,2}(?:seconds?|secs?|s\b)?\W{0,3}(?:(?:and|or)\b\s?)?", re.IGNORECASE)
# A decimal, a span or a ratio is one word, up to a length: without it "1-2-3-..." would be one that repeats nothing.
_WORD = re.compile(r"\d+(?:[.,:/-]\d+){1,3}|[^\W_]+")
_SENTENCE_END = re.compile(r"[.!?;](?=\s|$)|[\n。！？；]")
# Marks between two words, as in ").  "; more is a run.
_MARKS = 3
_LONG_WORD = 24
# Numbers and spaces within a part that are longer than any answer needs.
_PADDING = re.compile(r"\d{20,}|\s{3,}")


def concise(surplus: float, reference: str) -> float:
    """Factor in (0, 1] of an answer with so many surplus characters; `reference` is the reference answer's text."""
    size = max(_SHORTEST, len(reference.strip()))
    return size / (size + surplus)


def around(answer: str, parts: Iterable[Range]) -> int:
    """Characters of an answer outside its useful parts, but for a short lead-in and what links the parts; and of
    endless numbers and spaces inside them. A longer answer never has less.
    """
    merged = merge_spans(parts)
    if not merged:
        return max(0, len(answer) - LEAD_IN)
    surplus = max(0, merged[0][0] - LEAD_IN)
    for (_, end), (start, _) in pairwise([*merged, (len(answer), len(answer))]):
        surplus += start - min(start, _LINK.match(answer, end).end())
    return surplus + sum(len(found[0]) for part in merged for found in _PADDING.finditer(answer, *part))


def distinct(text: str, reference: str = "") -> tuple[str, int]:
    """A text without what it says again, and how many characters that and runs of marks or spaces take.

    Said again are: five words in a row that stood before; a whole sentence that did, however short; up to four words
    repeated at once ("the duct the duct"); the periods of a long word without spaces. All numbers are alike, or a
    counter would hide a repetition. As often as the reference says them, words may be said.
    """
    if text.strip() == reference.strip():
        return text.strip(), 0
    found = list(_WORD.finditer(text))
    words = [_spelling(match[0]) for match in found]
    again = _said_again(words, _sentence_sizes(text, found), _counts(reference))
    following = [*(match.start() for match in found), len(text)][1:]
    kept, surplus, end = [], 0, 0
    for match, said, start_of_next in zip(found, again, following, strict=True):
        kept.append(text[end : match.start()])
        surplus += max(0, len(kept[-1]) - _MARKS)
        if said:
            # With the marks that follow.
            end = start_of_next
            surplus += end - match.start()
        else:
            end = match.end()
            kept.append(match[0][: _period(match[0])])
            surplus += len(match[0]) - len(kept[-1])
    kept.append(text[end:])
    return "".join(kept).strip(), surplus + max(0, len(kept[-1]) - _MARKS)


def _sentence_sizes(text: str, found: Sequence[re.Match]) -> list[int]:
    """For each word how many words the sentence has that ends with it; 0 for words within a sentence."""
    stops = [match.start() for match in _SENTENCE_END.finditer(text)]
    sizes, first = [], 0
    for count, match in enumerate(found, 1):
        ends = count == len(found) or bisect_left(stops, match.end()) < bisect_left(stops, found[count].start())
        sizes.append(count - first if ends else 0)
        first = count if ends else first
    return sizes


def _spelling(word: str) -> str:
    return word.casefold() if any(map(str.isalpha, word)) else "#"


@lru_cache(maxsize=4096)
def _counts(reference: str) -> Counter[str]:
    """How often each run of up to nine words occurs."""
    words = [_spelling(word) for word in _WORD.findall(reference)]
    return Counter(" ".join(words[i : i + n]) for n in range(1, 2 * RUN) for i in range(len(words) - n + 1))


def _said_again(words: list[str], sentences: list[int], allowed: Counter[str]) -> list[bool]:
    """For each word whether it is part of something that was said before."""
    again = [False] * len(words)
    seen: Counter[str] = Counter()
    short_sentences: set[str] = set()
    # Runs of other sizes are never looked up.
    sizes = {RUN, *(size for size in sentences if 0 < size < RUN)}

    def mark(end: int, size: int) -> None:
        again[end - size : end] = [True] * size

    for end, sentence in enumerate(sentences, 1):
        for n in range(1, min(RUN, end // 2 + 1)):
            # The first comparison spares nearly all words the others.
            if words[end - 1] == words[end - 1 - n] and words[end - n : end] == words[end - 2 * n : end - n]:
                if " ".join(words[end - 2 * n : end]) not in allowed:
                    mark(end, n)
        for n in sizes:
            if n > end:
                continue
            run = " ".join(words[end - n : end])
            often = seen[run] >= max(1, allowed[run])
            # All of a short sentence; or, where the stop before it is missing, an earlier one at its end.
            whole = sentence and n < RUN and (run in short_sentences or (n == sentence and often))
            if whole or (n == RUN and often):
                mark(end, n)
            if n == sentence and n > 1:
                short_sentences.add(run)
            seen[run] += 1
    return again


def _period(word: str) -> int:
    """Length of the shortest piece that a long word repeats at least twice; other words' own length."""
    periods = range(1, len(word) // 2 + 1) if len(word) >= _LONG_WORD else ()
    return next((period for period in periods if word.startswith(word[period:])), len(word))
