# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""MCQ, multiple choice: which letter?

Accuracy, strict: Med-R1's reward to the letter. The first pair of answer tags on one line, or without such tags the
whole answer, holds exactly the right capital letter. Lenient, for evaluation: also "C) CT", "(c)", a formula's box,
"the answer is C", or the text of exactly one option; an answer that marks several letters has chosen none.
"""

import json
import re
from functools import lru_cache
from string import ascii_uppercase

from reward_score.errors import BadGroundTruth
from reward_score.sample import Rating, Sample
from reward_score.tasks import answer_tags
from reward_score.tasks.open_answer import one_form
from reward_score.tasks.vqa_reward import DEFAULT, VQAOptions, gold, rate_tagged

COMPONENTS = ()

_LETTER = re.compile(r"[A-Z]")
_EMPHASIS = re.compile(r"[*`]")
# What formulas and vision models put around an answer: its content is what counts.
_COMMAND = re.compile(r"\\([A-Za-z]{2,9})\s{0,3}\{([^{}]*)\}")
_BOX = re.compile(r"<\|(?:begin|end)_of_box\|>|\$|\\(?=[()\[\]])")
_WRAPPED = re.compile(r"(?<!\w)[\[{<\"'“‘«【「_]{1,3}\s{0,3}([A-Za-z])[.)]?\s{0,3}[\]}>\"'”’»】」_]{1,3}(?!\w)")
_BULLET = re.compile(r"[\s#>•-]*")
_LEADING = re.compile(r"\(?([A-Za-z])(?:$|\)|[!。]|\s{1,3}-\s|[.:](?:\s|$|(?=[A-Za-z])))")
# A letter that stands as an item: at the start, after a separator or a conjunction, and followed by ")", "." or ":", or
# by the next separator, conjunction or the end. Or one of a pair: "both A and C".
_MARKED = re.compile(
    r"(?:^|[,;:.\n/&]\s{0,3}|\b(?:or|and)\s+)\(?"
    r"(?:[A-Za-z](?=\))|[A-Z](?=[.:](?:\s|$|[A-Za-z])|\s{0,3}(?:$|[,;/&\n]|\b(?:or|and)\b)))"
    r"|\b[A-Z](?=\)?\s{0,3}(?:[,/&]|\b(?:or|and)\b)\s{0,3}\(?[A-Z]\b)"
)
# "A", "I" and small letters may be words: "the answer is a scan".
_CHOSEN = r"\(?([B-HJ-Z]\b(?!-)|[A-Za-z]\b(?!-)(?!\s(?!because\b|as\b|since\b|due\b|or\b|and\b)[A-Za-z]))"
_NAMED = r"(?i:answer|choice|option|letter)"
_STATED = re.compile(
    rf"\b{_NAMED}[\"']?\s{{0,3}}(?:(?i:is|(?:would|should|must) be)\b\s{{0,3}}[:=]?|[:=→]|->?\s)\s{{0,3}}"
    rf"(?:(?i:(?:the )?(?:option|choice|letter)):?\s{{1,3}})?{_CHOSEN}"
    rf"|\b{_NAMED}\s{{1,3}}\(?([A-Za-z])\b(?!-)(?!\s[A-Za-z])"
    rf"|\b(?i:choose|select|pick|go with|it(?:'s| is))\s{{1,3}}(?:{_NAMED}\s{{1,3}})?{_CHOSEN}"
    rf"|(?:^|[.,;:\n]\s{{0,3}}|\b{_NAMED}\s{{1,3}})"
    rf"\(?([A-Z])\)?\s{{1,3}}is\s{{1,3}}(?:the\s)?(?i:correct|right|best)\b"
)
_DENIED = "".join(rf"(?<!\b{words} )" for words in ("no", "not", "not a", "not an", "not the"))
_MANY = 26


@lru_cache(maxsize=4096)
def read_options(text: str) -> tuple[str, ...]:
    """Option texts from the row's JSON list; () if there is none."""
    if not text:
        return ()
    try:
        options = json.loads(text)
    except ValueError:
        options = None
    if not isinstance(options, list) or len(options) > _MANY or not all(isinstance(one, str) for one in options):
        raise BadGroundTruth(f"extra_info['options'] is no JSON list of texts: {text[:80]!r}")
    return tuple(options)


