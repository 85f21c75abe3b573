# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Each source in its publishers' format: built, converted, checked; and the traps of its files."""

import json
import shlex
import shutil

import pyarrow.parquet as pq
import pytest
from published_sources import WRITERS, cholect45, cholect50, text

from data_preprocess import medvidbench
from data_preprocess.build import __main__ as build_command
from data_preprocess.build.__main__ import main
from data_preprocess.build.annotated import Settings
from data_preprocess.build.published import read_sheet
from data_preprocess.build.sources import cholectrack20
from data_preprocess.video.record import split_unit
from recipe.medgrpo.data_audit.check import check

pytest.importorskip("decord")
pytest.importorskip("cv2")
TASKS = {
    "AVOS": {"tal", "next_action", "stg"},
    "CholecT50": {"tal", "next_action"},
    "Cholec80-CVS": {"cvs_assessment"},
    "CholecTrack20": {"stg"},
    "CoPESD": {"tal", "next_action", "stg"},
    "EgoSurgery": {"tal", "next_action", "stg"},
    "JIGSAWS": {"skill_assessment"},
    "NurViD": {"tal", "next_action"},
}
REQUESTS = {
    "AVOS": {"video_summary"},
    "CholecT50": {"video_summary", "dense_captioning"},
    "CholecTrack20": {"video_summary", "region_caption"},
    "CoPESD": {"video_summary"},
    "EgoSurgery": {"video_summary", "region_caption"},
    "NurViD": {"video_summary", "dense_captioning"},
}


def build(name, root, out):
    """Records, requests for captions, and notes."""
    assert main([name, "--root", str(root), "--out", str(out)]) == 0
    lines = (out / f"{name}_captions.jsonl").read_text().splitlines()
    notes = json.loads((out / f"{name}_summary.json").read_text())["notes"]
    return json.loads((out / f"{name}.json").read_text()), [json.loads(line) for line in lines], notes


class Built:
    """A drawn source, and what was built of it."""

    def __init__(self, name, folder):
        self.name, self.root, self.out = name, folder / "raw", folder / "out"
        WRITERS[name](self.root)
        self.records, self.requests, self.notes = build(name, self.root, self.out)

    def of(self, qa_type):
        return [record for record in self.records if record["qa_type"] == qa_type]

    def convert(self, *options):
        paths = ["--json", self.out / f"{self.name}.json", "--frames-root", self.out, "--out", self.out / "parquet"]
        assert medvidbench.main([*map(str, paths), *options]) == 0
        return self.out / "parquet"


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    done = {}

    def of_source(name) -> Built:
        if name not in done:
            done[name] = Built(name, tmp_path_factory.mktemp(name))
        return done[name]

    return of_source


def answer(record):
    return record["conversations"][1]["value"]


def seconds(record):
    return (len(record["video"]) - 1) / float(record["metadata"]["fps"])


@pytest.mark.parametrize("name", WRITERS)
def test_what_is_built_is_converted_and_every_reference_scores_one(built, name):
    source = built(name)
    assert {record["qa_type"] for record in source.records} == TASKS[name]
    assert {request["qa_type"] for request in source.requests} == REQUESTS.get(name, set())
    parquet = source.convert()
    rows = 0
    for split in ("train", "val"):
        if pq.read_metadata(parquet / f"{split}.parquet").num_rows:
            checked = check(parquet / f"{split}.parquet", max_tokens=32_768, read_files=True)
            assert checked.failures == []
            rows += checked.rows.total()
    assert rows == len(source.records)
    assert not (parquet / "failed.jsonl").exists()


@pytest.mark.parametrize("name", WRITERS)
def test_clips_are_even_and_no_longer_than_the_benchmarks(built, name):
    for record in [*built(name).records, *built(name).requests]:
        numbers = record["sampled_video_frames"]
        assert 2 <= len(numbers) == len(record["video"]) <= 180
        assert len({after - before for before, after in zip(numbers, numbers[1:], strict=False)}) == 1
        assert record["conversations"][0]["value"].startswith("<video>\n")
        assert "{" not in record["conversations"][0]["value"].replace("{}", "")
        first, last = numbers[0], numbers[-1]
        fps = record["metadata"]["fps"]
        assert record["id"] == f"{record['metadata']['video_id']}&&{first}&&{last}&&{fps}"


