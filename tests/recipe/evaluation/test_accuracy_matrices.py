# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Evaluation matrices on made-up results whose accuracies are known."""

import csv
import json
import math
from itertools import product
from pathlib import Path

import pytest
from PIL import Image
from rich.console import Console

from recipe.medgrpo.evaluation import accuracy_matrices
from recipe.medgrpo.evaluation.answers import AnswersError

MODALITIES, KINDS = accuracy_matrices.AXES["modality"], list(accuracy_matrices.QUESTION_TYPES)


def line(index, modality="CT", kind=KINDS[0], response="", lenient=True, options=4, image=None, sample=0, **more):
    return {
        "index": index, "sample": sample, "source": modality, "task": "mcq", "modality": modality,
        "question_type": kind, "image_id": f"i{index}" if image is None else image, "num_options": options,
        "response": response, "ground_truth": "C", "accuracy": 1.0, "accuracy_lenient": float(lenient),
        **more,
    }  # fmt: skip


RIGHT, LOOSE, WRONG = "<answer> C </answer>", "C) CT", "<answer>A</answer>"


def write(folder, lines):
    folder.mkdir(parents=True)
    (folder / "results.jsonl").write_text("".join(json.dumps(one) + "\n" for one in lines))
    return folder


def world(model):
    """8 modalities x 5 types x 4 questions: in its own modality a model is right (4 of 4), elsewhere in 1 of 4, and
    another 1 of 4 only a lenient reader takes."""
    lines = []
    for modality, kind, k in product(MODALITIES, KINDS, range(4)):
        text = RIGHT if modality == model or k == 0 else LOOSE if k == 1 else WRONG
        lines.append(line(len(lines), modality, kind, text, text != WRONG, 2 if k == 0 else 4))
    return lines


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    root = tmp_path_factory.mktemp("eval")
    return [f"{model}={write(root / model, world(model))}" for model in MODALITIES]


@pytest.fixture(scope="module")
def items(runs):
    named = (run.split("=") for run in runs)
    return [item for name, folder in named for item in accuracy_matrices.load(name, Path(folder))]


def test_eight_by_eight_and_eight_by_five(items):
    for axis, columns in (("modality", MODALITIES), ("question_type", list(accuracy_matrices.QUESTION_TYPES.values()))):
        cells = accuracy_matrices.matrix(items, axis, "strict")
        assert list(cells) == list(product(MODALITIES, columns))
    strict = accuracy_matrices.matrix(items, "modality", "strict")
    lenient = accuracy_matrices.matrix(items, "modality", "lenient")
    for model, column in product(MODALITIES, MODALITIES):
        assert strict[model, column].n == 20
        assert strict[model, column].accuracy == (1.0 if model == column else 0.25)
        assert lenient[model, column].accuracy == (1.0 if model == column else 0.5)
    means = accuracy_matrices.summary(strict)
    assert means == pytest.approx({"overall": (8 + 56 * 0.25) / 64, "in_domain": 1.0, "out_of_domain": 0.25})


@pytest.mark.parametrize(
    ("record", "right"),
    [
        ({"response": "C"}, True),
        ({"response": " C\n"}, True),
        ({"response": "C) CT"}, False),
        ({"response": "C</answer>"}, False),
        ({"response": "<answer>C"}, False),
        ({"response": "<answer>\nC\n</answer>", "ground_truth": "<answer> C </answer>"}, True),
        ({"response": "yes", "task": "closed"}, True),
        ({"response": "<answer>yes", "task": "closed"}, False),
        ({"response": "yes</answer>", "task": "closed"}, False),
        ({"response": "<answer>\nyes\n</answer>", "task": "closed"}, True),
        ({"response": "<answer>no</answer>", "task": "closed", "accuracy": 0.0}, False),
    ],
)
def test_strict_extraction(record, right):
    [item] = accuracy_matrices.group("m", [line(0, **record)], "f")
    assert item.right["strict"] == (right,)


def test_question_types_five_by_five_over_several_seeds(tmp_path):
    # Each model is right on its own type; on the others its seeds are right in 1, 2 and 3 of 4 questions.
    runs, types = [], list(accuracy_matrices.QUESTION_TYPES.values())
    for (kind, model), seed in product(accuracy_matrices.QUESTION_TYPES.items(), range(3)):
        lines = [
            line(i, kind=other, response=RIGHT if other == kind or i % 4 <= seed else WRONG)
            for i, other in enumerate(kind for kind in KINDS for _ in range(4))
        ]
        runs.append((model, write(tmp_path / f"{model}{seed}", lines)))
    items = [item for model, folder in runs for item in accuracy_matrices.load(model, folder)]
    cells = accuracy_matrices.matrix(items, "question_type", "strict")
    assert list(cells) == list(product(types, types)) and {one.n for one in cells.values()} == {12}
    assert all(one.accuracy == (1.0 if model == column else 0.5) for (model, column), one in cells.items())
    assert accuracy_matrices.summary(cells) == pytest.approx({"overall": 0.6, "in_domain": 1.0, "out_of_domain": 0.5})


