# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Requests for captions about drawn frames, and two servers that stand for two models."""

import json

import pytest
from judge_server import JudgeServer, answer
from PIL import Image

from recipe.medgrpo import cli
from recipe.medgrpo.captions.request import Request

CAPTIONS = {
    "gpt": "The hook dissects the gallbladder while a grasper retracts it to the left side.",
    "gemini": "A grasper retracts the gallbladder to the left, and the hook dissects it.",
}


class Desk:
    """A requests file, two model servers, and the command."""

    def __init__(self, root):
        self.root, self.out = root, root / "out"
        self.file, self.captions = root / "requests.jsonl", root / "captions.jsonl"
        self.paths = [str(root / f"{number}.jpg") for number in range(30)]
        for number, path in enumerate(self.paths):
            Image.new("RGB", (160, 90), (120, 60, 5 * number)).save(path)
        self.servers = {slot: JudgeServer(answer(text)) for slot, text in CAPTIONS.items()}

    def record(self, kind="video_summary", **changes):
        region = {"start_frame": self.paths[4], "start_frame_bbox": [10, 10, 60, 50]}
        of_region = kind == "region_caption"
        record = {
            "id": "VID01&&0&&29&&1.0",
            "conversations": [{"from": "human", "value": "<video>\nWhat happens?"}],
            "video": self.paths,
            "sampled_video_frames": list(range(30)),
            "metadata": {"fps": "1.0", "video_id": "VID01"},
            "qa_type": kind,
            "data_source": "CholecT50",
            "struc_info": [],
            "is_RC": of_region,
            "RC_info": region if of_region else None,
            "evidence": {"lines": ["0.0-12.0 s: hook dissect gallbladder"], "events": [], "boxes": {}},
        }
        if of_region:
            record["evidence"] |= {"lines": ["The box holds: hook"], "boxes": {self.paths[4]: [["", [10, 10, 60, 50]]]}}
        if kind == "dense_captioning":
            record["evidence"]["events"] = [[0.0, 12.0, "dissection"], [12.0, 29.0, "packaging"]]
        return record | changes

    def write(self, *records):
        self.file.write_text("".join(json.dumps(record) + "\n" for record in records))
        return [Request(record) for record in records]

    def run(self, *options):
        models = ["--models", "one", "two", "--urls", *(self.servers[slot].url for slot in CAPTIONS)]
        return cli.main(["captions", "write", str(self.file), "--captions", str(self.captions), *models, *options])

    def validate(self, *options):
        files = [str(self.file), "--captions", str(self.captions), "--out", str(self.out)]
        return cli.main(["captions", "validate", *files, *options])

    def lines(self):
        return [json.loads(line) for line in self.captions.read_text().splitlines()]

    def asked(self):
        return {slot: len(server.requests) for slot, server in self.servers.items()}


@pytest.fixture
def desk(tmp_path, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-first")
    monkeypatch.setenv("GEMINI_API_KEY", "sk-second")
    desk = Desk(tmp_path)
    with desk.servers["gpt"], desk.servers["gemini"]:
        yield desk