def test_the_same_seed_gives_the_same_bytes(built, tmp_path):
    source = built("CholecT50")
    for seed, same in ((0, True), (1, False)):
        assert main(["CholecT50", "--root", str(source.root), "--out", str(tmp_path), "--seed", str(seed)]) == 0
        ours, theirs = ((folder / "CholecT50.json").read_bytes() for folder in (source.out, tmp_path))
        assert (ours == theirs) is same


def test_a_patient_is_on_one_side_in_all_three_cholec_sets(built):
    # With this seed the three files, each split on its own, would not agree.
    sides = {}
    for name in ("CholecT50", "Cholec80-CVS", "CholecTrack20"):
        parquet = built(name).convert("--val-ratio", "0.5", "--seed", "1")
        for split in ("train", "val"):
            for row in pq.read_table(parquet / f"{split}.parquet").to_pylist():
                unit = split_unit({"metadata": json.loads(row["extra_info"]["metadata"])})
                sides.setdefault(unit, set()).add(split)
    assert sorted(sides) == [("cholec", number) for number in ("12", "2", "7", "92")]
    assert all(len(side) == 1 for side in sides.values())
    assert set.union(*sides.values()) == {"train", "val"}


def test_avos_leaves_holes_out_and_never_asks_for_background(built):
    source = built("AVOS")
    assert source.notes["AVOS segments on which the labelers do not agree"] == 4
    for record in source.of("tal"):
        first, last = record["sampled_video_frames"][0] / 15, record["sampled_video_frames"][-1] / 15
        assert last <= 60 or first >= 65
        assert record["struc_info"][0]["action"] in ("cutting", "tying", "suturing")
    # After 20 s of cutting comes background, then tying.
    assert {answer(record) for record in source.of("next_action")} == {"tying"}


def test_avos_boxes_are_fractions_and_doubled_objects_are_dropped(built):
    [record] = built("AVOS").of("stg")
    assert answer(record) == "0.0 seconds: [32, 36, 44, 50]"
    assert record["sampled_video_frames"][0] == 310


def test_cholect50_reads_frames_as_numbers_and_passes_over_unlabelled_ones(built):
    source = built("CholecT50")
    assert source.notes == {"CholecT50 frames without a phase": 6}
    whole = [record for record in source.of("tal") if seconds(record) > 110 and "VID07" in record["id"]]
    spans = {record["struc_info"][0]["action"]: record["struc_info"][0]["spans"] for record in whole}
    # The clip begins behind frames 3 and 5, which have no phase; the phase returns after clipping.
    shift = whole[0]["sampled_video_frames"][0]
    assert spans["clipping-and-cutting"] == [{"start": 90.0 - shift, "end": 109.0 - shift}]
    assert [span["start"] for span in spans["carlot-triangle-dissection"]] == [40.0 - shift, 110.0 - shift]
    assert "carlot-triangle-dissection" in {answer(record) for record in source.of("next_action")}
    lines = source.requests[0]["evidence"]["lines"]
    assert any("grasper retract gallbladder" in line for line in lines) and not any("null" in line for line in lines)


