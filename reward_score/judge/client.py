# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""One chat completion over HTTP, its failures sorted by what helps: waiting, fixing the setup, or nothing."""

import asyncio
import email.utils
import os
import time
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

from pydantic import AliasPath, BaseModel, Field, ValidationError

from reward_score.errors import BadOption, JudgeUnavailable
from reward_score.judge.config import JudgeConfig, check_address

#: Bytes of a reply; a verdict has some hundreds, and memory is not the endpoint's to fill.
MAX_REPLY = 1 << 20

_REMEDIES = {
    401: "the endpoint does not accept the key: set OPENAI_API_KEY",
    403: "the key may not use this model or endpoint: check its permissions, or set another OPENAI_API_KEY",
    404: "the endpoint does not know this model or address: check `model`, and OPENAI_BASE_URL (ends in /v1)",
}


class Transient(JudgeUnavailable):
    """A failure that may pass: no connection, time-out, overload; `retry_after` seconds if the endpoint said so."""

    def __init__(self, message: str, retry_after: float = 0.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Refused(JudgeUnavailable):
    """The endpoint will not serve this job until its setup is fixed: wrong key, model or address, no quota."""


class Unusable(JudgeUnavailable):
    """The endpoint works, but not for this request."""


def _message(name: str) -> Any:
    return Field(None, validation_alias=AliasPath("choices", 0, "message", name))


def _usage(name: str) -> Any:
    return Field(0, validation_alias=AliasPath("usage", name))


class Completion(BaseModel):
    """What counts of a reply's body; content None if it was no chat completion."""

    content: str | None = _message("content")
    refusal: str | None = _message("refusal")
    input_tokens: int = _usage("prompt_tokens")
    output_tokens: int = _usage("completion_tokens")


def import_openai() -> ModuleType:
    """The package `openai`, which is imported only when an LLM judge is used.

    Raises:
        BadOption: it, or what it needs here, is not installed.
    """
    try:
        import aiohttp  # noqa: F401
        import openai
        import tenacity  # noqa: F401
    except ImportError as error:
        raise BadOption(f"the LLM judge needs packages ({error}): pip install 'verl-medgrpo[judge]'") from None
    return openai


class ChatClient:
    """An OpenAI-compatible endpoint; for use in one event loop. Its key is in no message that it raises or logs.

    Raises:
        BadOption: the package `openai` is missing, OpenAI's own endpoint is meant and no key is set, or key or address
            can be in no request, which no waiting would fix.
    """

    def __init__(self, config: JudgeConfig) -> None:
        openai = import_openai()
        import httpx2

        self._openai, self.config = openai, config
        base_url = config.base_url or _environment_address()
        # A key for OpenAI must not reach a server that this run itself started.
        self._key = "" if config.backend == "local" else _environment_key()
        if config.backend == "local" and not config.base_url:
            raise BadOption("judge backend local: verl serves no reward model here (reward.reward_model.enable=true)")
        if not self._key and base_url is None:
            raise BadOption(
                "the judge has no key: set OPENAI_API_KEY (and OPENAI_BASE_URL for another endpoint than OpenAI's), "
                "or choose the judge without a network: lexical"
            )
        limits = httpx2.Limits(max_connections=config.concurrency, max_keepalive_connections=config.concurrency)
        try:
            self._client = openai.AsyncOpenAI(
                api_key=self._key or "none",
                base_url=base_url,
                # LLMJudge tries again, within its deadline and the job's limits.
                max_retries=0,
                timeout=config.request_timeout,
                http_client=openai.DefaultAioHttpClient(limits=limits),
            )
        except httpx2.InvalidURL as error:
            raise BadOption(f"address of the judge (base_url, OPENAI_BASE_URL): {error}") from None
        parts = urlsplit(str(self._client.base_url))
        self.address = f"{parts.scheme}://{parts.hostname}{f':{parts.port}' if parts.port else ''}{parts.path}"

    async def complete(self, messages: list[dict[str, str]], extra: dict[str, Any]) -> Completion:
        """One request, one reply.

        Raises:
            Transient, Refused, Unusable: there is no reply.
        """
        seconds = self.config.request_timeout
        try:
            body = await asyncio.wait_for(self._read_body(messages, extra), seconds)
        except self._openai.APIStatusError as error:
            raise self._sorted(error) from None
        except JudgeUnavailable:
            raise
        except (TimeoutError, asyncio.TimeoutError):
            raise Transient(f"{self.address}: no reply within {seconds:g} s") from None
        except Exception as error:
            # All that a transport can raise before and inside a body. Its layers rename a refused
            # connection to a time-out, so the first cause is what counts.
            while error.__cause__ is not None:
                error = error.__cause__
            raise Transient(self._clean(f"{self.address}: {type(error).__name__}: {error}")) from None
        try:
            return Completion.model_validate_json(body)
        except ValidationError:
            return Completion()

    async def _read_body(self, messages: list[dict[str, str]], extra: dict[str, Any]) -> bytes:
        config, body = self.config, bytearray()
        # Streamed, so that an endless body can be cut off.
        async with self._client.chat.completions.with_streaming_response.create(
            model=config.model,
            messages=messages,
            temperature=config.temperature,
            max_tokens=config.max_tokens,
            **extra,
        ) as response:
            async for chunk in response.iter_bytes():
                body += chunk
                if len(body) > MAX_REPLY:
                    raise Unusable(f"{self.address}: a reply of more than {MAX_REPLY >> 20} MiB")
        return bytes(body)

    def _sorted(self, error: Any) -> JudgeUnavailable:
        status = error.status_code
        text = f"{self.address}: HTTP {status}: {self._clean(str(error))[:300]}"
        if status == 429 and getattr(error, "code", None) == "insufficient_quota":
            return Refused(f"{text}. The account has no quota left")
        if status in (408, 409, 425, 429) or status >= 500:
            return Transient(text, _retry_after(error.response.headers))
        if status in _REMEDIES:
            return Refused(f"{text}. {_REMEDIES[status]}; model {self.config.model!r}")
        return Unusable(text)

    def _clean(self, text: str) -> str:
        # Endpoints like to quote the key that they refuse.
        return text.replace(self._key, "[key]") if self._key else text

    async def close(self) -> None:
        await self._client.close()


def _environment_address() -> str | None:
    address = os.environ.get("OPENAI_BASE_URL", "").strip()
    try:
        return check_address(address) if address else None
    except ValueError as error:
        raise BadOption(f"OPENAI_BASE_URL {error}") from None


def _environment_key() -> str:
    # A file's last line break is no part of the key in it; an endpoint that quotes the key would quote it without.
    key = os.environ.get("OPENAI_API_KEY", "").strip()
    for i, sign in enumerate(key, 1):
        if not (sign.isascii() and sign.isprintable()):
            raise BadOption(
                f"OPENAI_API_KEY: its character {i} of {len(key)} can be in no HTTP request (a line break, or none of "
                "ASCII): set it again, the key alone"
            )
    return key


def _retry_after(headers: Any) -> float:
    """Seconds that the endpoint asks to wait, 0 if it does not say or says nonsense."""
    for name, scale in (("retry-after-ms", 1e-3), ("retry-after", 1.0)):
        text = headers.get(name, "")
        try:
            seconds = float(text) * scale
        except ValueError:
            date = email.utils.parsedate_tz(text)
            seconds = email.utils.mktime_tz(date) - time.time() if date else -1.0
        if 0 <= seconds < float("inf"):
            return seconds
    return 0.0
