# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""The picture of a balanced subset: histograms, and the paper's shares next to the subset's own."""

import json
from collections import Counter

import pytest
from PIL import Image

from data_preprocess.build.balance import Balanced
from recipe.medgrpo import cli
from recipe.medgrpo.data_audit import plots
from recipe.medgrpo.data_audit.check import Checked

figure = pytest.importorskip("matplotlib.figure")


def test_the_bars_are_the_records(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(figure.Figure, "savefig", lambda self, *_, **__: drawn.append(self))
    words, lengths, rates = Counter({1: 6, 4: 1, 5: 1, 7: 1, 600: 1}), Counter({19.0: 1, 20.0: 9}), Counter({0.5: 10})
    values = {"words of the answer": words, "seconds of the clip": lengths, "fps": rates}
    plots.plot_balanced(Balanced(chosen=Counter(a=10), values=values), tmp_path / "a.png")
    above, below = drawn[0].axes[:3], drawn[0].axes[3:]
    heights = [[bar.get_height() for bar in axis.patches] for axis in above]
    assert heights == [[6, 0, 0, 2, 1, 0, 0, 0, 0, 0, 1], [1, 9, *[0] * 9], [10]]
    here, paper = (list(bars.datavalues) for bars in below[0].containers)
    assert here == [80, 10, 10] and paper == pytest.approx([28.1, 20.1, 51.8])
    assert [text.get_text() for text in below[1].texts] == ["?", "?"]
    assert list(below[2].containers[1].datavalues)[3] == pytest.approx(63.3)


def test_the_command_writes_it_next_to_the_subset(tmp_path, capsys):
    turns = [{"from": "human", "value": "<video>\nWhen?"}, {"from": "gpt", "value": "1.0-2.0 seconds."}]
    record = {"conversations": turns, "video": ["a.jpg"] * 30, "qa_type": "tal", "data_source": "AVOS"}
    record["metadata"] = {"fps": "1.0", "video_id": "a"}
    (tmp_path / "a.json").write_text(json.dumps([record | {"id": str(number)} for number in range(6)]))
    arguments = ["data", "balance", str(tmp_path / "a.json"), "--out", str(tmp_path / "new/b.json"), "--total", "4"]
    assert cli.main(arguments) == 0
    assert len(json.loads((tmp_path / "new/b.json").read_text())) == 4
    assert Image.open(tmp_path / "new/b.png").size == (1560, 780) and "b.png" in capsys.readouterr().out


def test_a_source_that_looks_like_a_formula(tmp_path):
    checked = Checked(tmp_path / "a.parquet", rows=Counter({("A ${x$", "tag"): 3}))
    assert plots.plot_checked(checked, tmp_path / "a.png") == tmp_path / "a.png" and (tmp_path / "a.png").exists()
