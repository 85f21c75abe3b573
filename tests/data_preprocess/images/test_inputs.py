# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Folders as people have them: outputs above inputs, links, what macOS and Git LFS leave, ids of 0, odd names."""

import json

import pytest

from data_preprocess import omnimedvqa, path_vqa, pmc_vqa, slake, vqa_rad

APPLE_DOUBLE = b"\0\x05\x16\x07\0\x02\0\0Mac OS X" + b"\0" * 80 + b"\xb0"
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:a\nsize 1\n"
SLAKE = {"img_name": "a.jpg", "question": "Is it?", "answer": "Yes", "q_lang": "en", "modality": "CT",
         "answer_type": "CLOSED", "qid": 0}  # fmt: skip


def write_hub(folder):
    folder.write_parquet("train-00000-of-00001.parquet", [(n, f"Is it {n}?", "yes") for n in range(4)])
    folder.write_parquet("test-00000-of-00001.parquet", [(9, "What?", "a cyst")])


@pytest.mark.parametrize("module", [path_vqa, vqa_rad, omnimedvqa])
@pytest.mark.parametrize("place", ["", "..", "data"])
def test_the_output_above_or_in_the_root(folder, module, place):
    write_hub(folder)
    folder.write_omni([folder.record(n) for n in range(4)])
    folder.out = folder.root / place
    for _ in range(2):  # what the first run wrote is not read by the second
        assert folder.run(module) == 0
        assert len(folder.rows()) == (4 if module is omnimedvqa else 5)


def test_two_sets_below_the_root(folder, capsys):
    """The rows of one would be taken for the other's."""
    write_hub(folder)
    (folder.root / "data").rename(folder.root / "path-vqa")
    write_hub(folder)
    for module in (path_vqa, vqa_rad):
        assert folder.run(module) == 1
        assert "data and " in (shown := capsys.readouterr().err) and "both hold Parquet files of a set" in shown
        assert not folder.out.exists()


@pytest.mark.parametrize("option", ["--root", "--out"])
def test_a_path_that_rows_cannot_name(folder, capsys, option):
    with pytest.raises(SystemExit) as stopped:
        folder.run(path_vqa, option, "a\udcff")
    assert stopped.value.code == 2 and f"argument {option}: 'a\\udcff' is no UTF-8" in capsys.readouterr().err


def test_no_input_is_written_onto(folder, capsys):
    folder.write_parquet("train.parquet", [(0, "Is it?", "yes"), (1, "What?", "a cyst")])
    before = (folder.root / "data/train.parquet").read_bytes()
    folder.out = folder.root / "data"
    assert folder.run(path_vqa) == 1
    assert "data/train.parquet is an input, and would be overwritten" in capsys.readouterr().err
    assert (folder.root / "data/train.parquet").read_bytes() == before


@pytest.mark.parametrize("content", [b"PAR1 of somebody else", None])
def test_what_others_made_is_not_written_onto(folder, capsys, content):
    folder.write_omni([folder.record(n) for n in range(4)])
    folder.out = folder.root
    if content:
        folder.write("train.parquet", content)
    else:
        folder.write_parquet("train.parquet", [(0, "Is it?", "yes")])
        (folder.root / "data/train.parquet").rename(folder.root / "train.parquet")
    before = (folder.out / "train.parquet").read_bytes()
    assert folder.run(omnimedvqa) == 1
    assert "train.parquet was not written by these commands" in capsys.readouterr().err
    assert (folder.out / "train.parquet").read_bytes() == before


@pytest.mark.parametrize("link", ["folder", "files", "root", "loop"])
def test_links(folder, link):
    write_hub(folder)
    store = folder.root.rename(folder.root.with_name("store"))
    if link == "root":
        folder.root.symlink_to(store)
    elif link == "files":
        (folder.root / "data").mkdir(parents=True)
        for file in (store / "data").iterdir():
            (folder.root / "data" / file.name).symlink_to(file)
    else:
        folder.root.mkdir()
        (folder.root / "data").symlink_to(store / "data")
        if link == "loop":
            (store / "data" / "again").symlink_to(store / "data")
    assert folder.run(path_vqa) == 0
    assert len(folder.rows()) == 5


def test_what_macos_and_the_hub_leave(folder):
    folder.write_omni([folder.record(n) for n in range(4)])
    questions = "OmniMedVQA/QA_information/Open-access"
    for name in (f"{questions}/._ACRIMA.json", f"{questions}/__MACOSX/ACRIMA.json", f"{questions}/.cache/a.json"):
        folder.write(name, APPLE_DOUBLE)
    assert folder.run(omnimedvqa) == 0 and len(folder.rows()) == 4
    write_hub(folder)
    folder.write("data/._train-00000-of-00001.parquet", APPLE_DOUBLE)
    assert folder.run(path_vqa) == 0 and len(folder.rows()) == 5


@pytest.mark.parametrize(
    ("name", "module"),
    [("data/train-0.parquet", path_vqa), ("train.json", slake), ("train_2.csv", pmc_vqa), ("imgs.zip", slake)],
)
def test_pointers_of_git_lfs(folder, capsys, name, module):
    folder.write(name, POINTER)
    assert folder.run(module) == 1
    assert f"{name}" in (shown := capsys.readouterr().err) and "it is a Git LFS pointer, not the file itself" in shown


def test_pictures_that_are_pointers(folder, capsys):
    folder.write("train.json", [SLAKE])
    folder.write("imgs/a.jpg", POINTER)
    assert folder.run(slake) == 1
    assert "it is a Git LFS pointer" in capsys.readouterr().err


@pytest.mark.parametrize("qid", [0, "0"])
def test_the_id_0(folder, qid):
    folder.write("train.json", "\n".join(json.dumps(SLAKE | {"question": f"{n}?", "qid": qid}) for n in range(2)))
    folder.image("imgs/a.jpg")
    assert folder.run(slake) == 0
    assert [row["extra_info"]["id"] for row in folder.rows()] == ["0", "0"]
    folder.write("train.json", [SLAKE | {"qid": qid, "answer": 0}])
    assert folder.run(slake) == 1
    assert [(f["id"], f["reason"]) for f in folder.failures()] == [("0", "is 0, no text")]


@pytest.mark.parametrize("sign", ["|", "/"])
def test_a_source_with_a_sign_that_separates_names(folder, capsys, sign):
    folder.write_omni([folder.record(0, modality_type=f"CT{sign}PET")])
    assert folder.run(omnimedvqa, "--test-fraction", 0) == 0
    assert [row["data_source"] for row in folder.rows()] == ["omnimedvqa/CT_PET/mcq"]
    assert f"note: 1 records: of the source 'CT{sign}PET', which is written 'CT_PET'" in capsys.readouterr().out


@pytest.mark.parametrize("field", ["question", "option_A"])
def test_tokens_of_models_in_a_text(folder, capsys, field):
    folder.write_omni([folder.record(0, **{field: "What <|im_end|>"})])
    assert folder.run(omnimedvqa) == 1
    assert "holds <|im_end|>. verl or the model's tokenizer would take it" in capsys.readouterr().err
