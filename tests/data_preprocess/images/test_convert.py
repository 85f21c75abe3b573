# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""The five sets of questions about images: layouts as published, their defects, splits, and bad input."""

import json
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from data_preprocess import omnimedvqa, path_vqa, pmc_vqa, slake, vqa_rad
from data_preprocess.images import labels
from data_preprocess.media.token_count import image_size
from data_preprocess.schema import IMAGE_ROW_SCHEMA

REAL_SPLITS = Path("/work/shared/data/med_r1_splits/modality")


def test_an_omnimedvqa_row(folder):
    folder.write_omni([folder.record()])
    assert folder.run(omnimedvqa, "--test-fraction", 0) == 0
    (row,) = folder.rows("train")
    assert pq.read_schema(folder.out / "train.parquet").equals(IMAGE_ROW_SCHEMA)
    problem = "Which organ is shown? A)Heart, B)Eye, C)Liver, D)Lung"
    path = str(folder.root / "OmniMedVQA/Images/ACRIMA/0.png")
    assert row["data_source"] == "omnimedvqa/FP/mcq" and row["ability"] == "mcq"
    assert row["prompt"] == [{"role": "user", "content": "<image>" + problem}]
    assert row["messages"] == row["prompt"] + [{"role": "assistant", "content": "<answer>B</answer>"}]
    assert row["images"] == [{"image": path, "min_pixels": 3136, "max_pixels": 401408}]
    assert row["reward_model"] == {"style": "rule", "ground_truth": "B"}
    extra = row["extra_info"]
    assert json.loads(extra["options"]) == ["Heart", "Eye", "Liver", "Lung"]
    assert (extra["question"], extra["answer_text"], extra["modality"]) == (problem, "Eye", "FP")
    assert (extra["question_type"], extra["id"], extra["dataset"]) == ("Disease Diagnosis", "ACRIMA_0000", "ACRIMA")
    assert (extra["height"], extra["width"], extra["split"], extra["index"]) == (60, 80, "train", 0)
    assert extra["num_tokens"] == image_size(60, 80, min_pixels=3136, max_pixels=401408).num_tokens
    assert len(extra["image_id"]) == 16


def test_omnimedvqa_defects_are_mended_and_counted(folder, capsys):
    records = [
        folder.record(0, modality_type=None, modality="CT(Computed Tomography)"),
        folder.record(1, gt_answer="eye."),
        folder.record(2, option_C=None, option_D=None, option_A="Yes", option_B="No.", gt_answer="No"),
        folder.record(3, option_A="Eye"),
    ]
    folder.write_omni(records)
    assert folder.run(omnimedvqa) == 0
    shown = capsys.readouterr().out
    assert "note: 1 records: key modality in place of modality_type" in shown
    assert "note: 2 records: the answer differs from its option by case or a full stop" in shown
    assert "left out: 0 failed, 0 duplicates, 1 known defects" in shown
    by_id = {row["extra_info"]["id"]: row for row in folder.rows()}
    assert by_id["ACRIMA_0000"]["data_source"] == "omnimedvqa/CT/mcq"
    assert by_id["ACRIMA_0001"]["reward_model"]["ground_truth"] == "B"
    assert by_id["ACRIMA_0002"]["prompt"][0]["content"].endswith("shown? A)Yes, B)No.")
    assert set(by_id) == {"ACRIMA_0000", "ACRIMA_0001", "ACRIMA_0002"}
    (failure,) = folder.failures()
    assert (failure["record"], failure["field"], failure["kind"]) == (3, "gt_answer", "defect")


@pytest.mark.parametrize(("stem", "short"), labels.MODALITIES.items())
def test_modalities(stem, short):
    assert omnimedvqa.short_modality(stem) == omnimedvqa.short_modality(stem.upper()) == short