def test_cholect45_takes_its_phases_from_cholec80_and_makes_captions_alone_without_them(tmp_path, capsys):
    cholect45(tmp_path / "raw")
    records, requests, notes = build("CholecT50", tmp_path / "raw", tmp_path / "out")
    assert {answer(record) for record in records if record["qa_type"] == "next_action"} == {"clipping-and-cutting"}
    assert {record["metadata"]["video_id"] for record in records} == {"VID08"}
    spans = {one["struc_info"][0]["action"]: one["struc_info"][0]["spans"] for one in records
             if one["qa_type"] == "tal" and seconds(one) > 140}  # fmt: skip
    assert spans["clipping-and-cutting"] == [{"start": 100.0, "end": 149.0}]
    assert records[0]["metadata"]["split_group"] == "cholec/8" and records[0]["data_source"] == "CholecT50"
    kinds = {(one["metadata"]["video_id"], one["qa_type"]) for one in requests}
    assert kinds == {("VID08", "video_summary"), ("VID08", "dense_captioning"), ("VID13", "video_summary")}
    lines = requests[-1]["evidence"]["lines"]
    assert any("hook dissect cystic plate" in line for line in lines) and not any("null" in line for line in lines)
    assert notes == {"CholecT45 videos without Cholec80's phases, which give captions alone": 1}
    # Without any phases nothing has an answer: captions come next.
    shutil.copytree(tmp_path / "raw", tmp_path / "bare", ignore=shutil.ignore_patterns("cholec80"))
    capsys.readouterr()
    records, requests, notes = build("CholecT50", tmp_path / "bare", tmp_path / "out of bare")
    out = capsys.readouterr().out
    assert not records and requests and "note: 0 TAG records; are the files that they come from in --root?" in out
    step, name = "next: medgrpo captions write", tmp_path / "out of bare"
    assert f"{step} '{name}/CholecT50_captions.jsonl' --captions '{name}/captions.jsonl' --urls URL" in out
    # Where both layouts have a video, it is read once.
    cholect50(tmp_path / "raw")
    text(tmp_path / "raw/triplet/VID07.txt", "no number")
    records, _, _ = build("CholecT50", tmp_path / "raw", tmp_path / "out")
    assert {record["metadata"]["video_id"] for record in records} == {"VID07", "VID08", "VID12", "VID92"}


def test_cholec80_cvs_rows(built):
    source = built("Cholec80-CVS")
    assert source.notes["Cholec80-CVS rows that do not end after they start"] == 1
    # Clips are set from second 38 on: 15-45 s ends there, 40-50 s is left out.
    assert source.notes["Cholec80-CVS rows cut or left out at the first clip"] == 2
    ends = {int(record["metadata"]["end_frame"]) for record in source.records if "video07" in record["id"]}
    assert max(ends) == 37 * 25
    assert source.notes["Cholec80-CVS videos without a file"] == 1
    answers = {(record["metadata"]["video_id"], answer(record)) for record in source.records}
    assert ("video07", "Two structures: 2, Cystic plate: 2, Hepatocystic triangle: 2") in answers
    assert ("video07", "Two structures: 0, Cystic plate: 0, Hepatocystic triangle: 0") in answers
    short = next(record for record in source.records if seconds(record) == 10)
    assert short["metadata"]["fps"] == "2.5" and short["metadata"]["start_frame"] == "50"


def test_cholectrack20_leaves_out_the_mislabelled_and_ends_clips_at_gaps(built):
    source = built("CholecTrack20")
    assert {record["metadata"]["video_id"] for record in source.records} == {"VID02", "VID12", "VID92"}
    for record in source.records:
        first, last = ((number - 1) / 25 for number in (record["sampled_video_frames"][place] for place in (0, -1)))
        assert last < 30 or first >= 33


def test_cholectrack20_frames_of_a_video_are_numbered_from_one(built):
    videos = {video.id: video.frames for video in cholectrack20.read(built("CholecTrack20").root, Settings())}
    assert videos["VID92"].second(26) == 1.0 and videos["VID92"].video.name == "VID92.mp4"


def test_cholectrack20_boxes_become_corners_within_the_frame(built):
    boxes = {}
    for record in built("CholecTrack20").of("stg"):
        for box in record["struc_info"][0]["bbox_dict"].values():
            boxes.setdefault(record["conversations"][0]["value"].count("main surgeon's left hand"), []).append(box)
    # x 0.10, y -0.02, w 0.30, h 0.20 of 854 x 480; two graspers are told apart by who holds them.
    assert [85.4, 0, 341.6, 86.4] in boxes[1]
    region = next(one for one in built("CholecTrack20").requests if one["qa_type"] == "region_caption")
    assert region["RC_info"]["start_frame"] in region["video"] and region["is_RC"]


