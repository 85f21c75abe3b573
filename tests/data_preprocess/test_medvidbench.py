# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""The command from JSON to Parquet: what it writes, what it refuses, and that it never leaves half a file."""

import errno
import itertools
import json

import pyarrow.parquet as pq
import pytest
from PIL import Image

from data_preprocess import medvidbench
from data_preprocess.common.run_summary import FAILURES_SHOWN
from data_preprocess.media.token_count import video_size
from data_preprocess.synthetic import clips
from data_preprocess.video.medvidbench_names import SOURCES, task_of


def read(path):
    return pq.read_table(path).to_pylist()


def convert(world, out, *options):
    paths = ["--json", world / clips.JSON_NAME, "--frames-root", world / "frames", "--out", out]
    return medvidbench.main([*map(str, paths), *options])


@pytest.fixture(scope="module")
def converted(small_world, tmp_path_factory):
    out = tmp_path_factory.mktemp("parquet")
    assert convert(small_world, out, "--verify-frames") == 0
    return out


@pytest.fixture(scope="module")
def rows(converted):
    return {split: read(converted / f"{split}.parquet") for split in ("train", "val")}


def test_every_record_becomes_a_row(rows, small_world):
    records = json.loads((small_world / clips.JSON_NAME).read_text())
    everything = rows["train"] + rows["val"]
    assert sorted(each["extra_info"]["index"] for each in everything) == list(range(len(records)))
    for each in everything:
        record, extra = records[each["extra_info"]["index"]], each["extra_info"]
        assert each["prompt"][0]["content"] == "<video>" + record["conversations"][0]["value"].removeprefix("<video>\n")
        assert each["reward_model"]["ground_truth"] == record["conversations"][1]["value"]
        assert each["messages"][1]["content"] == record["conversations"][1]["value"]
        assert each["data_source"] == f"medvidbench/{extra['source']}/{extra['task']}"
        assert each["ability"] == extra["task"] == task_of(record["qa_type"])
        assert extra["source"] in SOURCES
        assert each["videos"][0]["sample_fps"] == extra["fps"] == float(record["metadata"]["fps"])
        assert json.loads(extra["metadata"]) == record["metadata"]
        assert extra["num_tokens"] == video_size(len(record["video"]), 56, 112).num_tokens
        assert (extra["height"], extra["width"]) == (56, 112)


def test_one_fps_for_all_clips_is_what_the_model_is_told_and_nothing_else(rows, small_world, tmp_path):
    assert convert(small_world, tmp_path, "--position-fps", "2") == 0
    told = read(tmp_path / "train.parquet")
    assert {clip["sample_fps"] for each in told for clip in each["videos"]} == {2.0}
    assert {clip["raw_fps"] for each in told for clip in each["videos"]} == {2.0}
    for each, true in zip(told, rows["train"], strict=True):
        assert len({clip["sample_fps"] for row in rows["train"] for clip in row["videos"]}) > 1
        assert each["extra_info"] == true["extra_info"] and each["reward_model"] == true["reward_model"]
        assert each["prompt"] == true["prompt"]
    with pytest.raises(SystemExit):
        convert(small_world, tmp_path, "--position-fps", "0")


def test_split_is_by_source_video(rows):
    videos = {
        split: {(each["extra_info"]["source"], each["extra_info"]["video_id"]) for each in rows[split]}
        for split in rows
    }
    assert not videos["train"] & videos["val"]
    assert {source for source, _ in videos["train"]} == {source for source, _ in videos["val"]} == set(SOURCES)
    assert {each["extra_info"]["split"] for each in rows["val"]} == {"val"}


def test_only_the_frame_with_the_box_is_replaced(rows, converted, small_world):
    records = json.loads((small_world / clips.JSON_NAME).read_text())
    for each in rows["train"] + rows["val"]:
        record = records[each["extra_info"]["index"]]
        for path, original in zip(each["videos"][0]["video"], record["video"], strict=True):
            drawn = record["is_RC"] and original == record["RC_info"]["start_frame"]
            frame = small_world / "frames" / original.removeprefix("/root/data/")
            assert path.startswith(str(converted / "frames_rc")) if drawn else path == str(frame)
            with Image.open(path) as picture:
                assert picture.size == (112, 56)


def test_again_gives_the_same_bytes(converted, small_world):
    before = {path: path.read_bytes() for path in converted.rglob("*") if path.is_file()}
    assert convert(small_world, converted) == 0
    assert {path: path.read_bytes() for path in converted.rglob("*") if path.is_file()} == before


