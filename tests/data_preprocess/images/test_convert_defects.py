# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Sets of questions about images: what went wrong with published files, and options that make no sense."""

import json
import os
import zipfile

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_preprocess import omnimedvqa, path_vqa, pmc_vqa, slake, vqa_rad
from data_preprocess.common import download
from data_preprocess.omnimedvqa import split_problem

HEADER_1 = ["Figure_path", "Question", "Answer", "Choice A", "Choice B", "Choice C", "Choice D", "Answer_label"]
HEADER_2 = ["index", "Figure_path", "Caption", "Question", "Choice A", "Choice B", "Choice C", "Choice D", "Answer",
            "split"]  # fmt: skip
CHOICES = ["A:a cyst", "B:a stone", "C:air", "D:bone"]
SLAKE = {"img_name": "a.jpg", "question": "Is it?", "answer": "Yes", "q_lang": "en", "modality": "CT",
         "answer_type": "CLOSED"}  # fmt: skip
RAD = {"qid": 1, "image_name": "a.jpg", "image_organ": "CHEST", "question": "Is it big?", "phrase_type": "freeform",
       "question_type": "SIZE", "answer": "Yes", "answer_type": "CLOSED"}  # fmt: skip


def problem(number):
    options = "A)Heart, B)Eye, C)Liver, D)Lung"
    return {"image": f"Images/ACRIMA/{number}.png", "problem": f"q? {options}", "solution": "<answer> B </answer>"}


def write_pmc(folder, train=3, test=0):
    """Version 2, with one question for each picture."""
    for split, count, first in (("train", train, 0), ("test", test, train)):
        if count:
            rows = [[str(n), f"{n}.png", "", f"Q{n}?", *CHOICES, "B", split] for n in range(first, first + count)]
            folder.write_csv(f"{split}_2.csv", rows, HEADER_2)
    for number in range(train + test):
        folder.image(f"figures/{number}.png", number)


@pytest.mark.parametrize("raw", [False, True])
def test_splits_by_question_type(folder, raw):
    folder.write_omni([folder.record(0, question="q?"), folder.record(1, question="q?")])
    if not raw:
        (folder.root / "OmniMedVQA/QA_information/Open-access/ACRIMA.json").unlink()
    for split, number in (("train", 0), ("test", 1)):
        folder.write(f"Splits/question_type/{split}/Lesion Grading_{split}.json", [problem(number)])
    assert folder.run(omnimedvqa, "--splits", folder.root / "Splits/question_type") == 0
    for row in folder.rows():
        assert row["extra_info"]["question_type"] == "Lesion Grading"
        assert row["extra_info"]["modality"] == ("FP" if raw else "")
        assert row["data_source"] == f"omnimedvqa/{'FP' if raw else 'Lesion Grading'}/mcq"


@pytest.mark.parametrize(
    ("text", "question", "options"),
    [
        ("What? A)vitamin (vitamin A), B)x", "What?", ("vitamin (vitamin A)", "x")),
        ("Stage? A)type (A), B)type (type B), C)c", "Stage?", ("type (A)", "type (type B)", "c")),
        ("Who? A)see D) too, B)b", "Who?", ("see D) too", "b")),
        ("Is A) or B) right? A)Yes, B)No", "Is A) or B) right?", ("Yes", "No")),
        ("A)a, B)b", "", ("a", "b")),
        ("What? A)a, b, B)c", "What?", ("a, b", "c")),
    ],
)
def test_options_in_one_line(text, question, options):
    assert split_problem(text) == (question, options)


@pytest.mark.parametrize("text", ["What? A)a", "What? A)a B)b", "What? A), B)b", "What? A)a, B)", "Q A)a, C)c, B)b"])
def test_no_options_in_one_line(text):
    with pytest.raises(ValueError, match="has no options A\\), B\\)"):
        split_problem(text)


@pytest.mark.parametrize("version", [1, 2])
def test_the_hub_is_asked_for_one_version_only(folder, monkeypatch, version):
    asked = []

    def fetch(repository, root, patterns):
        asked.extend(patterns)
        raise download.InputError("no network")

    monkeypatch.setattr(download, "fetch", fetch)
    options = ["--hub", "--version", version] + (["--clean-test"] if version == 1 else [])
    assert folder.run(pmc_vqa, *options) == 1
    files = {1: ["train.csv", "test_clean.csv", "images.zip"], 2: ["train_2.csv", "test_2.csv", "images_2.zip"]}
    assert asked == files[version]


