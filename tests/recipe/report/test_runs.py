# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""`medgrpo report A B C`: runs against the first of them."""

import json
import math
import shutil

import numpy as np
import pytest

from recipe.medgrpo.common.outputs import OutputError
from recipe.medgrpo.common.run_folder import RunDir, RunDirError, read_jsonl
from recipe.medgrpo.report import cli, runs


def change(run: RunDir, **values) -> None:
    """Of the summary of the evaluation after RL."""
    file = run.evaluation("rl").summary
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


@pytest.fixture
def three(finished_run, tmp_path) -> list[RunDir]:
    """Copies A, B and C of a run; B's answers score 0.1 more in every second row, C's are those before RL."""
    made = []
    for name in "ABC":
        shutil.copytree(finished_run.root, tmp_path / name, ignore=shutil.ignore_patterns("report"))
        made.append(RunDir(tmp_path / name))
    results = made[1].evaluation("rl").results
    lines = read_jsonl(results, "test")
    for line in lines:
        line["raw"] += 0.1 * (line["index"] % 2)
    results.write_text("".join(json.dumps(line) + "\n" for line in lines))
    for file in ("results", "summary"):
        shutil.copyfile(getattr(made[2].evaluation("sft"), file), getattr(made[2].evaluation("rl"), file))
    return made


def test_means_and_paired_differences_to_the_first_run(three, call, capsys):
    assert call(cli, *(run.root for run in three)) == 0
    out = three[0].report.with_name("comparison.html")
    html, figures, said = out.read_text(), json.loads(out.with_suffix(".json").read_text()), capsys.readouterr().out
    first, last = (read_jsonl(run.evaluation("rl").results, "test") for run in (three[0], three[2]))
    pairs = [(a["raw"], b["raw"]) for a, b in zip(first, last, strict=True) if a["task"] == "tag"]
    deltas = np.asarray([b - a for a, b in pairs])
    own = next(one for one in figures["runs"]["C"] if (one["group"], one["task"]) == ("task", "tag"))
    assert own["n"] == 24 and own["raw"]["delta"] == pytest.approx(deltas.mean())
    assert own["raw"]["error"] == pytest.approx(deltas.std(ddof=1) / math.sqrt(24))
    assert own["raw"]["after"] == pytest.approx(np.mean([b for _, b in pairs]))
    text = f"{deltas.mean():+.3f} ± {deltas.std(ddof=1) / math.sqrt(24):.3f}"
    assert text in html and text in said and html.index("<h2>Temporal action grounding</h2>") < html.index(text)
    assert "+0.050 ± 0.010" in said, "B: 0.1 more in every second of 24 rows"
    assert html.count("<img") == 1 and out.with_suffix(".png").is_file()
    low, high = json.loads(three[1].evaluation("rl").summary.read_text())["leaderboard_95"]["STG_mIoU"]
    assert f"{low:.3f} to {high:.3f}" in html
    assert not {file for run in three[1:] for file in run.root.rglob("*comparison*")}


def test_rewards_of_one_normalization_are_compared(three):
    out, *_ = runs.write_comparison(three)
    assert ">reward</th>" in out.read_text()
    change(three[1], normalization="another")
    out, _, notes = runs.write_comparison(three)
    assert ">reward</th>" not in out.read_text() and any("different normalizations" in note for note in notes)


def test_differences_and_alarms_that_a_reader_should_know_of(three):
    change(three[2], decoding={"n": 4})
    (three[1].rl / "alarms.jsonl").write_text('{"level": "warning", "step": 3, "message": "low"}\n')
    three[1].config.write_text("data: {seed: 8, train_batch_size: 16}")
    out, _, notes = runs.write_comparison(three)
    html = out.read_text()
    assert all(note in html for note in notes) and any("B (1)" in note for note in notes)
    assert any("decoded differently" in note for note in notes)
    table = html[html.index("What was run") :]
    assert table.index(">seed<") < table.index(">model<"), "what differs comes first"
    assert ">7</td>" in table and ">8</td>" in table


def test_runs_of_other_tasks(three):
    for run, tasks in zip(three, ("[tag]", "[tag]", "[tag, nap]"), strict=True):
        run.config.write_text(f"data: {{tasks: {tasks}}}")
    out, lines, notes = runs.write_comparison(three)
    assert [own[-1].n for own in lines.values()] == [24, 24, 24]
    assert "The runs were trained on different tasks. All tasks of RL are those of A." in notes
    of_rl = out.read_text().split("All tasks of RL: tag<")[1].split("</section>")[0]
    assert of_rl.count("<tr") == 1 + 3 and "AVOS" not in of_rl, "a line for each run"
    for run in three:
        run.config.write_text("data: {tasks: [cvs]}")
    out, _, notes = runs.write_comparison(three)
    assert "(cvs) has a reward" in notes[-1] and "All tasks of RL" not in out.read_text()


def test_what_cannot_be_compared_is_one_sentence(three, tmp_path):
    with pytest.raises(RunDirError, match="given twice"):
        runs.write_comparison([three[0], RunDir(tmp_path / "B/../A")])
    results = three[1].evaluation("rl").results
    whole = results.read_text()
    results.write_text(whole.replace('"ground_truth": "', '"ground_truth": "other ', 1))
    with pytest.raises(RunDirError, match="A and B: the evaluations cover different rows .2 rows"):
        runs.write_comparison(three)
    results.write_text(whole)
    change(three[2], similarity="other-encoder")
    with pytest.raises(RunDirError, match="A and C were evaluated with another similarity .*other-encoder"):
        runs.write_comparison(three)
    change(three[2], similarity="all-MiniLM-L6-v2", judge_prompt="other")
    with pytest.raises(RunDirError, match="A and C were evaluated with another judge_prompt .None and other"):
        runs.write_comparison(three)
    three[1].evaluation("rl").summary.unlink()
    with pytest.raises(RunDirError, match="written by medgrpo evaluate"):
        runs.write_comparison(three)
    with pytest.raises(OutputError):
        runs.write_comparison(three, three[0].evaluation("rl").summary)
    assert not three[0].report.parent.exists()


def test_runs_of_one_name_are_called_by_their_paths(tmp_path):
    folders = [RunDir(tmp_path / place / "seed0") for place in ("old", "new")]
    assert runs.names(folders) == [str(run.root) for run in folders]
    assert runs.names([folders[0], RunDir(tmp_path / "new/seed1")]) == ["seed0", "seed1"]
