# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""One chat completion over HTTP, its failures sorted by what helps: waiting, fixing the setup, or nothing."""

import asyncio
import email.utils
import json
import os
import re
import time
import zlib
from types import ModuleType
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from reward_score.errors import BadOption, JudgeUnavailable
from reward_score.judge.config import JudgeConfig, check_address

#: Bytes that are read of a reply and of a failure's text; memory is not the endpoint's to fill.
MAX_REPLY, _MAX_FAILURE = 1 << 20, 1 << 14

_ADDRESS = "check OPENAI_BASE_URL (or `base_url`), the address of the API, which ends in /v1"
_REMEDIES = {
    401: "the endpoint does not accept the key: set OPENAI_API_KEY",
    402: "the account has nothing left to pay with: top it up, or set another OPENAI_API_KEY",
    403: "the key may not use this model or endpoint: check its permissions, or set another OPENAI_API_KEY",
    404: f"the endpoint does not know this model or address: check `model`, and {_ADDRESS}",
    405: f"the address takes no such request: {_ADDRESS}",
}
# What a refusal of the request is about, and the judge's option that helps. The first that fits counts.
_OPTIONS = (
    (r"context (?:length|window|size)|too many tokens|prompt is too long", None),
    (r"response_format|json_?schema|json_object|guided|structured|grammar", "structured=false"),
    (r"system['\"\s]*(?:role|message|prompt|turn)|roles? must alternate|role['\"\s:]*system", "system_role=false"),
    (r"temperature", "temperature to what the model takes, e.g. temperature=1"),
    (r"max_(?:completion_|new_|output_)?tokens", "max_tokens to what the endpoint takes, e.g. max_tokens=1024"),
)


