# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""medgrpo data check and overlap, on a drawn world, image rows, and rows spoilt one field at a time."""

import copy
import errno
import functools
import json
import operator
import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from data_preprocess import medvidbench, omnimedvqa
from data_preprocess.media.token_count import MAX_PIXELS, MIN_PIXELS, TOTAL_PIXELS, image_size, pixel_budget, video_size
from data_preprocess.parquet_writer import RowWriter
from data_preprocess.schema import IMAGE_ROW_SCHEMA, ROW_SCHEMA, Clip, Picture, build_image_row, build_row
from data_preprocess.synthetic import clips, imaging
from recipe.medgrpo.cli import main

LIMITS = {"min_pixels": 3136, "max_pixels": 401408}


@pytest.fixture
def clip_row(tmp_path):
    frames = [str(tmp_path / f"{number}.jpg") for number in range(3)]
    for number, frame in enumerate(frames):
        Image.new("RGB", (64, 48), (90 + 40 * number, 60, 50)).save(frame)
    tokens = video_size(3, 48, 64).num_tokens
    clip = Clip(frames, 1.0, 48, 64, MIN_PIXELS, MAX_PIXELS, TOTAL_PIXELS, tokens)
    return build_row(
        benchmark="medvidbench", source="AVOS", task="tag", qa_type="tal", index=0, split="train", question="When?",
        answer="0.0-1.0 seconds.", clip=clip, video_id="a", record_id="a&&0",
        struc_info=json.dumps([{"spans": [{"start": 0.0, "end": 1.0}]}]), metadata="{}",
    )  # fmt: skip


def image_row(path, index=0, question="What is it?", answer="CT", options=("MRI", "CT"), task="mcq", colour=90):
    Image.new("RGB", (64, 64), (colour, 60, 50)).save(path)
    picture = Picture(str(path), f"{colour:016x}", **LIMITS, height=64, width=64)
    picture = Picture(**picture.__dict__ | {"num_tokens": image_size(64, 64, **LIMITS).num_tokens})
    return build_image_row(
        benchmark="omnimedvqa", source="CT", task=task, index=index, split="train", question=question, answer=answer,
        options=options, picture=picture, dataset="x",
    )  # fmt: skip


def write(path, rows, schema=ROW_SCHEMA):
    with RowWriter(path, schema=schema) as writer:
        for row in rows:
            writer.write(row)
    return path


