# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""``medgrpo evaluate`` on images, from OmniMedVQA's format to the matrices; only vLLM is replaced, by a formula."""

import csv
import json

import pytest

from data_preprocess import omnimedvqa
from data_preprocess.synthetic import imaging
from recipe.medgrpo.evaluation import accuracy_matrices, evaluate
from recipe.medgrpo.evaluation.answers import read_rows


@pytest.fixture(scope="module")
def test_file(tmp_path_factory):
    root = tmp_path_factory.mktemp("imaging")
    imaging.generate(root / "world", images_per_modality=10)
    omnimedvqa.main(["--root", str(root / "world"), "--out", str(root / "data")])
    return root / "data" / "test.parquet"


def generate(model, data, out, *, n, template, chat_template, **_):
    """Right in tags on CT, right but untagged on MRI, else the letter A."""
    assert (template, chat_template) == ("medr1_eval_think", "{{ turns }}")
    lines = [{"meta": {"model": {}, "data": {}, "decoding": {"n": n}, "answers": n * len(read_rows(data))}}]
    for row in read_rows(data):
        text = {"CT": f"<answer>{row.ground_truth}</answer>", "MRI": f"{row.ground_truth})"}.get(row.source)
        record = {"index": row.index, "data_source": row.data_source, "num_tokens": 5, "finish_reason": "stop"}
        lines += [record | {"sample": s, "response": text or "<answer>A</answer>"} for s in range(n)]
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text("".join(json.dumps(line) + "\n" for line in lines))


def test_from_images_to_matrices(test_file, model, call, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("recipe.medgrpo.evaluation.generate.generate", generate)
    out = tmp_path / "CT"
    arguments = ["--model", model, "--data", test_file, "--out", out, "--template", "medr1_eval_think"]
    with pytest.raises(SystemExit):
        call(evaluate, *arguments, "--chat-template", tmp_path / "none")
    assert "cannot be read: No such file" in capsys.readouterr().err
    (tmp_path / "turns.jinja").write_text("{{ turns }}")
    arguments += ["--chat-template", tmp_path / "turns.jinja"]
    assert call(evaluate, *arguments, "--n", "2", "--temperature", "1") == 0
    printed = capsys.readouterr().out
    assert "modality, strict" in printed and "question type, lenient" in printed
    summary = json.loads((out / "summary.json").read_text())
    raw = {pair["source"]: pair["raw"] for pair in summary["pairs"]}
    assert raw["CT"] == 1 and raw["MRI"] == 0 and summary["leaderboard"] == {}

    assert call(accuracy_matrices, "--run", f"CT={out}", "--out", tmp_path / "matrices") == 0
    with (tmp_path / "matrices/matrices.csv").open() as file:
        cells = {(r["column"], r["extraction"]): float(r["accuracy"]) for r in csv.DictReader(file)
                 if (r["axis"], r["options"]) == ("modality", "all")}  # fmt: skip
    assert cells["CT", "strict"] == cells["CT", "lenient"] == cells["MRI", "lenient"] == 1
    assert cells["MRI", "strict"] == 0 and len(cells) == 16
