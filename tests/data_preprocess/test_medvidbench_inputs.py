# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Inputs as people have them: other kinds of files, paths with extras, boxes in shares, tokens, misspellings."""

import gzip
import json
import os

import pytest
from PIL import Image

from data_preprocess.media.frames import FrameStore


def said(question="When is the cutting?", answer="0.0-1.0 seconds."):
    return [{"from": "human", "value": f"<video>\n{question}"}, {"from": "gpt", "value": answer}]


def lines(records, end="\n"):
    return end.join(json.dumps(record) for record in records)


@pytest.mark.parametrize("spoil", [
    lambda paths: [f"{path}\n" for path in paths],
    lambda paths: [f"{path}\r\n" for path in paths],
    lambda paths: [*paths[:1], paths[1] + "\n", *paths[2:]],
    lambda paths: ["\n" + paths[0], *paths[1:]],
    lambda paths: [f"file://{path}" for path in paths],
    lambda paths: [f"file://{path}\n" for path in paths],
])  # fmt: skip
@pytest.mark.parametrize("region", [False, True])
def test_what_hangs_on_paths_is_cut_off_and_told(bench, capsys, spoil, region):
    record = bench.region_record() if region else bench.record()
    assert bench.run([record], "--val-ratio", "0") == 0
    (plain,) = bench.rows("train")
    record["video"] = spoil(record["video"])
    if region:
        record["RC_info"]["start_frame"] = record["video"][1]
    capsys.readouterr()
    assert bench.run([record], "--val-ratio", "0") == 0
    assert bench.rows("train") == [plain]
    assert "1 records: file:// or a line break was cut off the paths of frames" in capsys.readouterr().out


def test_a_line_break_at_the_end_of_a_video_id(bench):
    """It must not put the clips of one video on both sides of the split."""
    metadata = [{"fps": "1.0", "video_id": name} for name in ("a", "a\n", " a")]
    records = [bench.record(id=str(n), metadata=each, conversations=said(f"{n}?")) for n, each in enumerate(metadata)]
    assert bench.run(records, "--val-ratio", "0") == 0
    assert [row["extra_info"]["video_id"] for row in bench.rows("train")] == ["a", "a", "a"]


def test_a_group_of_the_split_that_cannot_be_read(bench, capsys):
    """Its row must not be trained on, least of all one of a video that is held out."""
    bad = bench.record("b", metadata={"fps": "1.0", "video_id": "b", "split_group": "g/1/x"})
    assert bench.run([bench.record(), bad], "--val-ratio", "1") == 1
    shown = capsys.readouterr().err
    assert 'record 1 (b&&0&&2&&1.0), metadata.split_group: is "g/1/x". Write family/member' in shown
    assert bench.run([bench.record(), bad], "--val-ratio", "1", "--max-failed", "1") == 0
    assert not bench.rows("train") and len(bench.rows("val")) == 1


@pytest.mark.parametrize("groups", [{1: "cholec/1"}, {0: "cholec/1", 1: "cholec/2"}])
def test_a_video_of_two_groups_is_refused(bench, capsys, groups):
    """One of its clips would be evaluated, the other trained on; a test file is not split."""
    records = [bench.record(id=str(n), conversations=said(f"{n}?")) for n in range(2)]
    for number, group in groups.items():
        records[number]["metadata"]["split_group"] = group
    assert bench.run([bench.record("b"), *records]) == 1
    shown = capsys.readouterr().err
    assert "record 2, metadata.split_group: differs from that of record 1, of the same video (AVOS a)" in shown
    assert "Give all of its records one" in shown and not bench.out.exists()
    assert bench.run(records, "--questions-only") == 0


def test_regions_of_a_long_path_that_differ_in_their_box(bench):
    folder = bench.root / "frames" / ("a_session_with_a_long_name_" * 3)
    (bench.root / "frames/AVOS/a").rename(folder)
    path = f"/root/data/{folder.name}/1.jpg"
    boxes = [[8, 8, 40, 32], [20, 8, 60, 32], [8, 8, 40, 32]]
    records = [bench.region_record(start_frame=path, start_frame_bbox=box) | {"video": [path]} for box in boxes]
    assert bench.run(records, "--val-ratio", "0") == 0
    assert len(bench.rows("train")) == 2 and [failure["record"] for failure in bench.failures()] == [2]