def test_two_option_questions_apart(items):
    own = [item for item in items if item.model == "CT" and item.modality == "MRI"]
    counted = {
        name: accuracy_matrices.matrix(own, "modality", "strict", name)["CT", "MRI"]
        for name in accuracy_matrices.OPTIONS
    }
    assert {name: (one.n, one.accuracy) for name, one in counted.items()} == {
        "all": (20, 0.25), "2": (5, 1.0), "3+": (15, 0.0),
    }  # fmt: skip


def test_interval_is_scipys_bootstrap_and_widens_with_questions_per_image():
    lines = [line(i, response=RIGHT if i % 2 else WRONG) for i in range(100)]
    alone = accuracy_matrices.cell(accuracy_matrices.group("m", lines, "f"), "strict")
    # Half right of 100: the normal approximation is 0.5 +- 1.96 * 0.05.
    assert (alone.low, alone.high) == pytest.approx((0.402, 0.598), abs=0.015)
    lines = [line(i, response=RIGHT if (i // 10) % 2 else WRONG, image=f"i{i // 10}") for i in range(100)]
    together = accuracy_matrices.cell(accuracy_matrices.group("m", lines, "f"), "strict")
    assert together.accuracy == alone.accuracy == 0.5
    # Ten images count, not a hundred questions.
    assert together.high - together.low == pytest.approx(math.sqrt(10) * (alone.high - alone.low), rel=0.15)


def test_an_image_counts_once_however_often_it_is_evaluated():
    lines = [line(i, response=RIGHT if i % 2 else WRONG) for i in range(100)]
    once = accuracy_matrices.cell(accuracy_matrices.group("m", lines, "f"), "strict")
    four = accuracy_matrices.cell(
        [item for seed in range(4) for item in accuracy_matrices.group("m", lines, f"f{seed}")], "strict"
    )
    assert (four.n, four.low, four.high) == (400, once.low, once.high)
    # Without an image's name each row of each file is one of its own.
    unknown = [one | {"image_id": None} for one in lines]
    images = {item.image for seed in range(2) for item in accuracy_matrices.group("m", unknown, f"f{seed}")}
    assert len(images) == 200


def test_a_heat_map_shows_no_interval_where_there_is_none(tmp_path, monkeypatch):
    from matplotlib.axes import Axes

    shown, text = [], Axes.text
    monkeypatch.setattr(Axes, "text", lambda self, x, y, s, **k: [shown.append(s), text(self, x, y, s, **k)][1])
    accuracy_matrices.plot(accuracy_matrices.group("m", [line(0, response=RIGHT)], "f"), tmp_path / "one.png")
    assert shown == ["100.0"] * 4


def test_an_interval_needs_two_images():
    one = accuracy_matrices.cell(accuracy_matrices.group("m", [line(0, response=RIGHT)], "f"), "strict")
    assert one.accuracy == 1 and math.isnan(one.low) and math.isnan(one.high)
    assert accuracy_matrices.cell([], "strict").n == 0


def test_pass_at_k():
    # Two questions of four answers each; two right of the first, none of the second.
    lines = [line(q, sample=s, response=RIGHT if q == 0 and s < 2 else WRONG) for q in range(2) for s in range(4)]
    found = accuracy_matrices.pass_at_k(accuracy_matrices.group("m", lines, "f"), "strict")
    assert found == pytest.approx({1: 0.25, 2: (1 - 1 / 6) / 2, 4: 0.5})


def test_command_writes_table_csv_and_heat_maps(runs, call, tmp_path, capsys):
    assert call(accuracy_matrices, "--run", *runs, "--out", tmp_path / "out") == 0
    with (tmp_path / "out/matrices.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == (64 + 40) * 2 * 3
    [cell] = [r for r in rows if (r["axis"], r["model"], r["column"], r["extraction"], r["options"])
              == ("modality", "CT", "MRI", "lenient", "all")]  # fmt: skip
    assert float(cell["accuracy"]) == 0.5 and float(cell["low"]) < 0.5 < float(cell["high"]) and cell["n"] == "20"
    with Image.open(tmp_path / "out/matrices.png") as picture:
        assert picture.format == "PNG" and picture.width > 1000
    printed = capsys.readouterr().out
    assert "modality, strict" in printed and "in domain 100.00" in printed and "out of domain 25.00" in printed


def test_tables_fit_eighty_columns(items):
    console = Console(width=80, record=True)
    accuracy_matrices.show(items, console)
    text = console.export_text()
    assert "…" not in text and max(map(len, text.splitlines())) <= 80


def test_results_without_images_are_refused(call, tmp_path):
    folder = write(tmp_path / "video", [{"task": "tag", "index": 0}])
    with pytest.raises(AnswersError, match="no question of the tasks"):
        call(accuracy_matrices, "--run", f"m={folder}", "--out", tmp_path / "out")
    old = {key: value for key, value in line(0).items() if key != "num_options"}
    with pytest.raises(AnswersError, match="lack 'num_options'"):
        call(accuracy_matrices, "--run", f"m={write(tmp_path / 'old', [old])}", "--out", tmp_path / "out")
    with pytest.raises(AnswersError, match="NAME=FOLDER"):
        call(accuracy_matrices, "--run", "m", "--out", tmp_path / "out")