def check(path, *options):
    code = main(["data", "check", str(path), *map(str, options)])
    out = path.with_name(f"{path.stem}_check")
    log = out / "failed.jsonl"
    return code, [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []


def test_good_clips(clip_row, tmp_path, capsys):
    code, failures = check(write(tmp_path / "rows.parquet", [clip_row]))
    assert (code, failures) == (0, [])
    shown = capsys.readouterr().out
    assert "AVOS" in shown and "0 of 1 rows have problems" in shown
    with Image.open(tmp_path / "rows_check" / "histogram.png") as picture:
        assert picture.width > 500


def test_one_fps_for_all_clips_is_expected_where_it_was_asked_for(clip_row, tmp_path):
    clip_row["videos"][0]["sample_fps"] = clip_row["videos"][0]["raw_fps"] = 2.0
    rows = write(tmp_path / "rows.parquet", [clip_row])
    assert check(rows, "--position-fps", 2) == (0, [])
    for options in ((), ("--position-fps", 3)):
        code, failures = check(rows, *options)
        assert code and [one["field"] for one in failures] == ["videos.sample_fps"]


def test_good_images(tmp_path):
    rows = [
        image_row(tmp_path / "a.png"),
        image_row(tmp_path / "a.png", 1, "Is it big?", "Yes", (), "closed"),
        image_row(tmp_path / "a.png", 2, "Where?", "left lung", (), "open"),
    ]
    assert check(write(tmp_path / "rows.parquet", rows, IMAGE_ROW_SCHEMA)) == (0, [])


def test_a_drawn_world_passes(tmp_path):
    """All tasks and sources, captions with an action's name ahead among them."""
    file = clips.generate(tmp_path, clips_per_source=2, progress=False)
    options = ["--json", file, "--frames-root", tmp_path / "frames", "--out", tmp_path / "out", "--val-ratio", 0]
    assert medvidbench.main([*map(str, options)]) == 0
    assert check(tmp_path / "out" / "train.parquet") == (0, [])


def test_a_drawn_imaging_world_passes(tmp_path):
    imaging.generate(tmp_path, images_per_modality=2)
    assert omnimedvqa.main(["--root", str(tmp_path), "--out", str(tmp_path / "out")]) == 0
    for split in ("train", "test"):
        assert check(tmp_path / "out" / f"{split}.parquet") == (0, [])


@pytest.mark.parametrize("patch", [14, 16])
def test_rows_for_either_patch_size(clip_row, tmp_path, patch):
    budget = pixel_budget(patch)
    for frame in clip_row["videos"][0]["video"]:
        Image.new("RGB", (1280, 720), (90, 60, 50)).save(frame)
    clip_row["videos"][0] |= budget
    tokens = video_size(3, 720, 1280, **budget, patch=patch).num_tokens
    clip_row["extra_info"] |= {"height": 720, "width": 1280, "num_tokens": tokens}
    assert check(write(tmp_path / "rows.parquet", [clip_row])) == (0, [])
    clip_row["extra_info"]["num_tokens"] += 1
    assert check(write(tmp_path / "rows.parquet", [clip_row]))[0] == 1


def spoilt(row: dict, changes: dict) -> dict:
    """A copy with other values at places such as ``videos.0.fps``."""
    row = copy.deepcopy(row)
    for place, value in changes.items():
        *parents, last = (int(key) if key.isdigit() else key for key in place.split("."))
        functools.reduce(operator.getitem, parents, row)[last] = value
    return row


SPANS = json.dumps([{"spans": [{"start": 5.0, "end": 9.0}]}])
TRUTH = "reward_model.ground_truth"


@pytest.mark.parametrize(
    ("changes", "field", "reason"),
    [
        ({"videos.0.sample_fps": 0.0}, "videos.sample_fps", "is 0.0"),
        ({"extra_info.fps": 2.0}, "videos.sample_fps", "extra_info.fps 2.0"),
        ({"extra_info.num_tokens": 33}, "extra_info.num_tokens", "is 33, by size and limits 32"),
        ({"extra_info.height": 64, "extra_info.width": 48}, "videos", "is 64x48 pixels, the row says 48x64"),
        ({"videos.0.video.1": "/none.jpg"}, "videos", "/none.jpg does not exist"),
        ({"videos.0.video.1": "/a\0b.jpg"}, "videos", "cannot be opened as a picture"),
        ({"videos.0.min_pixels": 0, "videos.0.max_pixels": 0}, "videos", "a largest area of 0 pixels leaves no pixel"),
        ({"videos.0.min_pixels": 0, "videos.0.total_pixels": 0}, "videos", "pixels leaves no pixel"),
        ({"prompt.0.content": "When?", "messages.0.content": "When?"}, "prompt", "holds <video> 0 times for 1 videos"),
        ({"messages.0": {"role": "user", "content": "<video>Who?"}}, "messages", "do not begin with the prompt"),
        ({"messages.1.content": "in the middle", TRUTH: "in the middle"}, TRUTH, "scores 0.000 against itself"),
        ({TRUTH: "5.0-6.0 seconds."}, TRUTH, "is '5.0-6.0 seconds.', while messages end with '0.0-1.0"),
        ({"extra_info.struc_info": "{"}, TRUTH, "struc_info is no JSON"),
        ({"extra_info.struc_info": SPANS}, TRUTH, "scores 0.000 against itself"),
        ({"ability": "stg"}, "data_source", "does not end in source/task"),
        (
            {"data_source": "medvidbench/A|B/tag", "extra_info.source": "A|B"},
            "extra_info.source",
            "'A|B' holds a sign that separates names",
        ),
        (
            {"data_source": "medvidbench/AVOS/count", "ability": "count", "extra_info.task": "count"},
            TRUTH,
            "task 'count' is unknown",
        ),
    ],
)
def test_spoilt_rows(clip_row, tmp_path, capsys, changes, field, reason):
    bad = spoilt(clip_row, {**changes, "extra_info.index": 1})
    path = write(tmp_path / "rows.parquet", [clip_row, bad])
    code, failures = check(path)
    assert code == 1
    assert any(f["field"] == field and reason in f["reason"] and f["record"] == 1 for f in failures), failures
    assert f"{path}, record 1 (a&&0), " in capsys.readouterr().out.replace("\n", "")
    assert all(f["remedy"] for f in failures)
    assert check(path, "--max-failed", 1)[0] == 0


def test_repeated_rows_and_the_budget(clip_row, tmp_path):
    path = write(tmp_path / "rows.parquet", [clip_row, clip_row])
    assert [f["field"] for f in check(path)[1]] == ["row", "extra_info.index"]
    other = copy.deepcopy(clip_row)
    other["extra_info"] |= {"id": "other", "index": 1}
    other["prompt"].insert(0, {"role": "system", "content": "Another example."})
    other["messages"].insert(0, {"role": "system", "content": "Another example."})
    assert [f["field"] for f in check(write(path, [clip_row, other]))[1]] == ["row"]
    other["extra_info"] |= {"qa_type": "tag"}
    assert check(write(path, [clip_row, other])) == (0, [])
    path = write(tmp_path / "rows.parquet", [clip_row])
    assert [f["reason"] for f in check(path, "--max-tokens", 10)[1]] == ["is 32, more than 10"]


def test_files_of_another_kind(clip_row, tmp_path, capsys):
    path = tmp_path / "rows.parquet"
    table = pq.read_table(write(path, [clip_row])).drop_columns(["ability"])
    path.unlink()
    for make, message in (
        (lambda: None, "does not exist"),
        (lambda: path.write_bytes(b"PAR1"), "is no whole Parquet file"),
        (lambda: pq.write_table(table, path), "ability is missing"),
        (lambda: write(path, []), "holds no rows"),
        (lambda: (path.unlink(), os.mkfifo(path)), "is no regular file"),
    ):
        make()
        assert main(["data", "check", str(path)]) == 2
        assert message in capsys.readouterr().err
    (tmp_path / "none").mkdir()
    assert main(["data", "check", str(tmp_path / "none")]) == 2
    assert "holds no Parquet file" in capsys.readouterr().err


def test_large_types_are_the_same_types(clip_row, tmp_path):
    """As polars and pandas write them."""
    struct = pa.struct([("role", pa.large_string()), ("content", pa.large_string())])
    table = pa.Table.from_pylist([clip_row], schema=ROW_SCHEMA)
    for name, kind in (("prompt", pa.large_list(struct)), ("ability", pa.large_string())):
        position = table.schema.get_field_index(name)
        table = table.set_column(position, name, table[name].cast(kind))
    pq.write_table(table, tmp_path / "rows.parquet")
    assert check(tmp_path / "rows.parquet") == (0, [])


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"extra_info": None}, "extra_info"),
        ({"reward_model": None}, "reward_model"),
        ({"prompt": None}, "prompt"),
        ({"prompt": [None]}, "prompt[0]"),
        ({"messages": None}, "messages"),
        ({"videos": None}, "videos"),
        ({"videos": [None]}, "videos[0]"),
        ({"videos": [{"video": None}]}, "videos[0].video"),
        ({"videos": [{"video": [None]}]}, "videos[0].video"),
        ({"extra_info": {"source": "AVOS", "task": "tag"}}, "extra_info.index"),
    ],
)
def test_nulls(clip_row, tmp_path, capsys, change, field):
    path = write(tmp_path / "rows.parquet", [clip_row, clip_row | change])
    code, failures = check(path)
    assert code == 1 and [(f["record"], f["field"], f["reason"]) for f in failures] == [(1, field, "is null")]
    code = main(["data", "overlap", str(path), str(path), "--out", str(tmp_path / "o.jsonl")])
    if field.startswith(("extra_info", "videos")):  # the columns that are compared
        assert code == 2 and f"{path}, row 1: {field} is null" in capsys.readouterr().err
    else:
        assert code == 1