def test_copies_of_a_picture_stay_on_one_side(folder):
    """Two questions for each of 20 pictures, the second about a copy under another name."""
    records = [folder.record(n, question=f"Question {n}?") for n in range(40)]
    folder.write_omni(records, images=0)
    for number in range(40):
        folder.image(f"OmniMedVQA/Images/ACRIMA/{number}.png", number // 2)
    sides = {}
    for unit in ("image", "qa"):
        assert folder.run(omnimedvqa, "--split-unit", unit) == 0
        sides[unit] = {s: {row["extra_info"]["image_id"] for row in folder.rows(s)} for s in ("train", "test")}
        assert len(folder.rows("test")) == 8
    assert not sides["image"]["train"] & sides["image"]["test"]
    assert sides["qa"]["train"] & sides["qa"]["test"]
    before = (folder.out / "test.parquet").read_bytes()
    assert folder.run(omnimedvqa, "--split-unit", "qa") == 0
    assert (folder.out / "test.parquet").read_bytes() == before
    assert folder.run(omnimedvqa, "--split-unit", "qa", "--seed", 1) == 0
    assert (folder.out / "test.parquet").read_bytes() != before


def test_resized_copies(folder):
    folder.write_omni([folder.record()])
    assert folder.run(omnimedvqa, "--resize", 384) == 0
    (row,) = folder.rows()
    with Image.open(row["images"][0]["image"]) as copy:
        assert copy.size == (384, 384)
    assert row["extra_info"]["num_tokens"] == 196  # 14 x 14, as in Med-R1
    assert "images_384" in row["images"][0]["image"]


def problem(question="Which organ is shown?", answer="B", image="Images/ACRIMA/0.png"):
    options = "A)Heart, B)Eye, C)Liver, D)Lung"
    return {"image": image, "problem": f"{question} {options}", "solution": f"<answer> {answer} </answer>"}


def test_med_r1_splits(folder, capsys):
    folder.write_omni([folder.record(0), folder.record(1)])
    splits = folder.root / "Splits" / "modality"
    other = "How was it taken?"
    folder.write("Splits/modality/train/Fundus Photography_train.json", [problem()])
    folder.write("Splits/modality/test/Fundus Photography_test.json", [problem(other), problem(answer="E")])
    assert folder.run(omnimedvqa, "--splits", splits) == 1
    assert "Fundus Photography_test.json, record 1 (no id), solution: '<answer> E </answer>'" in capsys.readouterr().err
    assert folder.run(omnimedvqa, "--splits", splits, "--max-failed", 1) == 0
    assert "note: 1 records: test questions whose image has training" in capsys.readouterr().out
    (train,), (test,) = folder.rows("train"), folder.rows("test")
    assert train["extra_info"]["id"] == "ACRIMA_0000" and train["extra_info"]["question_type"] == "Disease Diagnosis"
    assert test["data_source"] == "omnimedvqa/FP/mcq" and test["extra_info"]["dataset"] == "ACRIMA"
    folder.write("Splits/question_type/test/Lesion Grading_test.json", [problem()])
    assert folder.run(omnimedvqa, "--splits", splits.parent) == 1
    assert "It holds modality and question_type: give one of them" in capsys.readouterr().err


@pytest.mark.skipif(not REAL_SPLITS.is_dir(), reason="Med-R1's split files are not here")
def test_the_real_split_files(folder):
    assert folder.run(omnimedvqa, "--splits", REAL_SPLITS, "--skip-images") == 0
    rows = folder.rows("test")
    real = [raw for file in sorted((REAL_SPLITS / "test").glob("*.json")) for raw in json.loads(file.read_text())]
    assert len(rows) == len(real) == 848 + 1098
    for row, raw in zip(rows, real, strict=True):
        assert row["prompt"][0]["content"] == "<image>" + raw["problem"]
        assert f"<answer> {row['reward_model']['ground_truth']} </answer>" == raw["solution"]
        assert row["images"][0]["image"].endswith(raw["image"]) and row["extra_info"]["num_tokens"] is None
    assert {row["extra_info"]["source"] for row in rows} == {"FP", "OCT"}


@pytest.mark.parametrize(("module", "name"), [(vqa_rad, "vqa_rad/radiology"), (path_vqa, "pathvqa/pathology")])
def test_parquet_with_images_inside(folder, capsys, module, name):
    folder.write_parquet("train-00000-of-00001.parquet", [(0, "Is it big?", "Yes"), (1, "What is it?", "a cyst")])
    folder.write_parquet("test-00000-of-00001.parquet", [(0, "Is it red?", "no"), (2, "Where?", "liver")])
    assert folder.run(module, "--split-unit", "published") == 0
    assert "note: 1 records: test questions whose image has training" in capsys.readouterr().out
    closed, open_ = folder.rows("train")
    assert (closed["data_source"], open_["data_source"]) == (f"{name}/closed", f"{name}/open")
    assert closed["reward_model"]["ground_truth"] == "Yes" and closed["extra_info"]["options"] == ""
    assert closed["messages"][-1]["content"] == "<answer>Yes</answer>"
    assert len(folder.rows("test")) == 2
    assert len(list((folder.out / "images").iterdir())) == 3
    assert folder.run(module, "--test-fraction", 0.4) == 0
    sides = [{row["extra_info"]["image_id"] for row in folder.rows(split)} for split in ("train", "test")]
    assert all(sides) and not sides[0] & sides[1]


def test_parquet_of_another_kind(folder, capsys):
    folder.write("train-1.parquet", b"PAR1 cut off")
    assert folder.run(path_vqa) == 1
    assert "train-1.parquet is no whole Parquet file" in capsys.readouterr().err
    pq.write_table(pa.table({"question": ["a"], "answer": ["b"]}), folder.root / "train-1.parquet")
    assert folder.run(path_vqa) == 1
    assert "train-1.parquet, record 0 (no id), image: holds no bytes" in capsys.readouterr().err


def test_the_original_vqa_rad(folder):
    base = {"qid": 1, "image_name": "a.jpg", "image_organ": "CHEST", "question": "Is it big?",
            "phrase_type": "freeform", "question_type": "SIZE", "answer": "Yes", "answer_type": "CLOSED "}  # fmt: skip
    count = base | {"qid": 2, "question": "How many?", "answer": 3, "phrase_type": "test_freeform"}
    opened = count | {"answer_type": "OPEN"}
    wrong = base | {"qid": 3, "question": "Is it red?", "answer_type": "OPEN"}
    folder.write("VQA_RAD Dataset Public.json", [base, opened, wrong])
    folder.image("VQA_RAD Image Folder/a.jpg")
    assert folder.run(vqa_rad, "--split-unit", "published") == 0
    (train, yes_no), (test,) = folder.rows("train"), folder.rows("test")
    assert train["data_source"] == "vqa_rad/CHEST/closed" and train["extra_info"]["question_type"] == "SIZE"
    assert yes_no["ability"] == "closed"
    assert test["data_source"] == "vqa_rad/CHEST/open" and test["reward_model"]["ground_truth"] == "3"


def test_slake(folder, capsys):
    base = {"img_name": "xmlab1/source.jpg", "question": "Is the liver normal?", "answer": "Yes", "q_lang": "en",
            "modality": "CT", "answer_type": "CLOSED", "content_type": "Abnormality", "qid": 7}  # fmt: skip
    chinese = base | {"q_lang": "zh", "question": "肝脏正常吗?", "answer": "是"}
    where = base | {"question": "Which organ?", "answer": "Liver", "answer_type": "OPEN"}
    wrong = base | {"question": "Is it?", "answer_type": "OPEN"}
    folder.write("train.json", [base, chinese, where])
    folder.write("validation.json", [wrong])
    folder.write("test.json", [base | {"question": "Left or right?", "answer": "left"}])
    with zipfile.ZipFile(folder.root / "imgs.zip", "w") as archive:
        archive.writestr("imgs/xmlab1/source.jpg", folder.picture(0))
    assert folder.run(slake, "--split-unit", "published") == 0
    shown = capsys.readouterr().out
    assert "1 records: questions in another language (zh) were not taken" in shown
    assert "1 records: a yes/no question marked OPEN was taken as closed" in shown
    assert [row["data_source"] for row in folder.rows("train")] == ["slake/CT/closed", "slake/CT/open"]
    assert [row["ability"] for row in folder.rows("val") + folder.rows("test")] == ["closed", "closed"]
    assert folder.run(slake, "--language", "zh") == 0
    assert len(folder.rows()) == 1


CHOICES = [" A:Diffuse uptake ", " B:'Focal: uptake'", "C: None", "D:Both\u00a0"]


def test_pmc_vqa_version_1(folder, capsys):
    header = ["Figure_path", "Question", "Anwser", "Choice A", "Choice B", "Choice C", "Choice D", "Answer_label"]
    rows = [
        ["a.png", " What is shown? ", "Focal: uptake", *CHOICES, "B"],
        ["a.png", "Disagrees?", "None", *CHOICES, "B"],
        ["a.png", "Twice?", "None", "A:None", "B:None", "C:x", "D:y", "A"],
    ]
    folder.write_csv("train.csv", rows, header)
    folder.write_csv("test_clean.csv", rows[:1], header)
    folder.image("images/a.png")
    assert folder.run(pmc_vqa, "--version", 1, "--clean-test", "--split-unit", "published") == 0
    assert "2 known defects" in capsys.readouterr().out
    (row,), (test,) = folder.rows("train"), folder.rows("test")
    assert row["prompt"] == test["prompt"]
    assert row["prompt"][0]["content"] == (
        "<image>What is shown? A)Diffuse uptake, B)Focal: uptake, C)None, D)Both"
    )  # fmt: skip
    assert row["data_source"] == "pmc_vqa/figure/mcq" and row["reward_model"]["ground_truth"] == "B"
    assert [failure["field"] for failure in folder.failures()] == ["Answer_label", "Answer"]


def test_pmc_vqa_version_2(folder, capsys):
    header = ["index", "Figure_path", "Caption", "Question", "Choice A", "Choice B", "Choice C", "Choice D", "Answer",
              "split"]  # fmt: skip
    folder.write_csv("train_2.csv", [["3", "b.png", "text", "What?", *CHOICES, "D", "train"]], header)
    folder.image("figures/b.png")
    assert folder.run(pmc_vqa) == 0
    assert folder.rows()[0]["reward_model"]["ground_truth"] == "D"
    folder.write_csv("train_2.csv", [["b.png", "What?"]], ["Figure_path", "Question"])
    assert folder.run(pmc_vqa) == 1
    assert "train_2.csv has no column Answer, Choice A" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"gt_answer": "Nose"}, "gt_answer: 'Nose' is none of the options"),
        ({"question": None}, "question: is missing or empty"),
        ({"modality_type": 3}, "modality_type: is 3, no text"),
        ({"option_B": None, "option_C": None, "option_D": None}, "option_A: and the others are fewer than two"),
        ({"image_path": "../../secret.png"}, "image_path: '../../secret.png' leaves the folder"),
        ({"image_path": "Images/none.png"}, "image: {root}/OmniMedVQA/Images/none.png does not exist"),
    ],
)
def test_bad_records(folder, capsys, changes, message):
    folder.write_omni([folder.record(0), folder.record(1, **changes)])
    assert folder.run(omnimedvqa) == 1
    shown = capsys.readouterr().err
    assert "ACRIMA.json, record 1 (ACRIMA_0001), " + message.format(root=folder.root) in shown
    assert not list(folder.out.glob("*.parquet"))
    assert folder.run(omnimedvqa, "--max-failed", 1) == 0
    assert len(folder.rows()) == 1


