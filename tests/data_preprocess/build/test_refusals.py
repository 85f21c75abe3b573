# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""What is not as the publishers describe it is reported with file, key and expectation; nothing is guessed."""

import json
import re

import pytest
from published_sources import WRITERS

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
    "a box of three numbers": (
        "CoPESD", "smllm_test.json", lambda content: content[0]["conversations"][1].update(value="Knife[0.1, 0.2, 1]"),
        r"smllm_test\.json, \[0\], conversations\[1\]: .*expected four numbers",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_it_is_told(case, tmp_path, capsys):
    source, name, change, message = CASES[case]
    WRITERS[source](tmp_path / "raw")
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
    for source in WRITERS:
        assert main([source, "--root", str(tmp_path), "--out", str(tmp_path / "out")]) == 1
        assert re.search(r"error: .* holds no .*: expected .*docs/build\.md", error := capsys.readouterr().err), error