def test_names_that_look_like_markup(clip_row, tmp_path, capsys):
    clip_row["extra_info"]["source"], clip_row["data_source"] = "[/b]", "medvidbench/[/b]/tag"
    check(write(tmp_path / "rows.parquet", [clip_row]))
    assert "[/b]" in capsys.readouterr().out


def test_places_that_cannot_be_written(clip_row, tmp_path, capsys, monkeypatch):
    path = write(tmp_path / "rows.parquet", [clip_row])
    assert main(["data", "check", str(path), "--out", str(path)]) == 2
    assert f"{path}: File exists. Choose another place with --out" in capsys.readouterr().err
    out = tmp_path / "new" / "folder" / "overlap.jsonl"
    assert main(["data", "overlap", str(path), str(path), "--out", str(out)]) == 1 and out.exists()

    def full(*arguments, **more):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_text", full)
    assert main(["data", "overlap", str(path), str(path), "--out", str(out)]) == 2
    assert "No space left on device. Choose another place with --out" in capsys.readouterr().err


def overlap(one, two, *options):
    out = one.with_name("overlap.jsonl")
    code = main(["data", "overlap", str(one), str(two), *options])
    return code, [json.loads(line) for line in out.read_text().splitlines()]


def test_overlap_of_images(tmp_path):
    train = [image_row(tmp_path / "a.png"), image_row(tmp_path / "b.png", 1, "Where?", colour=91)]
    test = [
        image_row(tmp_path / "copy.png", 0, "what  IS it", colour=90),
        image_row(tmp_path / "c.png", 1, "Why?", colour=92),
    ]
    one = write(tmp_path / "one.parquet", train, IMAGE_ROW_SCHEMA)
    two = write(tmp_path / "two.parquet", test, IMAGE_ROW_SCHEMA)
    code, shared = overlap(one, two)
    assert code == 1
    assert [(entry["kind"], entry["first"], entry["second"]) for entry in shared] == [
        ("images", [0], [0]),
        ("questions", [0], [0]),
        ("both", [0], [0]),
    ]
    assert overlap(one, two, "--max-shared", "1")[0] == 0