def test_copesd_squares_and_the_case_of_widths(built):
    found = {}
    for record in built("CoPESD").of("stg"):
        if "forceps" in record["conversations"][0]["value"].splitlines()[-1].rsplit("CoPESD", 1)[-1]:
            found.setdefault(record["metadata"]["video_id"], []).extend(record["struc_info"][0]["bbox_dict"].values())
    for case in ("123456", "233029"):
        assert found[case] and all(box == [130.6, 261.2, 522.4, 1005.62] for box in found[case] if box[0] < 200)
    knives = [box for record in built("CoPESD").of("stg") if record["metadata"]["video_id"] == "233029"
              for box in record["struc_info"][0]["bbox_dict"].values() if box[0] > 700]  # fmt: skip
    assert knives and all(box == [783.6, 0.0, 1240.7, 522.4] for box in knives)


def test_copesd_runs_take_their_commonest_label(built):
    actions = {record["struc_info"][0]["action"] for record in built("CoPESD").of("tal")}
    assert actions == {"dissect flap tissue with knife", "retract flap edge with forceps and knife", "adjust camera"}


def test_egosurgery_closes_short_gaps_alone(built):
    spans = {}
    for record in built("EgoSurgery").of("tal"):
        first, last = record["sampled_video_frames"][0], record["sampled_video_frames"][-1]
        assert last <= 40 or first >= 45
        if first == 1 and last == 40:
            spans[record["struc_info"][0]["action"]] = record["struc_info"][0]["spans"]
    assert spans["design"] == [{"start": 0.0, "end": 36.0}]
    assert spans["dissection"] == [{"start": 58.0, "end": 78.0}]


def test_egosurgery_names_hands_by_their_own_file_and_asks_for_single_objects(built):
    source = built("EgoSurgery")
    questions = [(record["conversations"][0]["value"], record) for record in source.of("stg")]
    asked = {name for name in ("scalpel", "surgeon's left hand", "bipolar forceps", "forceps")
             if any(f"{name}" in text.lower() for text, _ in questions)}  # fmt: skip
    assert asked == {"scalpel", "surgeon's left hand"}
    record = next(record for text, record in questions if "scalpel" in text)
    time, box = next(iter(record["struc_info"][0]["bbox_dict"].items()))
    number = record["sampled_video_frames"][0] + float(time) / 2
    assert box == [100 + number, 200, 150 + number, 240]
    assert {split_unit(record) for record in source.records} == {("EgoSurgery", "31"), ("EgoSurgery", "32")}


def test_jigsaws_has_both_views_of_rated_trials_with_a_video(built):
    source = built("JIGSAWS")
    assert source.notes == {"JIGSAWS views without a video": 2}
    views = sorted(record["metadata"]["video_id"] for record in source.records)
    assert views == [f"Suturing_{trial}_capture{view}" for trial in ("B001", "C001") for view in (1, 2)]
    assert answer(source.records[0]) == (
        "Respect for tissue: 2/5, Suture/needle handling: 2/5, Time and motion: 2/5, Flow of operation: 2/5, "
        "Overall performance: 2/5, Quality of final product: 3/5"
    )
    assert source.records[0]["struc_info"][0]["skill_level"] == "N"
    assert {split_unit(record) for record in source.records} == {("JIGSAWS", "B"), ("JIGSAWS", "C")}


def test_nurvid_names_are_one_off_and_segments_end_with_their_video(built):
    source = built("NurViD")
    assert {record["metadata"]["video_id"] for record in source.records} == {"AbCdEfGhIj0", "-bCdEfGhIj1"}
    info = [record["struc_info"][0] for record in source.of("tal")]
    # Number 1 of the JSON file is number 0 of the workbook.
    assert {each["procedure"] for each in info} == {"Perineal Care"}
    asked = [record for record in source.of("tal") if record["struc_info"][0]["action"] == "Handwashing"]
    whole = max(asked, key=seconds)
    # Ends at 70 in the file, at 62 in the video, whose last frame here lies at 61.5.
    assert whole["struc_info"][0]["spans"] == [{"start": 2.5, "end": 20.0}, {"start": 58.0, "end": 61.5}]
    assert whole["metadata"]["input_video_start_time"] == "0.0"
    assert any("annotations say 40.0 s" in note for note in source.notes)
    assert source.notes["NurViD videos without a file"] == 1
    assert source.notes["NurViD segments that end after their video"] == 9
    # 30-30 in each of four videos; two segments begin behind the end of the one of 40 s, three behind that of 9 s.
    assert source.notes["NurViD segments that last no time within their video"] == 9


