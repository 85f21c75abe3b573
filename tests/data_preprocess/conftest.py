# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Worlds to test on: a small synthetic one, and folders for hand-made records."""

import copy
import csv
import io
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from data_preprocess import medvidbench
from data_preprocess.synthetic import clips

BOX = [8, 8, 40, 32]


@pytest.fixture(scope="session")
def small_world(tmp_path_factory) -> Path:
    """Six clips (two source videos) for each source; its JSON is ``small_world / synthetic.JSON_NAME``."""
    out = tmp_path_factory.mktemp("world")
    clips.generate(out, clips_per_source=6, progress=False)
    return out


class Output:
    """What a command wrote to the folder ``out``."""

    out: Path

    def rows(self, split: str | None = None) -> list[dict]:
        files = [self.out / f"{name}.parquet" for name in ((split,) if split else ("train", "val", "test"))]
        return [row for file in files if file.exists() for row in pq.read_table(file).to_pylist()]

    def failures(self) -> list[dict]:
        return [json.loads(line) for line in (self.out / "failed.jsonl").read_text().splitlines()]


class Workbench(Output):
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
        return self.convert(*options)

    def convert(self, *options: str) -> int:
        """Exit code of the command on what was written."""
        paths = ["--json", self.json, "--frames-root", self.root / "frames", "--out", self.out]
        return medvidbench.main([*map(str, paths), *options])


@pytest.fixture
def bench(tmp_path) -> Workbench:
    return Workbench(tmp_path)


class Folder(Output):
    """Published files of a set of images, made up, and the command to convert them."""

    def __init__(self, root: Path):
        self.root, self.out = root / "raw", root / "out"
        self.root.mkdir()

    def image(self, path: str, seed: int = 0) -> None:
        self.write(path, self.picture(seed))

    def write(self, path: str, content) -> Path:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            file.write_bytes(content)
        else:
            file.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
        return file

    def run(self, module, *options) -> int:
        return module.main(["--root", str(self.root), "--out", str(self.out), *map(str, options)])

    @staticmethod
    def picture(seed: int) -> bytes:
        buffer = io.BytesIO()
        pixels = np.random.default_rng(seed).integers(0, 255, (60, 80, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(buffer, "PNG")
        return buffer.getvalue()

    @staticmethod
    def record(number=0, **changes) -> dict:
        """A record of OmniMedVQA; a change to None drops the field."""
        record = {
            "dataset": "ACRIMA",
            "question_id": f"ACRIMA_{number:04}",
            "question_type": "Disease Diagnosis",
            "question": "Which organ is shown?",
            "gt_answer": "Eye",
            "image_path": f"Images/ACRIMA/{number}.png",
            "option_A": "Heart",
            "option_B": "Eye",
            "option_C": "Liver",
            "option_D": "Lung",
            "modality_type": "Fundus Photography",
        }
        return {key: value for key, value in (record | changes).items() if value is not None}

    def write_omni(self, records: list, images: int | None = None) -> None:
        self.write("OmniMedVQA/QA_information/Open-access/ACRIMA.json", records)
        for number in range(len(records) if images is None else images):
            self.image(f"OmniMedVQA/Images/ACRIMA/{number}.png", number)

    def write_parquet(self, name: str, rows: list[tuple[int, str, str]]) -> None:
        """As on the hub; rows are (picture, question, answer)."""
        images = [{"bytes": self.picture(seed), "path": None} for seed, _, _ in rows]
        table = pa.table({"image": images, "question": [row[1] for row in rows], "answer": [row[2] for row in rows]})
        file = self.root / "data" / name
        file.parent.mkdir(exist_ok=True)
        pq.write_table(table, file)

    def write_csv(self, name: str, rows: list[list[str]], header: list[str]) -> None:
        text = io.StringIO()
        csv.writer(text).writerows([header, *rows])
        self.write(name, text.getvalue())


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path)


@pytest.fixture
def frames(tmp_path) -> list[str]:
    """Three pictures of 80 x 60 pixels."""
    paths = []
    for number in range(3):
        paths.append(str(tmp_path / f"{number}.jpg"))
        rng = np.random.default_rng(number)
        Image.fromarray(rng.integers(0, 255, (60, 80, 3), dtype=np.uint8)).save(paths[-1])
    return paths
