# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Worlds to test on: a small synthetic one, and a folder for hand-made records."""

import copy
import json
from pathlib import Path

import pytest
from PIL import Image

from data_preprocess import medvidbench, synthetic

BOX = [8, 8, 40, 32]


@pytest.fixture(scope="session")
def small_world(tmp_path_factory) -> Path:
    """Six clips (two source videos) for each source; its JSON is ``small_world / synthetic.JSON_NAME``."""
    out = tmp_path_factory.mktemp("world")
    synthetic.generate(out, clips_per_source=6, progress=False)
    return out


class Workbench:
    """Hand-made records on frames of 64 x 48 pixels, and the command to convert them."""

    def __init__(self, root: Path):
        self.root, self.json, self.out = root, root / "data.json", root / "out"
        for video in ("a", "b"):
            folder = root / "frames" / "AVOS" / video
            folder.mkdir(parents=True)
            for number in range(3):
                Image.new("RGB", (64, 48), (90 + 40 * number, 60, 50)).save(folder / f"{number}.jpg")

    def record(self, name="a", **changes) -> dict:
        """A valid TAG record; a change to None drops the field."""
        record = {
            "id": f"{name}&&0&&2&&1.0",
            "conversations": [
                {"from": "human", "value": "<video>\nWhen is the cutting?"},
                {"from": "gpt", "value": "0.0-1.0 seconds."},
            ],
            "video": [f"/root/data/AVOS/{name}/{number}.jpg" for number in range(3)],
            "sampled_video_frames": [0, 1, 2],
            "metadata": {"fps": "1.0", "video_id": name, "input_video_start_frame": "0"},
            "qa_type": "tal",
            "data_source": "AVOS",
            "struc_info": [{"action": "cutting", "spans": [{"start": 0.0, "end": 1.0}]}],
            "is_RC": False,
            "RC_info": None,
        }
        record.update(copy.deepcopy(changes))
        return {key: value for key, value in record.items() if value is not None or key == "RC_info"}

    def region_record(self, **info) -> dict:
        region = {"start_frame": "/root/data/AVOS/a/1.jpg", "start_frame_bbox": BOX} | info
        return self.record(qa_type="region_caption_gpt", is_RC=True, RC_info=region)

    def write(self, content) -> None:
        self.json.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")

    def run(self, content, *options: str) -> int:
        """Exit code of the command on ``content`` (text, or a value to dump)."""
        self.write(content)
        paths = ["--json", self.json, "--frames-root", self.root / "frames", "--out", self.out]
        return medvidbench.main([*map(str, paths), *options])


@pytest.fixture
def bench(tmp_path) -> Workbench:
    return Workbench(tmp_path)
