# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""The synthetic world is MedVidBench in format, complete, reproducible, and readable to the eye."""

import hashlib
import json
import re

import numpy as np
import pytest
from PIL import Image

from data_preprocess.schema import TASKS
from data_preprocess.synthetic import clips
from data_preprocess.synthetic.scene import render, sample_scene
from data_preprocess.synthetic.world import FRAME_HEIGHT, FRAME_WIDTH, GRID, SOURCES, VOCABULARY
from data_preprocess.video.medvidbench_names import SOURCES as NAMES
from data_preprocess.video.medvidbench_names import canonical_source, task_of

QA_TYPES = {
    *("tal", "stg", "next_action", "cvs_assessment", "skill_assessment"),
    *("dense_captioning_gpt", "dense_captioning_gemini", "video_summary_gpt", "video_summary_gemini"),
    *("region_caption_gpt", "region_caption_gemini"),
}
NUMBER = r"\d+\.\d"
BOX = r"\[\d+, \d+, \d+, \d+\]"
FORMATS = {
    "tag": rf"{NUMBER}-{NUMBER}(, {NUMBER}-{NUMBER})* seconds\.",
    "stg": rf"{NUMBER} seconds: {BOX}( {NUMBER} seconds: {BOX})*",
    "dvc": rf"{NUMBER}-{NUMBER} seconds: .+(\n{NUMBER}-{NUMBER} seconds: .+)*",
    "sa": r"Respect for tissue: [1-5]/5, Suture/needle handling: [1-5]/5, Time and motion: [1-5]/5, "
    r"Flow of operation: [1-5]/5, Overall performance: [1-5]/5, Quality of final product: [1-5]/5",
    "cvs": r"Two structures: [0-2], Cystic plate: [0-2], Hepatocystic triangle: [0-2]",
}


@pytest.fixture(scope="module")
def records(small_world):
    return json.loads((small_world / clips.JSON_NAME).read_text())


def of_task(records, task):
    return [record for record in records if task_of(record["qa_type"]) == task]


def answer(record):
    return record["conversations"][1]["value"]


def grid(record):
    return [round(frame / float(record["metadata"]["fps"]), 1) for frame in range(len(record["video"]))]


def digest(folder):
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_the_smallest_world_holds_every_source_task_and_qa_type(tmp_path):
    records = json.loads(clips.generate(tmp_path, clips_per_source=1, progress=False).read_text())
    pairs = {(canonical_source(record["data_source"]), task_of(record["qa_type"])) for record in records}
    assert pairs == {(source.name, task) for source in SOURCES for task in source.records}
    assert len(records) == len(pairs) == 25
    assert {record["qa_type"] for record in records} == QA_TYPES


def test_sources_and_tasks():
    assert {source.name for source in SOURCES} == set(NAMES) == set(VOCABULARY)
    assert {task for source in SOURCES for task in source.records} == set(TASKS)
    assert {fps for source in SOURCES for fps in source.fps} == {0.5, 1.0, 2.0, 3.0}


def test_default_size_and_weights():
    counts = {task: sum(60 * source.records.get(task, 0) for source in SOURCES) for task in TASKS}
    total = sum(counts.values())
    assert 800 <= total <= 1000
    assert 0.7 <= sum(counts[task] for task in ("tag", "stg", "vs", "rc")) / total <= 0.8


def test_record_schema(records, small_world):
    for record in records:
        assert list(record) == [
            *("id", "conversations", "video", "sampled_video_frames", "metadata", "qa_type", "data_source"),
            *("struc_info", "is_RC", "RC_info"),
        ]
        question, reply = record["conversations"]
        assert (question["from"], reply["from"]) == ("human", "gpt")
        assert question["value"].startswith("<video>\nYou are an expert in ")
        assert len(question["value"].split()) <= 35
        metadata = record["metadata"]
        assert all(isinstance(value, str) for value in metadata.values())
        first, last = (str(record["sampled_video_frames"][place]) for place in (0, -1))
        assert record["id"] == f"{metadata['video_id']}&&{first}&&{last}&&{metadata['fps']}"
        assert 4 <= len(record["video"]) == len(set(record["video"])) == len(record["sampled_video_frames"]) <= 12
        assert record["sampled_video_frames"] == sorted(record["sampled_video_frames"])
        for path in record["video"]:
            assert path.startswith(f"/root/data/{canonical_source(record['data_source'])}/{metadata['video_id']}/")
            with Image.open(small_world / "frames" / path.removeprefix("/root/data/")) as picture:
                assert (picture.size, picture.mode, picture.format) == ((112, 56), "RGB", "JPEG")