@pytest.mark.parametrize("name", ["AVOS", "Cholec80-CVS"])
def test_another_form_of_a_file_gives_the_same_records(built, tmp_path, name):
    source = built(name)
    root = tmp_path / "raw"
    shutil.copytree(source.root, root)
    if name == "AVOS":
        [file] = root.rglob("*export*.json")
        file.write_text(json.dumps(json.loads(file.read_text())["0"]))
    else:
        [file] = root.rglob("*.xlsx")
        rows = "".join(",".join(row) + "\n" for row in read_sheet(file))
        file.with_suffix(".csv").write_text(rows.replace("initial_second", "Initial Second"))
        file.unlink()
    records, _, _ = build(name, root, source.out.parent / "other")
    same = json.dumps(records).replace(str(root), str(source.root)).replace("/other/", "/out/")
    assert json.loads(same) == source.records


def test_egosurgery_asks_about_the_phases_that_the_files_name(built, tmp_path):
    shutil.copytree(built("EgoSurgery").root, tmp_path / "raw")
    for file in (tmp_path / "raw").rglob("*.csv"):
        file.write_text(file.read_text().replace("incision", "cutting"))
    records, _, _ = build("EgoSurgery", tmp_path / "raw", tmp_path / "out")
    found = [record["struc_info"][0] for record in records if record["qa_type"] == "tal"]
    assert "cutting" in {info["action"] for info in found}
    assert all(len(info["action_list"]) == 10 and info["action"] in info["action_list"] for info in found)


def test_frames_below_the_authors_own_folder(built, tmp_path, capsys, monkeypatch):
    """Their paths begin like those of the released files; the command that is named takes them as they are."""
    for module in (build_command, medvidbench):
        monkeypatch.setattr(module, "OFFICIAL_PREFIX", f"{tmp_path}/")
    build("CholecT50", built("CholecT50").root, tmp_path / "out")
    step = capsys.readouterr().out.rsplit("next: python -m data_preprocess.medvidbench ", 1)[1].split("\n")[0]
    assert step.endswith(" --path-prefix ''")
    assert medvidbench.main(shlex.split(step.replace("PARQUET", str(tmp_path / "parquet")))) == 0


def test_transcripts_and_names_of_the_users_own(built, tmp_path, capsys):
    root = built("CholecTrack20").root
    said = {"segments": [{"start": 4.0, "end": 6.5, "text": " Now the hook. "}]}
    (tmp_path / "VID02.json").write_text(json.dumps(said))
    (tmp_path / "phases.json").write_text(json.dumps({"0": "my first phase", "1": "my second phase"}))
    options = ["--transcripts", str(tmp_path), "--labels", str(tmp_path / "phases.json"), "--skip-frames"]
    assert main(["CholecTrack20", "--root", str(root), "--out", str(tmp_path / "out"), *options]) == 0
    lines = (tmp_path / "out/CholecTrack20_captions.jsonl").read_text()
    notes = json.loads((tmp_path / "out/CholecTrack20_summary.json").read_text())["notes"]
    assert notes["videos with a transcript (<video id>.json)"] == 1
    (tmp_path / "none").mkdir()
    options[1] = str(tmp_path / "none")
    assert main(["CholecTrack20", "--root", str(root), "--out", str(tmp_path / "other"), *options]) == 0
    assert "note: 0 videos with a transcript (<video id>.json)" in capsys.readouterr().out
    assert 'said: \\"Now the hook.\\"' in lines and "phase: my second phase" in lines and "preparation" not in lines