def test_overlap_knows_a_question_with_its_options_in_another_order(tmp_path):
    rows = [image_row(tmp_path / "a.png", options=options) for options in (("MRI", "CT"), ("CT", "MRI"))]
    one, two = (write(tmp_path / f"{i}.parquet", [row], IMAGE_ROW_SCHEMA) for i, row in enumerate(rows))
    assert [entry["kind"] for entry in overlap(one, two)[1]] == ["images", "questions", "both"]
    assert overlap(one, two)[1][1]["key"] == "what is it"
    rows[0]["extra_info"]["options"] = "MRI"
    write(one, rows[:1], IMAGE_ROW_SCHEMA)
    assert main(["data", "overlap", str(one), str(two), "--out", str(tmp_path / "o.jsonl")]) == 2


def test_overlap_of_clips_is_by_content(clip_row, tmp_path):
    other = copy.deepcopy(clip_row)
    frame = str(tmp_path / "other name.jpg")
    (tmp_path / "other name.jpg").write_bytes((tmp_path / "0.jpg").read_bytes())
    other["videos"][0]["video"], other["extra_info"]["question"] = [frame], "Who?"
    one, two = write(tmp_path / "one.parquet", [clip_row]), write(tmp_path / "two.parquet", [other])
    code, shared = overlap(one, two)
    assert code == 1 and [entry["kind"] for entry in shared] == ["images"]
    (tmp_path / "other name.jpg").unlink()
    assert main(["data", "overlap", str(one), str(two), "--out", str(tmp_path / "o.jsonl")]) == 2


BOX = {"0.0": [1, 2, 30, 40], "2.0": [3, 4, 30, 40]}
BOXES = "0.0 seconds: [1, 2, 30, 40] 2.0 seconds: [3, 4, 30, 40]"
EVENTS = [{"start": 0.0, "end": 1.0, "caption": "cut"}, {"start": 1.0, "end": 2.0, "caption": "tie"}]
DENSE = "0.0-1.0 seconds: cut\n1.0-2.0 seconds: tie"
CVS = {"two_structures": 2, "cystic_plate": 1, "hepatocystic_triangle": 0}
SKILL = {"skill_level": "N", "skill_scores": {"Respect for tissue": 2, "Time and motion": 3}}


@pytest.mark.parametrize(
    ("task", "answer", "struc_info"),
    [
        ("tag", "0.0-1.0 seconds.", None),
        ("tag", "0.0-1.0 seconds.", {"spans": [{"start": 0.0, "end": 1.0}]}),
        ("stg", BOXES, [{"bbox_dict": BOX, "start": 0.0, "end": 2.0}]),
        ("stg", BOXES, {"bbox_dict": BOX}),
        ("stg", BOXES, BOX),
        ("stg", BOXES, None),
        ("dvc", DENSE, [EVENTS]),
        ("dvc", DENSE, [{"dc_segments": EVENTS}]),
        ("dvc", DENSE, EVENTS),
        ("dvc", DENSE, None),
        ("cvs", "Two structures: 2, Cystic plate: 1, Hepatocystic triangle: 0", [{"cvs_scores": CVS}]),
        ("cvs", "Two structures: 2, Cystic plate: 1, Hepatocystic triangle: 0", None),
        ("sa", "Respect for tissue: 2/5, Time and motion: 3/5", [SKILL]),
        ("sa", "Respect for tissue: 2/5, Time and motion: 3/5", None),
        ("nap", "tying", None),
        ("vs", "The surgeon cuts.", None),
        ("rc", "A hook cuts.", None),
    ],
)
def test_every_shape_of_the_truth(clip_row, tmp_path, task, answer, struc_info):
    """All shapes of struc_info, and none: then the answer's text is the truth."""
    row = copy.deepcopy(clip_row)
    row["data_source"], row["ability"] = f"medvidbench/AVOS/{task}", task
    row["extra_info"] |= {"task": task, "struc_info": json.dumps(struc_info) if struc_info else ""}
    row["messages"][1]["content"] = row["reward_model"]["ground_truth"] = answer
    assert check(write(tmp_path / "rows.parquet", [row])) == (0, [])