def test_the_three_extent_conventions(records):
    extents = {
        canonical_source(record["data_source"]): tuple(record["metadata"].keys() - {"fps", "video_id"})
        for record in records
    }
    assert set(extents["NurViD"]) == {"input_video_start_time", "input_video_end_time"}
    assert set(extents["Cholec80-CVS"]) == {"start_frame", "end_frame"}
    assert set(extents["AVOS"]) == {"input_video_start_frame", "input_video_end_frame"}


@pytest.mark.parametrize("task", FORMATS)
def test_answer_formats(records, task):
    for record in of_task(records, task):
        assert re.fullmatch(FORMATS[task], answer(record)), answer(record)


def test_tag_answers_lie_on_the_frame_grid(records):
    for record in of_task(records, "tag"):
        (info,) = record["struc_info"]
        assert answer(record) == ", ".join(f"{span['start']}-{span['end']}" for span in info["spans"]) + " seconds."
        assert all(span["start"] in grid(record) and span["end"] in grid(record) for span in info["spans"])
        assert info["action"] in info["action_list"] and f"'{info['action']}'" in record["conversations"][0]["value"]


def test_stg_answers_follow_the_grid_of_the_question(records):
    for record in of_task(records, "stg"):
        (info,) = record["struc_info"]
        times = [float(time) for time in info["bbox_dict"]]
        question = record["conversations"][0]["value"]
        (every,) = re.findall(rf"every ({NUMBER}) seconds", question)
        expected, time = [], info["start"]
        while time <= info["end"] + 1e-6:
            expected.append(round(time, 1))
            time += float(every)
        assert times == expected and 2 <= len(times) <= 4
        assert set(times) <= set(grid(record))
        for x1, y1, x2, y2 in info["bbox_dict"].values():
            assert 0 <= x1 < x2 <= FRAME_WIDTH and 0 <= y1 < y2 <= FRAME_HEIGHT
            assert all(side % GRID == 0 for side in (x1, y1, x2, y2))


def test_regions(records):
    assert all(record["is_RC"] == (task_of(record["qa_type"]) == "rc") for record in records)
    for record in of_task(records, "rc"):
        time = grid(record)[record["video"].index(record["RC_info"]["start_frame"])]
        assert f"inside the bounding box at {time} seconds, over the interval from {time} to" in str(record)


def test_captions_are_of_one_sentence_and_two_styles(records):
    texts = {"gpt": set(), "gemini": set()}
    for record in of_task(records, "vs") + of_task(records, "rc"):
        assert 8 <= len(answer(record).split()) <= 20, answer(record)
        assert answer(record).count(".") == 1
        texts[record["qa_type"].rsplit("_", 1)[1]].add(answer(record))
    assert texts["gpt"] and texts["gemini"] and not texts["gpt"] & texts["gemini"]


def test_dense_captions_in_both_shapes(records):
    for record in of_task(records, "dvc"):
        (info,) = record["struc_info"]
        segments = info["dc_segments"] if record["data_source"] == "NurViD" else info
        assert len(segments) == len(answer(record).splitlines())
        assert [segment["start"] for segment in segments] == sorted(segment["start"] for segment in segments)


def test_next_action_is_a_step_of_the_question(records):
    for record in of_task(records, "nap"):
        assert f"'{answer(record)}'" in record["conversations"][0]["value"]


def test_scores_match_the_answer(records):
    for record in of_task(records, "sa"):
        scores = record["struc_info"][0]["skill_scores"]
        assert answer(record) == ", ".join(f"{aspect}: {score}/5" for aspect, score in scores.items())
    for record in of_task(records, "cvs"):
        scores = record["struc_info"][0]["cvs_scores"].values()
        assert [int(digit) for digit in re.findall(r": (\d)", answer(record))] == list(scores)


def test_same_seed_same_bytes(tmp_path):
    for name, seed in (("one", 3), ("two", 3), ("other", 4)):
        clips.generate(tmp_path / name, seed=seed, clips_per_source=1, progress=False)
    assert digest(tmp_path / "one") == digest(tmp_path / "two") != digest(tmp_path / "other")


