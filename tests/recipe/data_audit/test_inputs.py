# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""medgrpo data as a user calls it, and wrong rows: times of the source video, boxes in shares, tokens of models."""

import json
import os
import subprocess
import sys

import pytest
from PIL import Image

from data_preprocess.__main__ import commands, converters
from data_preprocess.media.token_count import MAX_PIXELS, MIN_PIXELS, TOTAL_PIXELS, video_size
from data_preprocess.parquet_writer import RowWriter
from data_preprocess.schema import Clip, build_row
from data_preprocess.synthetic import imaging
from recipe.medgrpo.cli import main

FRAMES = 8


@pytest.fixture
def check(tmp_path):
    """Failures of ``medgrpo data check`` on a clip of eight frames at 2 fps with that task and answer."""
    paths = [str(tmp_path / f"{number}.jpg") for number in range(FRAMES)]

    def check(task, answer, question="When?", size=(48, 64), **changes):
        for path in paths:
            Image.new("RGB", size[::-1], (90, 60, 50)).save(path)
        clip = Clip(paths, 2.0, *size, MIN_PIXELS, MAX_PIXELS, TOTAL_PIXELS, video_size(FRAMES, *size).num_tokens)
        row = build_row(
            benchmark="medvidbench", source="AVOS", task=task, qa_type=task, index=0, split="train", question=question,
            answer=answer, clip=clip, video_id="a", record_id="a", **changes,
        )  # fmt: skip
        with RowWriter(tmp_path / "rows.parquet") as writer:
            writer.write(row)
        code = main(["data", "check", str(tmp_path / "rows.parquet"), "--out", str(tmp_path / "check")])
        log = tmp_path / "check" / "failed.jsonl"
        failures = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
        assert code == bool(failures)
        return [f"{failure['field']} {failure['reason']}" for failure in failures]

    return check


@pytest.mark.parametrize(
    ("task", "answer"),
    [
        ("tag", "0.0-4.0 seconds."),
        ("tag", "0.0-1.0, 3.5-4.2 seconds."),
        ("stg", "0.0 seconds: [1, 2, 30, 40] 3.5 seconds: [0, 0, 64, 48]"),
        ("dvc", "0.0-1.0 seconds: cut\n1.0-4.0 seconds: tie"),
    ],
)
def test_times_within_the_clip(check, task, answer):
    assert check(task, answer) == []


@pytest.mark.parametrize(
    ("task", "answer", "time"),
    [
        ("tag", "120.0-123.5 seconds.", "120"),
        ("tag", "0.0-1.0, 3.5-5.0 seconds.", "5"),
        ("stg", "4.0 seconds: [1, 2, 30, 40]", "4"),
        ("stg", "0.0 seconds: [1, 2, 30, 40] 65.5 seconds: [1, 2, 30, 40]", "65.5"),
        ("dvc", "0.0-1.0 seconds: cut\n61.0-64.0 seconds: tie", "61"),
    ],
)
@pytest.mark.parametrize("structured", [False, True])
def test_times_of_the_source_video(check, task, answer, time, structured):
    info = {}
    if structured and task == "tag":
        spans = [part.split("-") for part in answer.removesuffix(" seconds.").split(", ")]
        info["struc_info"] = json.dumps([{"spans": [{"start": float(a), "end": float(b)} for a, b in spans]}])
    (failure,) = check(task, answer, **info)
    assert f"reward_model.ground_truth names {time} s, but the clip lasts 4 s (8 frames, 2 fps)" in failure


@pytest.mark.parametrize(
    ("box", "reason"),
    [
        ("[0.1, 0.2, 0.5, 0.6]", "are shares of the frame, not pixels"),
        ("[10, 10, 400, 40]", "leaves the frame of 64x48 pixels"),
        ("[10, 30, 40, 20]", "is no box x1 <= x2, y1 <= y2"),
    ],
)
def test_boxes_beside_the_frame(check, box, reason):
    assert any("at 1.0 s: [" in failure and reason in failure for failure in check("stg", f"1.0 seconds: {box}"))