def test_a_subset_of_pmc_vqa(folder, capsys):
    write_pmc(folder, train=20, test=10)
    assert folder.run(pmc_vqa, "--subset", 5, 3) == 0
    assert "note: 22 records: not chosen for the subset" in capsys.readouterr().out
    first = {row["extra_info"]["id"] for row in folder.rows()}
    assert (len(folder.rows("train")), len(folder.rows("test"))) == (5, 3)
    assert all(row["extra_info"]["id"].startswith("train-") for row in folder.rows("train"))
    assert folder.run(pmc_vqa, "--subset", 6, 3) == 0
    assert first < {row["extra_info"]["id"] for row in folder.rows()}
    assert folder.run(pmc_vqa, "--subset", 5, 3, "--seed", 1) == 0
    assert first != {row["extra_info"]["id"] for row in folder.rows()}
    assert folder.run(pmc_vqa, "--subset", 5, 11) == 1
    assert "has 10 usable test rows, --subset asks for 11" in capsys.readouterr().err


def test_a_subset_counts_no_row_twice(folder):
    write_pmc(folder, train=3, test=1)
    text = (folder.root / "train_2.csv").read_text()
    (folder.root / "train_2.csv").write_text(text + "\n".join(text.splitlines()[1:] * 5) + "\n")
    assert folder.run(pmc_vqa, "--subset", 3, 1) == 0
    assert len(folder.rows("train")) == 3
    assert folder.run(pmc_vqa, "--subset", 4, 1) == 1


def test_options_that_begin_with_a_letter(folder):
    """The letter in front is cut off once, and the text of version 1's answer may have it or not."""
    row = ["1", "a.png", "", "Which?", "A:x", "B:C: grey", "C:c", "D:d", "B", "train"]
    folder.write_csv("train_2.csv", [row], HEADER_2)
    folder.image("figures/a.png")
    assert folder.run(pmc_vqa) == 0
    assert folder.rows()[0]["extra_info"]["answer_text"] == "C: grey"
    rows = [["a.png", f"{i}?", answer, *row[4:8], "B"] for i, answer in enumerate(["C: grey", " B:C: grey"])]
    folder.write_csv("train.csv", rows, HEADER_1)
    folder.image("images/a.png")
    assert folder.run(pmc_vqa, "--version", 1) == 0
    assert [each["extra_info"]["answer_text"] for each in folder.rows()] == ["C: grey"] * 2


def test_a_published_part_that_is_missing(folder, capsys):
    write_pmc(folder)
    folder.write("train.json", [SLAKE])
    folder.write_parquet("train-0.parquet", [(0, "Is it?", "yes")])
    for module in (pmc_vqa, slake, path_vqa, vqa_rad):
        assert folder.run(module, "--split-unit", "published") == 1
        assert "has no published test part: fetch it too" in capsys.readouterr().err
        assert not folder.rows()


def test_a_second_run_below_the_root(folder, monkeypatch):
    """What was written there is not taken for the publishers' files, however the folder is spelt."""
    folder.write_parquet("train-0.parquet", [(0, "Is it?", "yes"), (1, "What?", "a cyst")])
    monkeypatch.chdir(folder.root)
    for out in ("out", "other", "./out", "../raw/out"):
        assert path_vqa.main(["--root", str(folder.root), "--out", out]) == 0
        folder.out = folder.root / out
        assert len(folder.rows()) == 2


@pytest.mark.skipif(os.geteuid() != 0, reason="the test gives up its rights for a while")
@pytest.mark.parametrize("module", [omnimedvqa, path_vqa, vqa_rad])
def test_a_folder_that_may_not_be_read(module, capsys, tmp_path_factory):
    root = tmp_path_factory.mktemp("published")
    closed = root / ("QA_information/Open-access" if module is omnimedvqa else "data")
    closed.mkdir(parents=True)
    for folder in (root, *root.parents):
        if str(folder).startswith("/tmp/"):
            folder.chmod(folder.stat().st_mode | 0o055)
    closed.chmod(0)
    os.seteuid(65534)
    try:
        assert module.main(["--root", str(root), "--out", str(root / "out")]) == 1
    finally:
        os.seteuid(0)
    assert f"error: {closed} cannot be read (Permission denied)" in capsys.readouterr().err


def spoil_stream(data: bytes) -> bytes:
    start = data.find(b"imgs/a.jpg") + len("imgs/a.jpg")
    return data[:start] + b"\xff" * 30 + data[start + 30 :]


def encrypt(data: bytes) -> bytes:
    """Set the flag in both headers; no password is known."""
    local, central = data.find(b"PK\x03\x04") + 6, data.find(b"PK\x01\x02") + 8
    return bytes(byte | 1 if place in (local, central) else byte for place, byte in enumerate(data))


