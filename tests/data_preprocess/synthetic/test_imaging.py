# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""The drawn imaging world: OmniMedVQA's raw format, read by the real preprocessor, with answers that can be seen."""

import hashlib
import json

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from data_preprocess import omnimedvqa
from data_preprocess.images import labels
from data_preprocess.synthetic import imaging as synthetic_imaging


@pytest.fixture(scope="module")
def imaging(tmp_path_factory):
    return synthetic_imaging.generate(tmp_path_factory.mktemp("imaging"), images_per_modality=5)


def records(root):
    files = sorted((root / "QA_information/Open-access").glob("*.json"))
    return [record for file in files for record in json.loads(file.read_text())]


def test_raw_format(imaging):
    found = records(imaging)
    assert len(found) == 8 * 5 * 5
    assert {record.get("modality_type", record.get("modality")) for record in found} == set(labels.MODALITIES)
    assert {record["question_type"] for record in found} == set(labels.QUESTION_TYPES)
    assert sum("modality" in record for record in found) == 1
    for record in found:
        assert (imaging / record["image_path"]).is_file() and record["image_path"].startswith("Images/")
        options = [record[f"option_{letter}"] for letter in "ABCD" if f"option_{letter}" in record]
        assert options.count(record["gt_answer"].rstrip(".")) == 1
    assert {sum(key.startswith("option_") for key in record) for record in found} == {2, 3, 4}


def test_the_real_preprocessor_reads_all_of_it(imaging, tmp_path):
    assert omnimedvqa.main(["--root", str(imaging), "--out", str(tmp_path)]) == 0
    rows = [row for name in ("train", "test") for row in pq.read_table(tmp_path / f"{name}.parquet").to_pylist()]
    assert len(rows) == len(records(imaging))
    assert {row["data_source"] for row in rows} == {f"omnimedvqa/{m}/mcq" for m in labels.MODALITIES.values()}
    for row in rows:
        options = json.loads(row["extra_info"]["options"])
        assert options["ABCD".index(row["reward_model"]["ground_truth"])] == row["extra_info"]["answer_text"]
        assert row["extra_info"]["num_tokens"] == 9


def test_the_letters_do_not_give_the_answer_away(imaging):
    letters = [[r[f"option_{x}"] for x in "ABCD" if f"option_{x}" in r].index(r["gt_answer"].rstrip("."))
               for r in records(imaging) if "option_D" in r]  # fmt: skip
    assert max(np.bincount(letters)) < 0.4 * len(letters)


def test_modality_and_finding_can_be_seen(imaging):
    """The corner's colour tells the modality; the finding's colour covers a part of the image that grows with grade."""
    corners, areas = {}, {}
    by_image = {}
    for record in records(imaging):
        by_image.setdefault(record["image_path"], {})[record["question_type"]] = record["gt_answer"].rstrip(".")
    for path, facts in by_image.items():
        pixels = np.asarray(Image.open(imaging / path)).astype(int)
        corners.setdefault(facts["Modality Recognition"], []).append(pixels[:4, :4].mean(axis=(0, 1)))
        color = synthetic_imaging._FINDINGS[facts["Disease Diagnosis"]]
        near = (np.abs(pixels - color).max(axis=2) < 20).sum()
        assert near > 0
        areas.setdefault(facts["Lesion Grading"], []).append(near)
    means = {kind: np.mean(found, axis=0) for kind, found in corners.items()}
    for kind, found in corners.items():
        for corner in found:
            assert min(means, key=lambda other: np.abs(means[other] - corner).sum()) == kind
    assert max(areas["Mild"]) < min(areas["Moderate"]) and max(areas["Moderate"]) < min(areas["Severe"])


def test_same_seed_same_bytes(tmp_path):
    def digest(name, seed):
        root = synthetic_imaging.generate(tmp_path / name, seed=seed, images_per_modality=1)
        files = sorted(file for file in root.rglob("*") if file.is_file())
        return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()

    assert digest("a", 0) == digest("b", 0) != digest("c", 1)


def test_command_line(tmp_path, capsys):
    assert synthetic_imaging.main(["--out", str(tmp_path), "--images-per-modality", "1"]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path)
    with pytest.raises(SystemExit):
        synthetic_imaging.main(["--out", str(tmp_path), "--images-per-modality", "0"])
    assert synthetic_imaging.main(["--out", str(tmp_path / "Images/Drawn0/0000.png")]) == 1
    assert "error: Not a directory: " in capsys.readouterr().err


def test_a_seed_below_0_is_refused(tmp_path, capsys):
    with pytest.raises(SystemExit) as stopped:
        synthetic_imaging.main(["--out", str(tmp_path), "--seed", "-1"])
    assert stopped.value.code == 2 and "argument --seed: -1 is below 0" in capsys.readouterr().err