def test_tasks(small_world, tmp_path, capsys):
    assert convert(small_world, tmp_path, "--tasks", "stg", "sa") == 0
    assert {each["ability"] for each in read(tmp_path / "train.parquet")} == {"stg", "sa"}
    shown = capsys.readouterr().out
    assert "JIGSAWS" in shown and "NurViD" not in shown


def test_pixel_limits_reach_row_and_count(bench):
    assert bench.run([bench.record()], "--min-pixels", "784", "--max-pixels", "3136") == 0
    (each,) = bench.rows("train")
    assert (each["videos"][0]["min_pixels"], each["videos"][0]["max_pixels"]) == (784, 3136)
    assert each["extra_info"]["num_tokens"] == video_size(3, 48, 64, min_pixels=784, max_pixels=3136).num_tokens


def test_questions_only(bench, capsys):
    question = bench.record(conversations=bench.record()["conversations"][:1], struc_info=None)
    assert bench.run([question, question]) == 1
    assert (
        "conversations: hold no answer. Add it; a file of questions alone is for python -m data_preprocess.medvidbench "
        "--questions-only"
    ) in capsys.readouterr().err
    assert bench.run([question, question], "--questions-only") == 0
    each, twin = bench.rows("test")
    assert each["messages"] == each["prompt"] == twin["prompt"]
    assert each["reward_model"]["ground_truth"] == each["extra_info"]["struc_info"] == ""
    assert each["extra_info"]["split"] == "test"


def test_unknown_qa_types_are_kept_and_reported(bench, capsys):
    assert bench.run([bench.record(qa_type="tool_counting")]) == 0
    assert "1 records: of the unknown qa_type 'tool_counting'" in capsys.readouterr().out
    assert bench.rows("train")[0]["data_source"] == "medvidbench/AVOS/tool_counting"


def test_duplicates_are_left_out_and_reported(bench, capsys):
    assert bench.run([bench.record(), bench.record("b"), bench.record()]) == 0
    shown = capsys.readouterr()
    assert "data.json, record 2 (a&&0&&2&&1.0), record: repeats an earlier one" in shown.err
    assert "0 failed, 1 duplicates" in shown.out
    assert [failure["kind"] for failure in bench.failures()] == ["duplicate"]


def test_what_a_repetition_is(bench):
    """The same question with the same answer about the same frames, of one kind, whatever else the records say."""
    record = bench.record()
    answer = [record["conversations"][0], {"from": "gpt", "value": "1.0-2.0 seconds."}]
    records = [
        record,
        dict(reversed(record.items())),
        record | {"id": "other", "struc_info": None, "data_source": "avos"},
        record | {"conversations": [{"value": "When is the cutting?", "role": "user"}, record["conversations"][1]]},
        record | {"conversations": answer},
        record | {"qa_type": "tag"},
        record | {"video": record["video"][:2]},
        record | {"metadata": record["metadata"] | {"fps": "2.0"}},
        record | {"data_source": "NurViD"},
        bench.region_record(),
        bench.region_record(start_frame_bbox=[0, 0, 20, 20]),
    ]
    text = json.dumps(records[:2])[:-1] + "," + json.dumps(records[2:], indent=1)[1:]
    assert bench.run(text, "--val-ratio", "0") == 0
    assert [(each["record"], each["kind"]) for each in bench.failures()] == [(n, "duplicate") for n in (1, 2, 3)]
    assert len(bench.rows("train")) == len(records) - 3


def test_half_a_character(bench, capsys):
    """It is no UTF-8, and Parquet could not hold it; whole ones beyond 16 bits are escaped in the same way."""
    conversation = [{"from": "human", "value": "When?"}, {"from": "gpt", "value": "x \ud83d y"}]
    whole = [{"from": "human", "value": "When? \U0001f600"}, {"from": "gpt", "value": "now"}]
    records = [bench.record(conversations=whole), bench.record(conversations=conversation), bench.record(id="\ud83d")]
    assert bench.run(records, "--max-failed", "2", "--val-ratio", "0") == 0
    assert len(bench.rows("train")) == 1
    assert [failure["field"] for failure in bench.failures()] == ["conversations[1].value", "id"]
    assert "holds half a character" in capsys.readouterr().err


def test_names_that_look_like_markup(bench, capsys):
    assert bench.run([bench.record(data_source="A[red]", qa_type="count[/i]")], "--val-ratio", "0") == 0
    assert "A[red]" in (shown := capsys.readouterr().out) and "count[/i]" in shown


