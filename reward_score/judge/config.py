# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Options of an LLM judge; an unknown one is an error at the start. Keys come from the environment alone."""

import math
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from reward_score.judge.prompt import Rubric

Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, le=1)]
Price = Annotated[float, Field(ge=0, allow_inf_nan=False)]

DEFAULT_CACHE = "~/.cache/medgrpo/judge.sqlite"
#: USD per million tokens in and out, of models whose price is known without an option.
PRICES = {"gpt-4.1": (2.0, 8.0)}


def complaints(error: ValidationError | TypeError) -> str:
    """What is wrong with options, without their values: somebody's key may be among them."""
    if isinstance(error, TypeError):
        return str(error)
    found = error.errors(include_input=False, include_url=False)
    return "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg'].removeprefix('Value error, ')}" for one in found)


def check_address(value: str) -> str:
    """The address of an endpoint. Raises ValueError if it is none or holds a secret, without quoting it."""
    try:
        parts = urlsplit(value)
        named = parts.scheme in ("http", "https") and parts.hostname and (parts.port or True)
    except ValueError:
        # urlsplit's own message quotes what may be a password.
        named = False
    if not named or not value.isprintable() or " " in value:
        raise ValueError("must begin with http:// or https://, name a host, and hold no spaces: http://host:8000/v1")
    # The configuration is printed and kept with the run.
    if "@" in parts.netloc or parts.query:
        raise ValueError("must hold no user name, password or query; the key comes from OPENAI_API_KEY")
    return value


class JudgeConfig(BaseModel):
    """Options of `reward_score.judge.LLMJudge`.

    Args:
        backend: ``openai``, any endpoint that speaks OpenAI's chat completions (address from ``OPENAI_BASE_URL``, key
            from ``OPENAI_API_KEY``); or ``local``, the model that verl serves for this run.
        model: the endpoint's name of the model; the paper's judge is ``gpt-4.1``.
        base_url: address instead of ``OPENAI_BASE_URL``, ending in ``/v1``; must hold no user name, password or query.
        rubric: ``comparative`` (the training judge) or ``absolute`` (the leaderboard's).
        system_role: the model's chat template has a turn for the system; off for those that refuse it, as Mistral's
            does. The instructions then open the user's turn.
        temperature, max_tokens: of the request.
        structured: ask the endpoint to enforce the reply's JSON schema; off for servers that refuse
            ``response_format``. The reply is checked either way.
        deadline: seconds from a verdict's first request to its end, retries and their waiting included.
        request_timeout: seconds for one HTTP request.
        queue_limit: seconds that a verdict may wait for the limiter before its first request.
        backoff, max_backoff: seconds before the first retry, doubling up to the maximum, with jitter; a longer
            Retry-After is honoured.
        concurrency, rpm, tpm: requests in flight, requests and tokens per minute, of the whole job; None for no limit.
        breaker_failures, breaker_cooldown: after so many verdicts in a row that failed for the service's sake, others
            fail at once for so many seconds; then a single one tries.
        abort_share, abort_steps: training stops when more than this share of a step's verdicts failed, in so many
            steps in a row.
        cache: file of the persistent cache, on a disk of the node; None for none.
        price_input, price_output: USD per million tokens, for the log and the estimate; one without the other counts
            the other as 0. Without both the price is that of `model` in `PRICES`, or unknown.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    backend: Literal["openai", "local"] = "openai"
    model: Annotated[str, Field(min_length=1)] = "gpt-4.1"
    base_url: str | None = None
    rubric: Rubric = "comparative"
    system_role: bool = True
    temperature: Annotated[float, Field(ge=0, le=2)] = 0.0
    max_tokens: Count = 128
    structured: bool = True
    deadline: Seconds = 120.0
    request_timeout: Seconds = 30.0
    queue_limit: Seconds = 900.0
    backoff: Seconds = 1.0
    max_backoff: Seconds = 30.0
    concurrency: Count = 64
    rpm: Count | None = None
    tpm: Count | None = None
    breaker_failures: Count = 32
    breaker_cooldown: Seconds = 30.0
    abort_share: Share = 0.2
    abort_steps: Count = 3
    cache: str | None = DEFAULT_CACHE
    price_input: Price | None = None
    price_output: Price | None = None

    @field_validator("base_url")
    @classmethod
    def _plain_address(cls, value: str | None) -> str | None:
        return value if value is None else check_address(value)

    @property
    def name(self) -> str:
        """Kind and model; the leaderboard names its judge metrics after the kind, ``llm`` for its own rubric."""
        return f"{'llm' if self.rubric == 'absolute' else 'comparative'}:{self.model}"

    def cost(self, input_tokens: float, output_tokens: float) -> float:
        """USD for so many tokens; NaN if the model's price is unknown."""
        prices = (self.price_input, self.price_output)
        if prices == (None, None):
            prices = PRICES.get(self.model, (math.nan, math.nan))
        return (input_tokens * (prices[0] or 0.0) + output_tokens * (prices[1] or 0.0)) / 1e6