def lenient(text: str, options: tuple[str, ...] = ()) -> str | None:
    """The letter that a reader of good will takes from an answer, in capitals; None if there is none, or several."""
    texts = [_bare(option) for option in options]
    read = {_read(answer, texts) for answer in answer_tags.offered(one_form(text))}
    return read.pop() if len(read) == 1 else None


def _undressed(text: str) -> str:
    """A text without emphasis and formulas; a letter within marks of any kind stands in parentheses."""
    text = _BOX.sub(lambda found: "" if found[0] == "\\" else " ", _EMPHASIS.sub("", text))
    # Twice, for a command within a box.
    for _ in range(2):
        text = _COMMAND.sub(_content, text)
    return _WRAPPED.sub(r"(\1)", text).strip()


def _content(command: re.Match) -> str:
    content = command[2].strip(" ()")
    # On a line of its own, so that two boxes are two answers.
    return f"\n({content})\n" if command[1] == "boxed" and len(content) == 1 else command[2]


def _bare(text: str) -> str:
    return _undressed(one_form(text)).rstrip(".").lower()


def _read(answer: str, texts: list[str]) -> str | None:
    """The letter that one answer means, given the options' bare texts."""
    answer = _undressed(answer)
    known = set(ascii_uppercase[: len(texts) or _MANY])
    leading = _LEADING.match(answer, _BULLET.match(answer).end())
    letter = leading[1].upper() if leading else None
    place = ord(letter) - ord("A") if letter else _MANY
    # Before marks are counted, since an option's text may hold what looks like one: "B. C. difficile".
    if place < len(texts) and _bare(answer[leading.end() :]) == texts[place]:
        return letter
    if _bare(answer) in texts and len(answer) > 1:
        return chr(ord("A") + texts.index(_bare(answer)))
    marked = {letter} - {None}
    if stated := _STATED.search(answer):
        # What comes before the statement weighs the options.
        answer = answer[stated.start() :]
        marked = {letter.upper() for found in _STATED.findall(answer) for letter in found if letter}
        # What comes after it explains.
        answer = answer.partition("\n\n")[0]
    marked |= {mark[-1].upper() for mark in _MARKED.findall(answer)}
    if marked & known:
        return marked.pop() if len(marked) == 1 else None
    named = {i: text for i, text in enumerate(texts) if text and _named(text, answer.lower())}
    # "CT" inside "CT angiography" is not named by itself.
    named = {i: one for i, one in named.items() if not any(one != other and one in other for other in named.values())}
    return chr(ord("A") + next(iter(named))) if len(named) == 1 else None


def _named(option: str, answer: str) -> bool:
    """Whether an option's text stands in an answer by itself: not denied, nor within a word or a figure (">50%")."""
    return re.search(rf"{_DENIED}(?<![\w<>≤≥+-])(?<!\d[.,]){re.escape(option)}(?!\w|[.,]\d)", answer) is not None


def rate(sample: Sample, fallback: float, options: VQAOptions = DEFAULT) -> Rating:
    """Reward parts of one answer; `fallback` is for other tasks.

    Example:
        >>> from reward_score import make_sample
        >>> rate(make_sample("omnimedvqa/CT/mcq", "The answer is C.", "C", None), 0.5).parts
        {'accuracy': 0.0, 'accuracy_lenient': 1.0, 'tags': 0.0}
    """
    letter, texts = gold(sample), read_options(sample.options)
    if not _LETTER.fullmatch(letter) or (texts and ord(letter) - ord("A") >= len(texts)):
        raise BadGroundTruth(f"the reference {letter!r} is not the letter of one of {len(texts) or _MANY} options")
    right = answer_tags.unwrapped(sample.answer) == letter
    read = lenient(sample.answer, texts)
    readable = right or read is not None or answer_tags.answer_word(sample.answer) is not None
    return rate_tagged(sample, options, right, read == letter, readable)