def test_failures_are_listed_and_stop_the_command(bench, capsys):
    assert bench.run([bench.record(), bench.record("b")]) == 0
    before = (bench.out / "train.parquet").read_bytes()
    bad = bench.record("b", metadata={"fps": "0", "video_id": "b"})
    assert bench.run([bench.record(), bad]) == 1
    shown = capsys.readouterr().err
    assert 'data.json, record 1 (b&&0&&2&&1.0), metadata.fps: is "0". Give the sampled' in shown
    assert "1 records failed, 0 are allowed" in shown
    (failure,) = bench.failures()
    assert (failure["record"], failure["field"], failure["kind"]) == (1, "metadata.fps", "failed")
    assert (bench.out / "train.parquet").read_bytes() == before
    assert sorted(path.name for path in bench.out.iterdir()) == ["failed.jsonl", "train.parquet", "val.parquet"]


def test_max_failed(bench):
    bad = bench.record("b", video=[])
    assert bench.run([bench.record(), bad, "no record"], "--max-failed", "2") == 0
    assert len(bench.rows()) == 1
    assert len(bench.failures()) == 2
    assert bench.run([bench.record()]) == 0
    assert not (bench.out / "failed.jsonl").exists()


def test_long_lists_are_cut_in_the_terminal(bench, capsys):
    words = ["".join(letters) for letters in itertools.product("abcde", repeat=2)]
    assert bench.run([bench.record(video=word) for word in words]) == 1
    shown = capsys.readouterr().err
    assert shown.count("failed: ") == FAILURES_SHOWN
    assert "and more of 5 other kinds in" in shown


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "data.json does not begin with [: a JSON array of records is expected"),
        ('[{"id": "a", "video": ["/root/da', "data.json, record 0: the file is cut off"),
        ("[]", "data.json holds an empty array"),
    ],
)
def test_unusable_files(bench, capsys, text, message):
    assert bench.run(text) == 1
    assert message in capsys.readouterr().err
    assert not bench.out.exists()


@pytest.mark.parametrize(
    ("record", "message"),
    [('{"id" "a"}', "is no JSON (Expecting ':' delimiter"), ('{"id": ' + "9" * 5000 + "}", "is no JSON (Exceeds the")],
)
def test_a_record_that_is_no_json(bench, capsys, record, message):
    assert bench.run(json.dumps([bench.record()])[:-1] + f", {record}]", "--max-failed", "1") == 0
    assert f"data.json, record 1 (no id), record: {message}" in capsys.readouterr().err


def test_unusable_paths(bench, capsys):
    bench.write([bench.record()])
    arguments = {"--json": bench.json, "--frames-root": bench.root / "frames", "--out": bench.out}

    def run(**changes):
        code = medvidbench.main([str(part) for pair in (arguments | changes).items() for part in pair])
        return code, capsys.readouterr().err

    code, shown = run(**{"--json": bench.root / "none.json"})
    assert code == 1 and f"error: No such file or directory: {bench.root}/none.json" in shown
    assert "error: Is a directory" in run(**{"--json": bench.root})[1]
    assert "is not a folder. Give the folder of the frames" in run(**{"--frames-root": bench.root / "none"})[1]
    code, shown = run(**{"--out": bench.json})
    assert code == 1 and "File exists" in shown


def test_a_missing_frame(bench, capsys):
    (bench.root / "frames/AVOS/a/2.jpg").unlink()
    assert bench.run([bench.record()]) == 0
    assert bench.run([bench.record()], "--verify-frames") == 1
    shown = capsys.readouterr().err
    assert "record 0 (a&&0&&2&&1.0), video: " in shown
    assert "frames/AVOS/a/2.jpg does not exist. Check --frames-root and --path-prefix" in shown


def test_a_wrong_frames_root_is_seen_without_verification(bench, capsys):
    assert bench.run([bench.record()], "--path-prefix", "/other/") == 1
    assert "/root/data/AVOS/a/0.jpg does not exist. Check --frames-root" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["region", "grounding", "answer"])
def test_boxes_outside_the_frame(bench, capsys, kind):
    box = [10, 10, 400, 40]
    if kind == "region":
        record, field = bench.region_record(start_frame_bbox=box), "RC_info"
    elif kind == "answer":
        conversation = [{"from": "human", "value": "Where?"}, {"from": "gpt", "value": f"0.0 seconds: {box}"}]
        record, field = bench.record(qa_type="stg", struc_info=None, conversations=conversation), "conversations"
    else:
        record, field = bench.record(qa_type="stg", struc_info=[{"bbox_dict": {"0.0": box}}]), "struc_info"
    assert bench.run([record]) == 1
    assert (
        "leaves the frame of 64x48 pixels. Boxes are pixels of" in (shown := capsys.readouterr().err)
        and f"{field}: [10" in shown
    )