def test_bad_images(folder, capsys):
    folder.write_omni([folder.record(n) for n in range(5)], images=2)
    folder.write("OmniMedVQA/Images/ACRIMA/2.png", folder.picture(2)[:100])
    folder.write("OmniMedVQA/Images/ACRIMA/3.png", b"")
    data = folder.picture(1)  # a PNG, whose header is then said to be one byte long
    folder.write("OmniMedVQA/Images/ACRIMA/4.png", data[:11] + b"\x01" + data[12:])
    assert folder.run(omnimedvqa, "--max-failed", 3) == 0
    shown = capsys.readouterr().err
    assert "2.png is broken" in shown
    assert "3.png cannot be opened as a picture" in shown and "4.png cannot be opened as a picture" in shown
    assert len(folder.rows()) == 2 and [failure["record"] for failure in folder.failures()] == [2, 3, 4]


def test_duplicates_and_records_that_are_none(folder, capsys):
    folder.write_omni([folder.record(0), folder.record(0), "text"], images=1)
    assert folder.run(omnimedvqa, "--max-failed", 1) == 0
    shown = capsys.readouterr()
    assert "record 1 (ACRIMA_0000), record: repeats an earlier question about the same picture" in shown.err
    assert "record 2 (no id), record: is a str, not an object" in shown.err
    assert "left out: 1 failed, 1 duplicates" in shown.out