def test_the_line_around_a_region_suits_the_models_patches(bench):
    for number in range(3):
        Image.new("RGB", (1500, 480)).save(bench.root / f"frames/AVOS/a/{number}.jpg")
    assert bench.run([bench.region_record(start_frame_bbox=[400, 200, 600, 300])], "--patch", "16") == 0
    [copy] = (bench.out / "frames_rc").iterdir()
    with Image.open(copy) as drawn:
        assert drawn.getpixel((500, 187))[1] > 200  # 15 pixels above the box; for patches of 14 pixels 9 would do


def test_a_box_to_be_found_beside_a_portrait_frame(bench, capsys):
    """It fits the frame turned by 270 degrees, as a region's box may; yet nobody turns the frame that is shown."""
    for number in range(3):
        Image.new("RGB", (48, 64)).save(bench.root / f"frames/AVOS/a/{number}.jpg")
    box = [50, 8, 60, 32]
    assert bench.run([bench.region_record(start_frame_bbox=box)]) == 0
    record = bench.record(qa_type="stg", struc_info=[{"bbox_dict": {"1.0": box}}])
    assert bench.run([record]) == 1
    assert "struc_info: [50, 8, 60, 32] leaves the frame of 48x64 pixels" in capsys.readouterr().err


def test_a_pipe_in_the_place_of_the_file(bench, capsys):
    os.mkfifo(bench.json)
    assert bench.convert() == 1
    assert "data.json is no regular file" in capsys.readouterr().err


def test_a_line_break_within_a_path(bench, capsys):
    paths = bench.record()["video"]
    assert bench.run([bench.record(video=[paths[0], "/root/data/AVOS\n/root/data/AVOS/a/1.jpg"])], "--skip-frames") == 1
    assert 'video[1]: is "/root/data/AVOS\\n/root/data' in capsys.readouterr().err
    store = FrameStore("/f")
    assert len(store.resolve_all(["/root/data/a\n/root/data/b", "/root/data/c"])) == 2


@pytest.mark.parametrize("token", ["<|video_pad|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|endoftext|>"])
@pytest.mark.parametrize("side", ["question", "answer"])
def test_tokens_of_models_in_a_text(bench, capsys, token, side):
    record = bench.record("b", conversations=said(**{side: f"What {token} here?"}))
    assert bench.run([bench.record(), record]) == 1
    assert f"record 1 (b&&0&&2&&1.0), conversations: hold {token} inside the {side}" in capsys.readouterr().err


NORMALIZED = [[0.1, 0.2, 0.5, 0.6], [0, 0, 1, 1], [0.2, 0.3, 0.1, 0.1], [-0.01, 0.5, 1.02, 0.9]]


@pytest.mark.parametrize("box", NORMALIZED)
@pytest.mark.parametrize("options", [(), ("--skip-frames",)])
def test_normalized_boxes(bench, capsys, box, options):
    answered = bench.record(qa_type="stg", struc_info=None, conversations=said("Where?", f"1.0 seconds: {box}"))
    found = bench.record(qa_type="stg", struc_info=[{"bbox_dict": {"1.0": box}}])
    assert bench.run([answered, found, bench.region_record(start_frame_bbox=box)], *options) == 1
    fields = [failure["field"] for failure in bench.failures()]
    assert fields == ["conversations", 'struc_info.bbox_dict["1.0"]', "RC_info.start_frame_bbox"]
    assert "shares of the frame, not pixels. Multiply it by the frame's width" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:a\n", "a Git LFS pointer, not the file itself"),
        (b"\n<!DOCTYPE html><html>Access denied</html>", "a web page or XML"),
        (gzip.compress(b"[]", mtime=0), "compressed (gzip): unpack it first"),
        (b"PK\x03\x04...", "a ZIP archive: unpack it first"),
        (json.dumps([{}]).encode("utf-16"), "UTF-16 text: save it as UTF-8"),
        (b"\0\x05\x16\x07\0\x02\0\0Mac OS X", "macOS metadata (AppleDouble)"),
        (b'{"data": [{"id": 1}]}', "it holds one object. Write the list of its records alone"),
        (b'{\n "data": [\n {"id": 1}]\n}', "it holds neither: its first line is no whole object"),
    ],
)  # fmt: skip
def test_files_of_another_kind_are_named(bench, capsys, content, message):
    bench.json.write_bytes(content)
    assert bench.convert() == 1
    shown = capsys.readouterr().err
    assert "data.json does not begin with [" in shown and message in shown and shown.count("error: ") == 1


