# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""What an author of captions is asked: frames with times and drawn boxes, expert annotations, one task."""

from __future__ import annotations

import base64
import hashlib
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from PIL import ImageDraw

from data_preprocess.common.errors import InputError, RecordError
from data_preprocess.media.frames import read_frame
from data_preprocess.video.record import parse_record
from data_preprocess.video.region_box import has_area
from reward_score.judge.client import Completion
from reward_score.judge.prompt import BadReply

TASK_OF = {"video_summary": "vs", "region_caption": "rc", "dense_captioning": "dvc"}
#: Longer side in pixels of a frame that is sent, and the tokens that it about becomes (one tile of GPT-4.1).
SIDE, TOKENS_PER_FRAME = 512, 255
_GREEN, _LINE = (0, 255, 0), 3


@cache
def _prompts() -> dict[str, Any]:
    return json.loads(Path(__file__).with_name("templates").joinpath("prompts.json").read_text(encoding="utf-8"))


@dataclass(frozen=True)
class Request:
    """One line of `data_preprocess.build`'s requests: a record that lacks its answer, and the evidence for it."""

    record: dict[str, Any]

    @cached_property
    def key(self) -> str:
        """The same for the same question about the same frames with the same annotations and prompt."""
        asked = json.dumps([self.record, _prompts()], sort_keys=True)
        return hashlib.sha256(asked.encode()).hexdigest()[:24]

    @property
    def task(self) -> str:
        return TASK_OF[self.record["qa_type"]]

    @property
    def events(self) -> list[tuple[float, float, str]]:
        return [tuple(event) for event in self.record["evidence"]["events"]]

    @property
    def fps(self) -> float:
        return float(self.record["metadata"]["fps"])

    @property
    def seconds(self) -> float:
        return (len(self.record["video"]) - 1) / self.fps

    def shown(self, most: int) -> list[int]:
        """Places of at most so many frames, evenly over the clip; that of the region is among them."""
        count = len(self.record["video"])
        places = {round(i * (count - 1) / max(1, min(most, count) - 1)) for i in range(min(most, count))}
        if self.task == "rc":
            places.add(self.record["video"].index(self.record["RC_info"]["start_frame"]))
        return sorted(places)

    def text(self) -> str:
        """The request without its frames."""
        prompts, evidence = _prompts(), self.record["evidence"]
        events = "\n".join(f"{start}-{end} s: {label}" for start, end, label in self.events)
        question = self.record["conversations"][0]["value"].splitlines()[-1]
        task = prompts["tasks"][self.task].format(events=events, count=len(self.events), question=question)
        lines = "\n".join(evidence["lines"])
        return f"{prompts['sources'].get(self.record['data_source'], '')}\n\nAnnotations:\n{lines}\n\n{task}"

    def messages(self, most_frames: int) -> list[dict[str, Any]]:
        """Chat messages with the frames between their times."""
        parts: list[dict[str, Any]] = []
        for place in self.shown(most_frames):
            path = self.record["video"][place]
            url = picture_url(path, self.record["evidence"]["boxes"].get(path, ()), SIDE)
            parts += [{"type": "text", "text": f"{place / self.fps:.1f} s:"}]
            parts += [{"type": "image_url", "image_url": {"url": url}}]
        system = {"role": "system", "content": _prompts()["system"]}
        return [system, {"role": "user", "content": [*parts, {"type": "text", "text": self.text()}]}]

    def read(self, completion: Completion) -> list[str]:
        """The caption, or one for each event; raises BadReply."""
        text = (completion.content or "").strip()
        if completion.refusal or completion.cut or not text:
            why = "the model refused" if completion.refusal else "the reply is cut" if completion.cut else "no text"
            raise BadReply(why)
        if self.task != "dvc":
            return [" ".join(text.split())]
        try:
            captions = json.loads(text.removeprefix("```json").strip("`"))["captions"]
        except (ValueError, TypeError, KeyError):
            raise BadReply("no JSON object with captions") from None
        texts = isinstance(captions, list) and all(isinstance(each, str) and each.strip() for each in captions)
        if not texts or len(captions) != len(self.events):
            raise BadReply(f"not {len(self.events)} captions")
        return [" ".join(each.split()) for each in captions]


def asked_again(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The messages after a reply that could not be used."""
    *others, user = messages
    return [*others, {**user, "content": [*user["content"], {"type": "text", "text": _prompts()["again"]}]}]


def picture_url(path: str, boxes: Any, side: int) -> str:
    """A frame as a data URL, boxes with their names drawn on it."""
    picture = read_frame(path)
    scale = min(1.0, side / max(picture.size))
    picture = picture.resize([max(1, round(length * scale)) for length in picture.size])
    pen = ImageDraw.Draw(picture)
    for name, box in boxes:
        corners = [edge * scale for edge in box]
        pen.rectangle(corners, outline=_GREEN, width=_LINE)
        pen.text((corners[0] + 4, corners[1] + 4), name, fill=_GREEN)
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=85)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


def read_requests(path: Path) -> Iterator[Request]:
    """Lines of a requests file."""
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                record = json.loads(line)
                known = record["qa_type"] in TASK_OF and record["evidence"].keys() >= {"lines", "events", "boxes"}
                known &= all(has_area(box) for drawn in record["evidence"]["boxes"].values() for _, box in drawn)
                parse_record(record | {"conversations": [*record["conversations"], {"from": "gpt", "value": "A."}]})
            except RecordError as error:
                raise InputError(f"{path}, line {number}: {error}") from None
            except (ValueError, TypeError, KeyError, AttributeError):
                known = False
            if not known:
                raise InputError(
                    f"{path}, line {number}: is no request for a caption. Write it with medgrpo data build"
                )
            yield Request(record)
