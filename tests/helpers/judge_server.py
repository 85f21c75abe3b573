# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""A real HTTP server that speaks OpenAI's chat completions, with scripted faults.

In a test: ``with JudgeServer() as server: server.script = [status(429), verdict(4)]``. On its own, for benchmarks and
trainings: ``python tests/helpers/judge_server.py --latency 0.5 [--port N]`` prints its port.
"""

import argparse
import asyncio
import json
import logging
import threading
import time
from collections.abc import Awaitable, Callable

from aiohttp import web

# Clients that hang up are part of the plot.
logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)
DIMENSIONS = ("terminology", "identification", "specificity", "context", "action")
Reaction = Callable[[web.Request], Awaitable[web.StreamResponse]]


def completion(content, refusal=None, finish_reason="stop", usage=True):
    message = {"role": "assistant", "content": content, "refusal": refusal}
    choice = {"index": 0, "finish_reason": finish_reason, "message": message}
    body = {"id": "x", "object": "chat.completion", "created": 0, "model": "test", "choices": [choice]}
    if usage:
        body["usage"] = {"prompt_tokens": 400, "completion_tokens": 30, "total_tokens": 430}
    return body


def grades(value=4):
    return json.dumps(dict.fromkeys(DIMENSIONS, value))


def answer(content, **options) -> Reaction:
    """A well-formed completion with this content."""

    async def react(request):
        return web.json_response(completion(content, **options))

    return react


def verdict(value=4) -> Reaction:
    return answer(grades(value))


def status(number, headers=None, message="scripted", **error) -> Reaction:
    async def react(request):
        return web.json_response({"error": {"message": message, **error}}, status=number, headers=headers)

    return react


def raw(body: bytes, headers=None, code=200) -> Reaction:
    async def react(request):
        headers_sent = {"Content-Type": "application/json", **(headers or {})}
        return web.Response(body=body, status=code, headers=headers_sent)

    return react


def echo_key() -> Reaction:
    """A refusal that quotes the caller's key, as real endpoints do."""

    async def react(request):
        key = request.headers["Authorization"].removeprefix("Bearer ")
        return web.json_response({"error": {"message": f"Incorrect API key provided: {key}"}}, status=401)

    return react


def hang(seconds=3600.0) -> Reaction:
    async def react(request):
        await asyncio.sleep(seconds)
        return web.json_response(completion(grades()))

    return react


def drip(pause=0.05) -> Reaction:
    """A good reply, one byte at a time: no single read ever times out."""

    async def react(request):
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        for byte in json.dumps(completion(grades())).encode():
            await response.write(bytes([byte]))
            await asyncio.sleep(pause)
        return response

    return react


def cut() -> Reaction:
    """A body that ends before its announced length."""

    async def react(request):
        body = json.dumps(completion(grades())).encode()
        response = web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": str(len(body))})
        await response.prepare(request)
        await response.write(body[: len(body) // 2])
        request.transport.abort()
        return response

    return react


class JudgeServer:
    """The server on a thread of its own; each request takes the next reaction of `script`, then `default`.

    Args:
        default: reaction when the script is empty.
        latency: seconds before every reaction.
        port: 0 for any free one.
    """

    def __init__(self, default: Reaction | None = None, latency: float = 0.0, port: int = 0) -> None:
        self.default, self.latency, self.port = default or verdict(4), latency, port
        self.script: list[Reaction] = []
        self.requests: list[dict] = []
        self.times: list[float] = []
        self.in_flight = self.most_in_flight = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    async def _react(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(await request.json())
        self.times.append(time.monotonic())
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            reaction = self.script.pop(0) if self.script else self.default
            if self.latency:
                await asyncio.sleep(self.latency)
            return await reaction(request)
        finally:
            self.in_flight -= 1

    async def _start(self) -> None:
        app = web.Application(client_max_size=1 << 26)
        app.router.add_post("/v1/chat/completions", self._react)
        self._runner = web.AppRunner(app, shutdown_timeout=0.01, handle_signals=False)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True)
        await site.start()
        self.port = self._runner.addresses[0][1]

    def __enter__(self) -> "JudgeServer":
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(10)
        return self

    async def _stop(self) -> None:
        await self._runner.cleanup()
        # Requests whose client has gone still hang here.
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        await asyncio.sleep(0)

    def __exit__(self, *_) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--latency", type=float, default=0.0)
    parser.add_argument("--port", type=int, default=0)
    args = parser.parse_args()
    with JudgeServer(latency=args.latency, port=args.port) as running:
        print(running.port, flush=True)
        threading.Event().wait()