@pytest.mark.parametrize("end", ["\n", "\r\n", "\n\n"])
@pytest.mark.parametrize("start", ["", "\ufeff", "\n"])
def test_json_lines(bench, start, end):
    records = [bench.record(), bench.record("b"), bench.region_record()]
    assert bench.run(records, "--val-ratio", "0") == 0
    expected = bench.rows("train")
    bench.json = bench.json.with_suffix(".jsonl")
    assert bench.run(start + lines(records, end), "--val-ratio", "0") == 0 and bench.rows("train") == expected
    assert bench.run(lines(records[:1]), "--val-ratio", "0") == 0 and bench.rows("train") == expected[:1]


def test_a_bad_line_of_json_lines(bench, capsys):
    assert bench.run(lines([bench.record(), bench.record("b")])[:-9]) == 1
    assert "data.json, record 1 (no id), record: is no JSON" in capsys.readouterr().err


def test_the_json_file_is_never_written_onto(bench, capsys):
    bench.out.mkdir()
    bench.json = bench.out / "failed.jsonl"
    assert bench.run(lines([bench.record(), bench.record("b")])) == 1
    assert (
        "failed.jsonl is an input, and would be overwritten. Choose another folder with --out"
        in capsys.readouterr().err
    )
    assert bench.json.read_text() == lines([bench.record(), bench.record("b")])


@pytest.mark.parametrize(("name", "guess"), [("tall", "tal"), ("video_sumary_gpt", "video_summary")])
def test_an_unknown_qa_type_suggests_the_nearest(bench, capsys, name, guess):
    assert bench.run([bench.record(qa_type=name)]) == 0
    assert f"unknown qa_type '{name}' (did you mean '{guess}'?); they were kept" in capsys.readouterr().out


def test_tasks_of_your_own_and_misspelt_ones(bench, capsys):
    records = [bench.record(), bench.record("b", qa_type="Tool counting")]
    assert bench.run(records, "--val-ratio", "0", "--tasks", "tool_counting") == 0
    assert [row["ability"] for row in bench.rows("train")] == ["tool_counting"]
    assert bench.run(records, "--val-ratio", "0", "--tasks", "tal") == 0
    assert [row["ability"] for row in bench.rows("train")] == ["tag"]
    assert bench.run(records, "--tasks", "tag", "tol_counting") == 1
    assert "--tasks tol_counting (did you mean 'tool_counting'?): no record of" in capsys.readouterr().err


def test_equal_errors_are_told_once(bench, capsys):
    missing = [bench.record(id=str(n), video=[f"/root/data/AVOS/c/{n}.jpg"]) for n in range(25)]
    assert bench.run([bench.record(), *missing, bench.record("b", qa_type=7)]) == 1
    shown = [line for line in capsys.readouterr().err.splitlines() if line.startswith(("failed: ", "error: "))]
    assert len(shown) == 3 and shown[0].endswith("unpack the frames again (24 more like it)")
    assert "record 26" in shown[1] and "26 records failed" in shown[2]
    assert len(bench.failures()) == 26


def test_the_id_0(bench):
    assert bench.run([bench.record(id=0), bench.record("b", id=1)], "--val-ratio", "0") == 0
    assert [row["extra_info"]["id"] for row in bench.rows("train")] == ["0", "1"]
    assert bench.run([bench.record(id=0, video=[])]) == 1
    assert bench.failures()[0]["id"] == "0"


def test_a_source_with_a_sign_that_separates_names(bench, capsys):
    assert bench.run([bench.record(data_source="A|B/C")], "--val-ratio", "0") == 0
    assert "source 'A_B_C' is none of MedVidBench's" in capsys.readouterr().out
    assert bench.rows("train")[0]["data_source"] == "medvidbench/A_B_C/tag"
