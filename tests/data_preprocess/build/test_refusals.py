# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""What is not as the publishers describe it is reported with file, key and expectation, or counted; never guessed."""

import json
import re

import pytest
from published_sources import WRITERS, cholect45, text

from data_preprocess.build.__main__ import main

VID07, VID02 = "labels/VID07.json", "Training/VID02/VID02.json"
SEGMENTS, META = "data/v0.5.0-anns-5sec.csv", "Suturing/Suturing/meta_file_Suturing.txt"
# Source, file, what is changed in it (two texts, or a function of its JSON), and what is then said.
CASES = {
    "a phase number of no name": (
        "CholecT50", VID07, lambda content: content["categories"][0]["phase"].pop("3"),
        r"VID07\.json, categories\.phase: is \[0, 1, 2\]; expected a name for class 3",
    ),
    "vectors of another length": (
        "CholecT50", VID07, lambda content: content["annotations"]["8"][0].pop(),
        r"VID07\.json, annotations\.8: .*expected vectors of 15 numbers",
    ),
    "no annotations": (
        "CholecT50", VID07, lambda content: content.pop("annotations"),
        r"VID07\.json, annotations: is missing; expected frame -> instances",
    ),
    "no JSON": ("CholecT50", VID07, ("{", "("), r"VID07\.json is no JSON"),
    "a box in pixels": (
        "CholecTrack20", VID02, lambda content: content["annotations"]["26"][0].update(tool_bbox=[85, 10, 20, 30]),
        r"VID02\.json, annotations\.26\.tool_bbox: .*expected shares of the frame",
    ),
    "a phase of no name": (
        "CholecTrack20", VID02, lambda content: content["annotations"]["26"][0].update(phase=9),
        r"annotations\.26\.phase: is 9; expected one of",
    ),
    "a class of no name": (
        "NurViD", "annotations/NurViD_annotations.json", lambda content: content["AbCdEfGhIj0"].update(operationID=3),
        r"AbCdEfGhIj0\.operationID: is 3; expected a number from 1 to 2",
    ),
    "another label": ("AVOS", SEGMENTS, ("tying", "knotting"), r"labeler_2: is 'knotting'; expected one of cutting"),
    "another column": ("AVOS", SEGMENTS, ("labeler_2", "who"), r"header: .*expected the columns video_id"),
    "scores that do not add up": (
        "JIGSAWS", META, ("\t13\t", "\t14\t"), r"Suturing_B001: .*expected six scores of 1 to 5 that add up to 14",
    ),
    "a frame of another session": (
        "EgoSurgery", "annotations/phase/31_1.csv", ("31_1_0007", "31_2_0007"),
        r"31_1\.csv, Frame: is '31_2_0007'; expected 31_1_",
    ),
    "a time that is none": ("AVOS", SEGMENTS, (",5,10,", ",five,10,"), r"start_seconds: is 'five'; expected a number"),
    "an object that is none": (
        "AVOS", "validated/marvl-surgery-annotator-validate-export.json",
        lambda content: content["0"]["data"].append(None), r"0\.data\[2\]: is missing; expected an object",
    ),
    "a number that is none": (
        "EgoSurgery", "annotations/coco_format/bbox/by_split/tool/val.json",
        lambda content: content["annotations"][5].update(image_id=[]),
        r"val\.json, image_id of .*expected a whole number",
    ),
    "an instance that is none": (
        "CholecTrack20", VID02, lambda content: content["annotations"].update({"26": [3]}),
        r"VID02\.json, annotations\.26\[0\]: is 3; expected an object",
    ),
    "a class that is none": (
        "CholecT50", VID07, lambda content: content["annotations"]["8"][0].__setitem__(14, None),
        r"VID07\.json, annotations\.8: is missing; expected a whole number",
    ),
    "a box in pixels of a hand": (
        "AVOS", "validated/marvl-surgery-annotator-validate-export.json",
        lambda content: content["0"]["data"][1]["hand_labels"][0]["bounding_box_position"].update(left=30),
        r"bounding_box_position of .*expected shares of the frame",
    ),
    "one turn": (
        "CoPESD", "smllm_test.json", lambda content: content[0]["conversations"].pop(),
        r"smllm_test\.json, \[0\]\.conversations: .*expected two turns",
    ),
    "a trial of no subject": ("JIGSAWS", META, ("Suturing_B001", "B001"), r"expected trial \(Suturing_B001\), level"),
    "columns that the names do not have": (
        "CholecT45", "triplet/VID08.txt", ("7,1,0,1\n", "7,1,0\n"),
        r"VID08\.txt, line '7,1,0': is '3 numbers'; expected frame, then 3 of 0 or 1",
    ),
    "a phase of another list": (
        "CholecT45", "cholec80/phase_annotations/video08-phase.txt", ("25\tCalot", "25\tCarlot"),
        r"video08-phase\.txt, Phase of frame 25: is 'Carlot.*expected one of Preparation, Calot",
    ),
    "a box of three numbers": (
        "CoPESD", "smllm_test.json", lambda content: content[0]["conversations"][1].update(value="Knife[0.1, 0.2, 1]"),
        r"smllm_test\.json, \[0\], conversations\[1\]: .*expected four numbers",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_it_is_told(case, tmp_path, capsys):
    source, name, change, message = CASES[case]
    {**WRITERS, "CholecT45": cholect45}[source](tmp_path / "raw")
    source = source.replace("T45", "T50")
    file = tmp_path / "raw" / name
    if isinstance(change, tuple):
        file.write_text(file.read_text().replace(*change))
    else:
        content = json.loads(file.read_text())
        change(content)
        file.write_text(json.dumps(content))
    assert main([source, "--root", str(tmp_path / "raw"), "--out", str(tmp_path / "out"), "--skip-frames"]) == 1
    assert re.search("error: .*" + message, error := capsys.readouterr().err), error
    assert not list(tmp_path.glob("out/*.json*"))


def test_an_empty_folder_is_told_what_to_hold(tmp_path, capsys):
    (tmp_path / "raw").mkdir()
    for source in WRITERS:
        assert main([source, "--root", str(tmp_path / "raw"), "--out", str(tmp_path / "out")]) == 1
        assert re.search(r"error: .* holds no .*: expected .*docs/build\.md", error := capsys.readouterr().err), error


@pytest.mark.parametrize(
    ("source", "pattern"),
    [("AVOS", "*anns-5sec*.csv"), ("NurViD", "*.json"), ("NurViD", "*.xlsx"), ("Cholec80-CVS", "*.xlsx"),
     ("CholecT45", "dict/triplet.txt")],
)  # fmt: skip
def test_two_versions_of_a_file_are_refused(source, pattern, tmp_path, capsys):
    root = tmp_path / "raw"
    {**WRITERS, "CholecT45": cholect45}[source](root)
    [file] = root.rglob(pattern)
    (root / "older").mkdir()
    (root / "older" / file.name).write_bytes(file.read_bytes())
    arguments = [source.replace("T45", "T50"), "--root", root, "--out", tmp_path / "out", "--skip-frames"]
    assert main(list(map(str, arguments))) == 1
    assert re.search(r"error: .* and .* are two versions of one file: leave one of them", capsys.readouterr().err)


def test_a_path_that_records_cannot_name(tmp_path, capsys):
    for root, out in (("a\udcff", "out"), ("raw", "a\udcff")):
        with pytest.raises(SystemExit) as stopped:
            main(["AVOS", "--root", root, "--out", out])
        assert stopped.value.code == 2 and "'a\\udcff' is no UTF-8" in capsys.readouterr().err


def test_labels_that_nobody_would_read_are_refused(tmp_path, capsys):
    arguments = ["AVOS", "--root", tmp_path, "--out", tmp_path / "out", "--labels", tmp_path / "names.json"]
    assert main(list(map(str, arguments))) == 1
    assert "--labels is for CoPESD and CholecTrack20; AVOS would ignore it" in capsys.readouterr().err


def test_other_files_and_options_are_told(tmp_path, capsys):
    WRITERS["CoPESD"](tmp_path / "raw")
    text(tmp_path / "rules.json", {"rules": [{"label": "a", "group": "b", "answer": "("}]})
    text(tmp_path / "said/123456.json", {"segments": [{"start": 1.0, "end": "late", "text": "Now."}]})
    (tmp_path / "raw/smllm_test.json").write_bytes(b"\xff\xfe")
    for options, message in (
        (
            ["--labels", tmp_path / "rules.json"],
            r"rules\.json, rules\[0\]\.answer: .*a regular expression",
        ),
        ([], r"smllm_test\.json is no JSON"),
        (["--transcripts", tmp_path / "none"], r"none is not a folder. Give that of the transcripts"),
        (["--out", tmp_path / "raw/out"], r"lies in --root.*Give a folder outside of it"),
    ):
        arguments = ["CoPESD", "--root", tmp_path / "raw", "--out", tmp_path / "out", *options]
        assert main(list(map(str, arguments))) == 1
        assert re.search("error: .*" + message, error := capsys.readouterr().err), error
    WRITERS["CoPESD"](tmp_path / "raw")
    arguments = ["CoPESD", "--root", tmp_path / "raw", "--out", tmp_path / "out", "--transcripts", tmp_path / "said"]
    assert main(list(map(str, arguments))) == 1
    assert "123456.json, segments.end: is 'late'; expected seconds" in capsys.readouterr().err


#: What is not unpacked, and what is then noted.
UNPACKED_IN_PART = {
    "CholecT50": ("videos/VID12/0000[2-9]?.png", "CholecT50 annotated frames without a picture", 80),
    "CholecTrack20": ("Training/VID02/Frames/0011*.png", "CholecTrack20 annotated frames without a picture", 4),
    "CoPESD": ("high_light_images/123456/003?.jpg", "CoPESD annotated frames without a picture", 10),
    "EgoSurgery": ("images/31/31_1_003?.jpg", "EgoSurgery annotated frames without a picture", 10),
    "AVOS": ("images-fps_15/AbC*/*-000000[01]??.jpg", "AVOS segments without a picture", 2),
}


def notes_of(source, folder):
    """What is noted where the files in ``raw`` are built."""
    arguments = [source, "--root", folder / "raw", "--out", folder / "out", "--skip-frames"]
    assert main(list(map(str, arguments))) == 0
    return json.loads((folder / f"out/{source}_summary.json").read_text())["notes"]


@pytest.mark.parametrize("name", UNPACKED_IN_PART)
def test_a_source_that_is_unpacked_in_part_is_noted(tmp_path, name):
    pattern, note, count = UNPACKED_IN_PART[name]
    WRITERS[name](tmp_path / "raw")
    assert note not in notes_of(name, tmp_path)
    for file in (tmp_path / "raw").glob(pattern):
        file.unlink()
    assert notes_of(name, tmp_path)[note] == count


@pytest.mark.parametrize(("name", "pattern", "lost"), [
    ("EgoSurgery", "*.json", {"STG", "RC"}), ("AVOS", "*export*.json", {"STG"}),
])  # fmt: skip
def test_tasks_whose_files_are_not_there_are_noted(tmp_path, name, pattern, lost):
    WRITERS[name](tmp_path / "raw")
    for file in (tmp_path / "raw").rglob(pattern):
        file.unlink()
    notes = notes_of(name, tmp_path)
    found = {note.split(" ")[0] for note, count in notes.items() if "records; are the files" in note and count == 0}
    assert found == lost


def test_avos_pictures_and_boxes_that_cannot_be(tmp_path):
    WRITERS["AVOS"](tmp_path / "raw")
    next(iter(sorted((tmp_path / "raw").glob("images-fps_15/-bC*/*.jpg")))).write_bytes(b"")
    [file] = (tmp_path / "raw").rglob("*export*.json")
    content = json.loads(file.read_text())
    content["0"]["data"][1]["tool_labels"][0]["bounding_box_position"]["width"] = "-0.1"
    file.write_text(json.dumps(content))
    notes = notes_of("AVOS", tmp_path)
    records = json.loads((tmp_path / "out/AVOS.json").read_text())
    assert {record["metadata"]["video_id"] for record in records} == {"AbCdEfGhIjK"}
    assert any("left out, with all of its video: " in note and "cannot be opened" in note for note in notes)
    assert notes["AVOS boxes without area in the frame"] == 1
    assert "stg" not in {record["qa_type"] for record in records}