def test_a_box_to_be_found_without_area(bench, capsys):
    """Rewards pass over it; there is nothing to describe in it."""
    info = [{"bbox_dict": {"0.0": [5, 5, 5, 20], "1.0": [5, 5, 20, 20]}}]
    record = bench.record(qa_type="stg", struc_info=info, conversations=[
        {"from": "human", "value": "Where?"}, {"from": "gpt", "value": "1.0 seconds: [5, 5, 20, 20]"}])  # fmt: skip
    assert bench.run([record, bench.record("b")]) == 0
    assert "note: 1 records: a box to be found has no area" in capsys.readouterr().out
    assert len(bench.rows()) == 2
    assert bench.run([bench.region_record(start_frame_bbox=[5, 5, 5, 20])]) == 1
    assert "RC_info: [5, 5, 5, 20] has no area" in capsys.readouterr().err


@pytest.mark.parametrize(
    "info", [None, {}, {"start_frame": "/root/data/AVOS/a/9.jpg", "start_frame_bbox": [1, 2, 30, 40]}]
)
def test_a_region_caption_of_the_test_file_without_region(bench, capsys, info):
    """A submission needs an answer to it."""
    record = bench.region_record() | {"RC_info": info}
    assert bench.run([bench.region_record(), record]) == 1
    assert "RC_info" in capsys.readouterr().err
    assert bench.run([bench.region_record(), record], "--questions-only") == 0
    assert "note: 1 records: a region caption without RC_info" in capsys.readouterr().out
    drawn = [["frames_rc" in frame for frame in row["videos"][0]["video"]] for row in bench.rows("test")]
    assert drawn == [[False, True, False], [False, False, False]]


@pytest.mark.parametrize(
    "options, file", [((), "train"), (("--val-ratio", "1"), "val"), (("--questions-only",), "test")]
)
def test_the_next_command(bench, capsys, options, file):
    bench.out = bench.root / "my out"
    assert bench.run([bench.record()], *options) == 0
    assert capsys.readouterr().out.endswith(f"\nnext: medgrpo data check '{bench.out}/{file}.parquet'\n")


def test_a_region_frame_that_is_missing(bench, capsys):
    (bench.root / "frames/AVOS/a/1.jpg").unlink()
    assert bench.run([bench.region_record()]) == 1
    assert "RC_info: " in (shown := capsys.readouterr().err) and "a/1.jpg does not exist" in shown


def test_a_repeated_frame_gets_its_box_once(bench):
    record = bench.region_record()
    record["video"] = [record["video"][1], *record["video"]]
    assert bench.run([record]) == 0
    frames = bench.rows("train")[0]["videos"][0]["video"]
    assert ["frames_rc" in frame for frame in frames] == [True, False, False, False]


@pytest.mark.parametrize("moment", ["write_table", "close"])
def test_a_full_disk_leaves_everything_as_it_was(bench, capsys, monkeypatch, moment):
    assert bench.run([bench.record(), bench.record("b")]) == 0
    before = {path.name: path.read_bytes() for path in bench.out.iterdir()}

    def full(*arguments):
        # Once: the writer tries again when it is collected.
        monkeypatch.undo()
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pq.ParquetWriter, moment, full)
    assert bench.run([bench.record("b"), bench.record()]) == 1
    assert "No space left on device" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in bench.out.iterdir()} == before


def test_no_record_of_the_tasks(bench, capsys):
    assert bench.run([bench.record()], "--tasks", "cvs") == 1
    assert "holds no usable record of the tasks cvs" in capsys.readouterr().err


def test_a_frame_that_the_model_cannot_take(bench, capsys):
    Image.new("RGB", (900, 9)).save(bench.root / "frames/AVOS/b/0.jpg")
    assert bench.run([bench.record("b")]) == 1
    assert "video: a frame of 900x9 pixels loses a side within 37632 pixels" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--per-pair", "-1"], "--per-pair: -1 is below 1"),
        (["--workers", "many"], "invalid whole number value: 'many'"),
        (["--min-pixels", "50000"], "--min-pixels 50000 is above --max-pixels 37632"),
        (["--questions-only", "--per-pair", "2"], "--questions-only has none"),
        (["--val-ratio", "-0.1"], "--val-ratio -0.1 is not between 0 and 1"),
        (["--out", "a\udcff"], "--out: 'a\\udcff' is no UTF-8"),
        (["--frames-root", "a\udcff"], "--frames-root: 'a\\udcff' is no UTF-8"),
        (["--val-ratio", "1.5"], "--val-ratio 1.5 is not between 0 and 1"),
    ],
)
def test_options_that_make_no_sense(bench, capsys, options, message):
    with pytest.raises(SystemExit) as stopped:
        bench.run([bench.record()], *options)
    assert stopped.value.code == 2 and message in capsys.readouterr().err