def test_a_box_beside_a_portrait_frame(check):
    failures = check("stg", "1.0 seconds: [50, 10, 60, 40]", size=(64, 48))
    assert any("leaves the frame of 48x64 pixels" in failure for failure in failures)
    assert check("stg", "1.0 seconds: [10, 10, 40, 60]", size=(64, 48)) == []


@pytest.mark.parametrize("token", ["<|video_pad|>", "<|im_start|>", "<image>"])
def test_tokens_of_models_in_a_text(check, token):
    assert check("vs", "A cut.", f"What {token} here?")[0] == f"messages[0].content holds {token}"
    assert f"messages[1].content holds {token}" in check("vs", f"A {token} cut.")


def run(*command, **environment):
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, env=os.environ | environment)
    assert "Traceback" not in done.stderr, done.stderr
    return done


MEDGRPO = (sys.executable, "-m", "recipe.medgrpo.cli")


def test_from_published_files_to_a_checked_folder_without_matplotlib(tmp_path):
    """Through the console: convert by name, then check all that was written; nothing but the core is installed."""
    (tmp_path / "matplotlib.py").write_text("raise ModuleNotFoundError(\"No module named 'matplotlib'\")\n")
    imaging.generate(tmp_path / "raw", images_per_modality=2)
    path = {"PYTHONPATH": f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}"}
    out = tmp_path / "out"
    done = run(*MEDGRPO, "data", "convert", "omnimedvqa", "--root", tmp_path / "raw", "--out", out, **path)
    assert done.returncode == 0 and done.stdout.endswith(f"next: medgrpo data check {out}/train.parquet\n")
    done = run(*MEDGRPO, "data", "check", out, **path)
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("0 of 40 rows") == 2 and "no histogram.png: No module named 'matplotlib'" in done.stdout
    with RowWriter(out / "val.parquet"):
        pass
    done = run(*MEDGRPO, "data", "check", out, **path)
    assert done.returncode == 0 and f"{out}/val.parquet holds no rows" in done.stdout
    (out / "test.parquet").write_text("version https://git-lfs.github.com/spec/v1\n")
    done = run(*MEDGRPO, "data", "check", out, **path)
    assert done.returncode == 2 and "it is a Git LFS pointer" in done.stderr


def test_nothing_is_written_onto_the_files_that_are_checked(check, tmp_path, capsys):
    check("vs", "A cut.")
    rows = tmp_path / "rows.parquet"
    before = rows.read_bytes()
    assert main(["data", "check", str(rows), "--out", str(tmp_path)]) == 2
    assert "holds the file itself" in capsys.readouterr().err
    assert main(["data", "overlap", str(rows), str(rows), "--out", str(rows)]) == 2
    assert "is one of the two files" in capsys.readouterr().err and rows.read_bytes() == before


def test_names_and_arguments_of_the_converters(capsys):
    assert converters() == ["medvidbench", "omnimedvqa", "path_vqa", "pmc_vqa", "slake", "vqa_rad"]
    for argv, shown in ((["slake", "--help"], "--language"), (["--help"], "pmc_vqa")):
        with pytest.raises(SystemExit) as stopped:
            main(["data", "convert", *argv])
        assert stopped.value.code == 0 and shown in capsys.readouterr().out
    with pytest.raises(SystemExit) as stopped:
        main(["data", "convert", "slakes"])
    assert stopped.value.code == 2 and "invalid choice: 'slakes'" in capsys.readouterr().err


def test_the_package_lists_its_commands():
    listed = run(sys.executable, "-m", "data_preprocess").stdout
    assert all(f"python -m data_preprocess.{name} " in listed for name in commands())
    assert {"medvidbench", "slake", "synthetic", "synthetic.imaging"} <= commands().keys()
    assert all(commands().values()) and "media.mp4" not in commands()
