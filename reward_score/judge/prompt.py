# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""What an LLM judge is asked, and how its reply is read.

Three rubrics with the same five dimensions: ``comparative``, the training judge; ``absolute``, the leaderboard's; and
``reasoning``, an expert's view of the reasoning to an answer. The captions travel as the two strings of one JSON
object, which no text in them can leave; and the verdict is never searched in a text that might quote the candidate.
"""

import hashlib
import json
import re
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import ConfigDict, Field, ValidationError, create_model

from reward_score.judge.verdict import DIMENSIONS, Verdict
from reward_score.sample import CaptionPair

Rubric = Literal["comparative", "absolute", "reasoning"]

_RUBRICS = Path(__file__).with_name("rubrics")
# The rule about the captions ends all of them.
_RULE = (_RUBRICS / "data_rule.txt").read_text(encoding="utf-8").removesuffix("\n")
_SYSTEM = {rubric: (_RUBRICS / f"{rubric}.txt").read_text(encoding="utf-8") + _RULE for rubric in get_args(Rubric)}

_Score = Annotated[int, Field(strict=True, ge=1, le=5)]
#: The only reply that counts: five whole numbers from 1 to 5.
Reply = create_model("Reply", __config__=ConfigDict(extra="forbid"), **dict.fromkeys(DIMENSIONS, (_Score, ...)))

RESPONSE_FORMAT = {
    "type": "json_schema",
    "json_schema": {
        "name": "verdict",
        "strict": True,
        "schema": {
            "type": "object",
            "properties": {name: {"type": "integer", "enum": [1, 2, 3, 4, 5]} for name in DIMENSIONS},
            "required": list(DIMENSIONS),
            "additionalProperties": False,
        },
    },
}

# Stands with the instructions: templates that want user and assistant to alternate refuse a second user's turn.
_AGAIN = (
    "\n\nAn earlier reply was not usable. Reply with one JSON object with exactly the keys "
    + ", ".join(DIMENSIONS)
    + ", each a whole number from 1 to 5, and nothing else."
)


# Where the reasoning ends that a model puts before its verdict, if its server leaves it in the text.
_REASONING_ENDS = ("</think>", "</thinking>", "</thought>", "</reasoning>", "[/THINK]", "<|channel|>final<|message|>")
_FENCE = re.compile(r"```\w*\s*(.*?)\s*```", re.DOTALL)
_NO_CAPTIONS = CaptionPair("", "")


class BadReply(ValueError):
    """The judge's reply is no verdict; the message says why, without quoting captions."""


def version(rubric: Rubric, system_role: bool = True) -> str:
    """Name of the exact wording, e.g. ``comparative-1f0c9a3b``: it changes with every character of the prompt."""
    text = json.dumps([messages(CaptionPair("", ""), rubric, system_role, again=True), RESPONSE_FORMAT])
    return f"{rubric}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def messages(pair: CaptionPair, rubric: Rubric, system_role: bool = True, again: bool = False) -> list[dict[str, str]]:
    """Chat messages that ask for one verdict, `again` after a reply that could not be used: instructions, then data."""
    instructions = _SYSTEM[rubric] + (_AGAIN if again else "")
    data = json.dumps({"reference": pair.reference, "candidate": pair.candidate}, ensure_ascii=False)
    # A damaged text may hold lone surrogates, which no request can carry.
    data = data.encode("utf-8", "replace").decode("utf-8")
    if not system_role:
        return [{"role": "user", "content": f"{instructions}\n\n{data}"}]
    return [{"role": "system", "content": instructions}, {"role": "user", "content": data}]


def read_reply(
    content: str | None, refusal: str | None = None, cut: bool = False, pair: CaptionPair = _NO_CAPTIONS
) -> Verdict:
    """The verdict in a judge's reply about `pair`; `cut` if the model stopped at its token limit. Raises BadReply.

    Reasoning before the verdict is left out, unless a caption holds its end mark: a model that repeats such a caption
    would seem to have given the verdict in it.
    """
    if refusal:
        raise BadReply("the judge refused to answer")
    text = (content or "").strip()
    for mark in _REASONING_ENDS:
        if not cut and not any(mark in caption for caption in pair):
            text = text.rpartition(mark)[2].strip()
    # Open models without structured output wrap JSON in a code fence, which carries no content of its own.
    if fenced := _FENCE.fullmatch(text):
        text = fenced[1]
    try:
        return Verdict(**Reply.model_validate(json.loads(text, object_pairs_hook=_distinct)).model_dump())
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(map(str, first["loc"]))[:40]
        reason = f"the reply is no verdict ({place + ': ' if place else ''}{first['msg'][:80]})"
    except (ValueError, RecursionError) as error:
        reason = f"the reply is no verdict ({str(error)[:80]})" if text else "the reply is empty"
    if cut:
        reason = (
            "the model stopped at its token limit before its verdict was complete: raise the judge's option max_tokens "
            "(a model that reasons needs some thousands, or its reasoning switched off)"
        )
    raise BadReply(reason)


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(content := dict(pairs)) < len(pairs):
        raise ValueError("a key occurs twice")
    return content