class Transient(JudgeUnavailable):
    """A failure that may pass: no connection, time-out, overload; `retry_after` seconds if the endpoint said so."""

    def __init__(self, message: str, retry_after: float = 0.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Refused(JudgeUnavailable):
    """The endpoint will not serve this job until its setup is fixed: wrong key, model or address, no quota."""


class NoCompletion(Refused):
    """A reply with status 200 that is no chat completion."""


class Unusable(JudgeUnavailable):
    """The endpoint works, but not for this request."""


class Completion(NamedTuple):
    """What counts of a reply's body; `cut` if the model stopped at its token limit."""

    content: str | None
    refusal: str | None
    cut: bool
    input_tokens: int
    output_tokens: int


def import_openai() -> ModuleType:
    """The package `openai`, imported only when an LLM judge is used. Raises BadOption if it is not installed."""
    try:
        import aiohttp  # noqa: F401
        import openai
        import tenacity  # noqa: F401
    except ImportError as error:
        raise BadOption(f"the LLM judge needs packages ({error}): pip install 'verl-medgrpo[judge]'") from None
    return openai


class ChatClient:
    """An OpenAI-compatible endpoint, for use in one event loop. Its key is in no message that it raises or logs.

    Raises:
        BadOption: `openai` is missing, OpenAI's own endpoint is meant and no key is set, or key or address can be in no
            request.
    """

    def __init__(self, config: JudgeConfig, key_variable: str = "OPENAI_API_KEY") -> None:
        openai = import_openai()
        import httpx2

        self._openai, self.config = openai, config
        base_url = config.base_url or _environment_address()
        # A key for OpenAI must not reach a server that this run itself started.
        self._key = "" if config.backend == "local" else _environment_key(key_variable)
        if config.backend == "local" and not config.base_url:
            raise BadOption("judge backend local: verl serves no reward model here (reward.reward_model.enable=true)")
        if not self._key and base_url is None:
            raise BadOption(
                f"the judge has no key: set {key_variable} (and OPENAI_BASE_URL for another endpoint than OpenAI's), "
                "or choose the judge without a network: lexical"
            )
        limits = httpx2.Limits(max_connections=config.concurrency, max_keepalive_connections=config.concurrency)
        try:
            self._client = openai.AsyncOpenAI(
                api_key=self._key or "none",
                base_url=base_url,
                # Asker tries again, within its deadline and the job's limits.
                max_retries=0,
                timeout=config.request_timeout,
                http_client=_bounded(openai.DefaultAioHttpClient)(limits=limits),
                default_headers={"Accept-Encoding": "identity"},
            )
        except httpx2.InvalidURL as error:
            raise BadOption(f"address of the judge (base_url, OPENAI_BASE_URL): {error}") from None
        parts = urlsplit(str(self._client.base_url))
        self.address = f"{parts.scheme}://{parts.hostname}{f':{parts.port}' if parts.port else ''}{parts.path}"
        # Models that reason have another name for the limit; the first refusal tells.
        self._limit = "max_tokens"

    async def complete(self, messages: list[dict[str, Any]], extra: dict[str, Any]) -> Completion:
        """One reply, by one request, or by two where the endpoint wants `max_completion_tokens`.

        Raises Transient, Refused or Unusable.
        """
        limit = self._limit
        try:
            return await self._complete(messages, limit, extra)
        except Refused as error:
            if limit == "max_completion_tokens" or "max_completion_tokens" not in str(error):
                raise
        self._limit = "max_completion_tokens"
        return await self._complete(messages, self._limit, extra)

    async def _complete(self, messages: list[dict[str, Any]], limit: str, extra: dict[str, Any]) -> Completion:
        config = self.config
        try:
            request = self._client.chat.completions.with_raw_response.create(
                model=config.model,
                messages=messages,
                temperature=config.temperature,
                **{limit: config.max_tokens},
                **extra,
            )
            reply = await asyncio.wait_for(request, config.request_timeout)
        except self._openai.APIStatusError as error:
            raise self._sorted(error) from None
        except (TimeoutError, asyncio.TimeoutError):
            raise Transient(f"{self.address}: no reply within {config.request_timeout:g} s") from None
        except Exception as error:
            # All that a transport can raise before and inside a body. Its layers rename a refused
            # connection to a time-out, so the first cause is what counts.
            while error.__cause__ is not None:
                error = error.__cause__
            if isinstance(error, Unusable):
                raise Unusable(f"{self.address}: {error}") from None
            raise Transient(self._clean(f"{self.address}: {type(error).__name__}: {error}")) from None
        return self._read(reply.content)

    def _read(self, body: bytes) -> Completion:
        try:
            # Bytes, of which json knows the encoding, marked or not.
            reply = json.loads(body)
            choice = reply["choices"][0]
            message = choice["message"]
            content, refusal = _text(message.get("content")), message.get("refusal")
        except (ValueError, RecursionError, LookupError, TypeError, AttributeError):
            shown = self._clean(body[:200].decode("utf-8", "replace"))
            raise NoCompletion(f"{self.address}: the reply is no chat completion: {shown!r}; {_ADDRESS}") from None
        usage, cut = reply.get("usage"), choice.get("finish_reason") == "length"
        return Completion(content, refusal, cut, _count(usage, "prompt_tokens"), _count(usage, "completion_tokens"))

    def _sorted(self, error: Any) -> JudgeUnavailable:
        status, headers = error.status_code, error.response.headers
        said = self._clean(" ".join(error.response.text.split()))
        text = f"{self.address}: HTTP {status}: {said[:300]}"
        option = next((option for pattern, option in _OPTIONS if re.search(pattern, said, re.IGNORECASE)), None)
        if option:
            text += f"; set the judge's option {option}"
        if 300 <= status < 400:
            target = urlsplit(headers.get("location", "")).hostname or "another address"
            return Refused(f"{text}; it points to {target}, which is not followed: {_ADDRESS}")
        if status == 429 and getattr(error, "code", None) == "insufficient_quota":
            return Refused(f"{text}; the account has no quota left")
        if status in (408, 409, 425, 429) or status >= 500:
            return Transient(text, _retry_after(headers))
        if status in _REMEDIES:
            return Refused(f"{text}; {_REMEDIES[status]}; model {self.config.model!r}")
        return Refused(text) if option else Unusable(text)

    def _clean(self, text: str) -> str:
        # Endpoints like to quote the key that they refuse.
        return text.replace(self._key, "[key]") if self._key else text

    async def close(self) -> None:
        await self._client.close()


def _bounded(client: type) -> type:
    """An HTTP client that reads no more of any reply than may be needed, and goes where it is told alone."""
    import httpx2

    class Bounded(client):
        async def send(self, request: Any, **options: Any) -> Any:
            response = await super().send(request, **{**options, "stream": True, "follow_redirects": False})
            try:
                body = await _read_body(response)
            finally:
                await response.aclose()
            # The body is as it was before any encoding and cutting.
            dropped = ("content-encoding", "content-length", "transfer-encoding")
            headers = [(name, value) for name, value in response.headers.items() if name not in dropped]
            return httpx2.Response(response.status_code, headers=headers, content=body, request=request)

    return Bounded


async def _read_body(response: Any) -> bytes:
    """A reply's body; of a failure the first bytes. Raises Unusable if it is too long, or in another encoding."""
    limit = MAX_REPLY if response.is_success else _MAX_FAILURE
    encoding = response.headers.get("content-encoding", "").strip().lower()
    unpack = zlib.decompressobj(wbits=47) if encoding in ("gzip", "x-gzip", "deflate") else None
    body = bytearray()
    try:
        if unpack is None and encoding not in ("", "identity"):
            raise Unusable(f"a reply in the encoding {encoding[:40]!r}, which was not asked for")
        async for chunk in response.aiter_raw():
            body += unpack.decompress(chunk, limit + 1 - len(body)) if unpack else chunk
            if len(body) > limit:
                raise Unusable(f"a reply of more than {MAX_REPLY >> 20} MiB")
    except (Unusable, zlib.error) as error:
        if response.is_success:
            raise Unusable(str(error)) from None
    return bytes(body[:limit])


def _text(content: Any) -> str | None:
    """A message's text; some endpoints give it in parts, of which those of another type are reasoning."""
    if isinstance(content, list):
        content = "".join(part["text"] for part in content if part["type"] == "text")
    if content is not None and not isinstance(content, str):
        raise TypeError
    return content


def _count(usage: Any, name: str) -> int:
    """A figure of `usage`, which is for the log alone: 0 where it is none."""
    value = usage.get(name) if isinstance(usage, dict) else None
    return value if type(value) is int and 0 <= value < 1 << 32 else 0


def _environment_address() -> str | None:
    address = os.environ.get("OPENAI_BASE_URL", "").strip()
    try:
        return check_address(address) if address else None
    except ValueError as error:
        raise BadOption(f"OPENAI_BASE_URL {error}") from None


def _environment_key(variable: str) -> str:
    # A file's last line break is no part of the key in it; an endpoint that quotes the key would quote it without.
    key = os.environ.get(variable, "").strip()
    for i, sign in enumerate(key, 1):
        if not (sign.isascii() and sign.isprintable()):
            raise BadOption(
                f"{variable}: its character {i} of {len(key)} can be in no HTTP request (a line break, or none of "
                "ASCII): set it again, the key alone"
            )
    return key


def _retry_after(headers: Any) -> float:
    """Seconds that the endpoint asks to wait, as a number or until a date; 0 if it does not say or says nonsense."""
    for name, scale in (("retry-after-ms", 1e-3), ("retry-after", 1.0)):
        text = headers.get(name, "")
        try:
            date = email.utils.parsedate_tz(text)
            seconds = email.utils.mktime_tz(date) - time.time() if date else float(text) * scale
        except (ValueError, TypeError, OverflowError):
            continue
        if 0 <= seconds < float("inf"):
            return seconds
    return 0.0