@pytest.mark.parametrize(
    ("spoil", "message"), [(spoil_stream, "is no whole ZIP archive"), (encrypt, "cannot be unpacked here (")]
)
def test_archives_that_cannot_be_unpacked(folder, capsys, spoil, message):
    folder.write("train.json", [SLAKE])
    with zipfile.ZipFile(folder.root / "imgs.zip", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("imgs/a.jpg", bytes(range(256)) * 20 + b"\0" * 5000)
    folder.write("imgs.zip", spoil((folder.root / "imgs.zip").read_bytes()))
    assert folder.run(slake) == 1
    assert f"imgs.zip {message}" in capsys.readouterr().err
    assert not list(folder.root.rglob("*.jpg"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"question": "\ud83d?"}, "question: holds half a character"),
        ({"question_id": "\ud83d", "gt_answer": "Nose"}, "record 1 (\\ud83d), gt_answer: 'Nose' is none"),
    ],
)
def test_records_that_no_row_can_hold(folder, capsys, changes, message):
    folder.write_omni([folder.record(0), folder.record(1, **changes)])
    assert folder.run(omnimedvqa) == 1
    assert message in capsys.readouterr().err
    assert [failure["record"] for failure in folder.failures()] == [1]


@pytest.mark.parametrize("path", [["a.png"], {"a": 1}, 7])
def test_published_records_beside_split_files(folder, capsys, path):
    folder.write_omni([folder.record(0, question="q?"), folder.record(1, image_path=path)])
    for split, number in (("train", 0), ("test", 1)):
        folder.write(f"Splits/modality/{split}/CT_{split}.json", [problem(number)])
    splits = folder.root / "Splits/modality"
    assert folder.run(omnimedvqa, "--splits", splits) == 1
    assert "ACRIMA.json, record 1 (ACRIMA_0001), image_path: is " in (shown := capsys.readouterr().err)
    assert "no text. Fix the record" in shown
    assert folder.run(omnimedvqa, "--splits", splits, "--max-failed", 1) == 0
    assert sorted(row["extra_info"]["modality"] for row in folder.rows()) == ["CT", "FP"]


@pytest.mark.parametrize("image", [{"bytes": "a.png"}, {"bytes": 7}, {"bytes": [1, 2]}, {"bytes": b""}, b"PNG"])
def test_images_of_the_hub_that_are_no_bytes(folder, image):
    folder.write_parquet("test-0.parquet", [(0, "Is it?", "yes")])
    table = pa.table({"image": [image], "question": ["Is it?"], "answer": ["yes"]})
    pq.write_table(table, folder.root / "data" / "train-0.parquet")
    assert folder.run(path_vqa) == 1
    assert [(failure["field"], failure["reason"]) for failure in folder.failures()] == [("image", "holds no bytes")]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"answer": float("nan")}, "answer"),
        ({"answer": True}, "answer"),
        ({"image_name": "/etc/passwd"}, "image_name"),
        ({"image_name": "../a.jpg"}, "image_name"),
    ],
)
def test_bad_records_of_the_original_vqa_rad(folder, changes, field):
    folder.write("VQA_RAD Dataset Public.json", json.dumps([RAD | changes]))
    folder.image("VQA_RAD Image Folder/a.jpg")
    assert folder.run(vqa_rad) == 1
    assert [failure["field"] for failure in folder.failures()] == [field]


def test_no_usable_question_is_explained(folder, capsys):
    folder.write("train.json", [SLAKE | {"q_lang": "zh"}])
    assert folder.run(slake) == 1
    assert "1 records: questions in another language (zh) were not taken" in (shown := capsys.readouterr().err)
    assert "failed.jsonl" not in shown
    folder.write_csv("train.csv", [["a.png", "Q?", "air", *CHOICES, "B"]], HEADER_1)
    assert folder.run(pmc_vqa, "--version", 1) == 1
    assert "1 records: defect, the first is" in capsys.readouterr().err


@pytest.mark.parametrize("split_unit", ["image", "published"])
def test_a_question_of_both_published_parts(folder, split_unit):
    """It is theirs in their split; in one that is drawn here it is a repetition."""
    folder.write("train.json", [SLAKE])
    folder.write("test.json", [SLAKE])
    folder.image("imgs/a.jpg")
    assert folder.run(slake, "--split-unit", split_unit) == 0
    assert len(folder.rows()) == (2 if split_unit == "published" else 1)


@pytest.mark.parametrize(
    ("module", "options", "message"),
    [
        (omnimedvqa, ["--min-pixels", 500_000], "--min-pixels 500000 is above --max-pixels 401408"),
        (omnimedvqa, ["--resize", -3], "--resize: -3 is below 1"),
        (omnimedvqa, ["--splits", "x", "--split-unit", "image"], "leave --split-unit image out"),
        (pmc_vqa, ["--clean-test"], "give --version 1 too"),
        (pmc_vqa, ["--subset", 5, 0], "--subset: 0 is below 1"),
        (pmc_vqa, ["--subset", 5, 3, "--split-unit", "qa"], "leave --split-unit qa out"),
    ],
)
def test_options_that_make_no_sense(folder, capsys, module, options, message):
    with pytest.raises(SystemExit) as stopped:
        folder.run(module, *options)
    assert stopped.value.code == 2 and message in capsys.readouterr().err