@pytest.mark.parametrize("module", [omnimedvqa, pmc_vqa, vqa_rad, slake, path_vqa])
def test_unusable_folders(folder, capsys, module):
    assert folder.run(module) == 1
    assert f"error: {folder.root}" in (shown := capsys.readouterr().err) and "--root" in shown
    folder.root.rmdir()
    assert folder.run(module) == 1
    assert "is not a folder" in capsys.readouterr().err


@pytest.mark.parametrize("module", [omnimedvqa, pmc_vqa, vqa_rad, slake, path_vqa])
def test_the_hub_without_a_network(folder, capsys, module, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert folder.run(module, "--hub") == 1
    shown = capsys.readouterr().err
    assert f"data set {module.HUB} could not be fetched" in shown and "leave --hub out" in shown


def test_archives(folder, capsys):
    folder.write("OmniMedVQA.zip", b"PK cut off")
    assert folder.run(omnimedvqa) == 1
    assert "OmniMedVQA.zip is no whole ZIP archive" in capsys.readouterr().err
    with zipfile.ZipFile(folder.root / "OmniMedVQA.zip", "w") as archive:
        archive.writestr("../outside.txt", "x")
    assert folder.run(omnimedvqa) == 1
    assert "outside of its folder" in capsys.readouterr().err and not (folder.root.parent / "outside.txt").exists()


def test_verl_takes_the_rows(folder, monkeypatch):
    """verl's own message builder and qwen_vl_utils read a row, and the image has the size that was counted."""
    pytest.importorskip("verl")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    datasets = pytest.importorskip("datasets")
    from qwen_vl_utils import process_vision_info
    from verl.utils.dataset.rl_dataset import RLHFDataset

    folder.write_omni([folder.record()])
    assert folder.run(omnimedvqa, "--test-fraction", 0) == 0
    file, cache = str(folder.out / "train.parquet"), str(folder.root / "cache")
    row = datasets.load_dataset("parquet", data_files=file, cache_dir=cache)["train"][0]
    keys = type("Keys", (), {"image_key": "images", "video_key": "videos", "audio_key": "audios", "processor": True})
    messages = RLHFDataset._build_messages(keys, dict(row), key="prompt")
    kinds = [part["type"] for part in messages[0]["content"]]
    assert kinds == ["image", "text"] and messages[0]["content"][1]["text"].startswith("Which organ")
    (image,), _ = process_vision_info(messages, image_patch_size=14)
    assert image.width * image.height // 28**2 == row["extra_info"]["num_tokens"]