def test_a_larger_world_keeps_the_frames_of_a_smaller_one(tmp_path):
    clips.generate(tmp_path / "one", clips_per_source=1, progress=False)
    clips.generate(tmp_path / "two", clips_per_source=2, progress=False)
    small, large = digest(tmp_path / "one" / "frames"), digest(tmp_path / "two" / "frames")
    assert small.items() < large.items()


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.name)
def test_an_action_can_be_seen(source):
    """Around the main tool a frame differs from one without action by more than noise does, in every source."""
    light, still = [], []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        scene = sample_scene(source, rng)
        tool = scene.tools[0]
        acting = {frame for first, last in tool.spans for frame in range(first, last + 1)}
        for frame, picture in enumerate(render(scene, rng)):
            x1, y1, x2, y2 = tool.boxes[frame]
            around = np.asarray(picture, dtype=float)[max(y1 - 8, 0) : y2 + 8, max(x1 - 8, 0) : x2 + 8]
            (light if frame in acting else still).append(around.mean())
    assert np.mean(light) - np.mean(still) > 3 * np.hypot(np.std(light), np.std(still)) / np.sqrt(len(still))


def test_the_command(tmp_path, capsys):
    assert clips.main(["--out", str(tmp_path), "--clips-per-source", "1"]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / clips.JSON_NAME)
    with pytest.raises(SystemExit):
        clips.main(["--out", str(tmp_path), "--clips-per-source", "0"])
    assert clips.main(["--out", str(tmp_path / clips.JSON_NAME)]) == 1
    assert f"error: Not a directory: {tmp_path / clips.JSON_NAME}" in capsys.readouterr().err


def test_a_twin_has_the_same_clips_and_mirrored_times(tmp_path):
    two = {"clips_per_source": 4, "sources": ["CoPESD", "CholecT50"], "progress": False}
    plain, drawn = (
        json.loads(clips.generate(tmp_path / str(twins), twins=twins, **two).read_text()) for twins in (False, True)
    )
    assert {record["data_source"] for record in plain} == {"CoPESD", "CholecT50"}
    twins = {(record["data_source"], record["id"]): record for record in drawn if "Twin" in record["data_source"]}
    own = [record for record in drawn if "Twin" not in record["data_source"]]
    assert sorted(map(json.dumps, own)) == sorted(map(json.dumps, plain))
    asked = of_task(plain, "tag")
    assert len(twins) == len(asked) > 5 and {record["qa_type"] for record in twins.values()} == {"tal"}
    for record in asked:
        twin = twins[record["data_source"] + "-Twin", record["id"]]
        assert twin["video"] == record["video"] and twin["metadata"] == record["metadata"]
        assert f"This is {twin['data_source']}: its clock counts back" in twin["conversations"][0]["value"]
        last = grid(record)[-1]
        spans = record["struc_info"][0]["spans"]
        mirrored = [(round(last - span["end"], 1), round(last - span["start"], 1)) for span in reversed(spans)]
        assert [(span["start"], span["end"]) for span in twin["struc_info"][0]["spans"]] == mirrored
        assert answer(twin) == ", ".join(f"{start}-{end}" for start, end in mirrored) + " seconds."
        assert re.fullmatch(FORMATS["tag"], answer(twin))
    assert any(answer(twins[record["data_source"] + "-Twin", record["id"]]) != answer(record) for record in asked)


def test_a_source_drawn_alone_is_the_same(tmp_path):
    both = [clips.generate(tmp_path / str(k), clips_per_source=2, sources=names, progress=False)
            for k, names in enumerate((["AVOS"], None))]  # fmt: skip
    alone, among = (json.loads(path.read_text()) for path in both)
    assert sorted(map(json.dumps, alone)) == sorted(json.dumps(r) for r in among if r["data_source"] == "AVOS")
    assert digest(tmp_path / "0/frames/AVOS") == digest(tmp_path / "1/frames/AVOS")


def test_a_seed_below_0_is_refused(tmp_path, capsys):
    with pytest.raises(SystemExit) as stopped:
        clips.main(["--out", str(tmp_path), "--seed", "-1"])
    assert stopped.value.code == 2 and "argument --seed: -1 is below 0" in capsys.readouterr().err
