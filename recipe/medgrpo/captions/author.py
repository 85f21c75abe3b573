# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Two models write their captions; each reply is kept at once, so that a killed job pays for nothing twice."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tqdm import tqdm

from data_preprocess.common.errors import InputError
from data_preprocess.media.frames import FrameError
from recipe.medgrpo.captions.request import TOKENS_PER_FRAME, Request, asked_again
from reward_score.errors import JudgeUnavailable
from reward_score.judge.asker import Asker
from reward_score.judge.client import Refused, Transient
from reward_score.judge.config import JudgeConfig
from reward_score.judge.job_limits import Coordinator
from reward_score.judge.usage import Tally

#: Suffixes of ``qa_type`` by model slot, whichever models fill them.
SLOTS = ("gpt", "gemini")
_CHARACTERS_PER_TOKEN, _TOKENS_PER_CAPTION = 4, 80


@dataclass
class Author:
    """A model in its slot; ``config.max_tokens`` and the limits are the captions'."""

    slot: str
    config: JudgeConfig
    key_variable: str = "OPENAI_API_KEY"
    frames: int = 16

    def entry_key(self, request: Request) -> tuple[str, str, str]:
        return request.key, self.slot, f"{self.config.model}, {self.frames} frames"


@dataclass
class Written:
    """Counts of a job, and the first reason for a caption that is missing."""

    written: int = 0
    kept: int = 0
    failed: int = 0
    reason: str = ""
    tally: Tally = field(default_factory=Tally)


def known_captions(path: Path) -> dict[tuple[str, str, str], list[str]]:
    """Captions by key, slot and model; a line that was cut off when the job was killed is none."""
    found = {}
    lines = path.read_bytes().split(b"\n") if path.exists() else []
    for place, line in enumerate(lines, 1):
        with contextlib.suppress(ValueError):
            entry = json.loads(line)
            try:
                found[entry["key"], entry["slot"], entry["model"]] = entry["captions"]
            except (KeyError, TypeError):
                raise InputError(f"{path}, line {place}: is no caption of medgrpo captions write") from None
    return found


def estimate(
    requests: Iterable[Request], authors: Sequence[Author], known: Iterable
) -> list[tuple[int, int, int, float]]:
    """Of each author: captions to write, tokens in, tokens out, USD (NaN where the price is unknown)."""
    known, sums = set(known), [[0, 0, 0] for _ in authors]
    for request in requests:
        for author, total in zip(authors, sums, strict=True):
            if author.entry_key(request) not in known:
                total[0] += 1
                total[1] += _tokens(request, author)
                total[2] += _TOKENS_PER_CAPTION * max(1, len(request.events))
    return [(*total, author.config.cost(*total[1:])) for author, total in zip(authors, sums, strict=True)]


def _tokens(request: Request, author: Author) -> int:
    return len(request.text()) // _CHARACTERS_PER_TOKEN + TOKENS_PER_FRAME * len(request.shown(author.frames))


def write(requests: Iterable[Request], authors: Sequence[Author], path: Path) -> Written:
    """Append what is missing to the captions file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab+") as file:
        file.seek(max(0, file.tell() - 1))
        if file.read() not in (b"", b"\n"):
            file.write(b"\n")  # behind the line that was being written when a job was killed
    return asyncio.run(_write(requests, authors, path))


async def _write(requests: Iterable[Request], authors: Sequence[Author], path: Path) -> Written:
    done, known = Written(), known_captions(path)
    askers = {one.slot: Asker(one.config, Coordinator(one.config), {}, one.key_variable) for one in authors}
    running: set[asyncio.Task] = set()
    most = 2 * sum(author.config.concurrency for author in authors)
    try:
        with path.open("a", encoding="utf-8") as file, tqdm(unit="caption", disable=None) as bar:
            for request in requests:
                for author in authors:
                    if author.entry_key(request) in known:
                        done.kept += 1
                        continue
                    known[author.entry_key(request)] = []
                    running.add(asyncio.ensure_future(_one(request, author, askers[author.slot], file, done)))
                    if len(running) >= most:
                        running = await _finished(running, bar)
            while running:
                running = await _finished(running, bar)
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, *(asker.close() for asker in askers.values()), return_exceptions=True)
    return done


async def _finished(running: set[asyncio.Task], bar: tqdm) -> set[asyncio.Task]:
    ended, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
    bar.update(len(ended))
    for task in ended:
        task.result()
    return running


async def _one(request: Request, author: Author, asker: Asker, file: Any, done: Written) -> None:
    tally, healthy = Tally(asked=1), None
    try:
        messages = await asyncio.to_thread(request.messages, author.frames)

        def asked(again: bool) -> list[dict[str, Any]]:
            return asked_again(messages) if again else messages

        captions = await asker.ask(asked, request.read, _tokens(request, author), tally)
        key, slot, model = author.entry_key(request)
        line = {"key": key, "slot": slot, "model": model, "id": request.record["id"], "captions": captions}
        file.write(json.dumps(line, ensure_ascii=False) + "\n")
        file.flush()
        done.written, healthy = done.written + 1, True
    except Refused:
        raise
    except (JudgeUnavailable, FrameError) as error:
        healthy = False if isinstance(error, Transient) else None
        done.failed += 1
        done.reason = done.reason or str(error)
    finally:
        done.tally.add(tally)
        await asker.limiter.report(tally, healthy)
