# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
import base64
import io
import json
import math
import re
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from rich.console import Console

from recipe.medgrpo.cli import is_own_error
from recipe.medgrpo.common.outputs import OutputError
from recipe.medgrpo.common.plot_style import task_name
from recipe.medgrpo.common.run_folder import RunDir, RunDirError, read_jsonl
from recipe.medgrpo.evaluation.answers import AnswersError, task_rank
from recipe.medgrpo.report import cli
from recipe.medgrpo.report import examples as report_examples
from recipe.medgrpo.report import page as report
from recipe.medgrpo.report import plots as report_plots
from recipe.medgrpo.report import run_data as report_data
from recipe.medgrpo.report import wording as report_text
from recipe.medgrpo.report.run_data import Evaluation

pytestmark = pytest.mark.usefixtures("light_encoder_in_module")


# ---- the page ------------------------------------------------------------------------------------------------------


def test_page_is_self_contained_and_small(page):
    out, html, _ = page
    assert not re.search(r"https?://|file:|<script|<link|@import|url\(", html)
    assert {uri.split(",")[0] for uri in re.findall(r'src="([^"]{1,40})', html)} == {
        "data:image/png;base64",
        "data:image/jpeg;base64",
    }
    assert out.stat().st_size < 3e6


def test_page_holds_the_pictures_that_lie_beside_it(page):
    out, html, _ = page
    assert not (out.parent / "validation.png").exists(), "the log has no validation"
    for name in ("change", "rewards", "health", "agreement"):
        assert base64.b64encode((out.parent / f"{name}.png").read_bytes()).decode() in html
        with Image.open(out.parent / f"{name}.png") as image:
            assert image.width > 1000


def test_page_says_what_was_run(page, finished_run):
    _, html, comparison = page
    summary = json.loads(finished_run.evaluation("rl").summary.read_text())
    for text in (summary["normalization"], "2 min 12 s", "1 h 02 min", "verl 0.9.1", ">7<", ">pass<", "12 logged"):
        assert text in html
    assert report_text.verdict(comparison[-1]) in html
    assert "are missing" not in html and "does not show" not in html


def test_terminal_shows_the_same_table(page):
    console = Console(width=80, file=io.StringIO(), record=True)
    cli.print_comparison(page[2], console)
    text = console.export_text()
    assert report_text.change(page[2][-1].reward) in text
    assert text.count("EgoSurgery") == 4 and "…" not in text


def test_answers_cannot_inject_markup(run_copy):
    results = run_copy.evaluation("rl").results
    lines = read_jsonl(results, "test")
    lines[0]["response"] = "<script>alert(1)</script>"
    lines[0]["score"] = -5.0  # the largest loss, so that it is shown
    results.write_text("".join(json.dumps(line) + "\n" for line in lines))
    html = report.write_report(run_copy)[0].read_text()
    assert "&lt;script&gt;alert(1)" in html and "<script" not in html


def test_page_without_logs_and_normalization_says_so(run_copy):
    shutil.rmtree(run_copy.rl)
    run_copy.normalization.unlink()
    out, *_ = report.write_report(run_copy)
    html = out.read_text()
    assert "neither metrics*.jsonl nor .hydra/config.yaml" in html and "Why rewards are normalized" not in html
    assert "does not show the normalization: cannot read" in html
    assert not (out.parent / "rewards.png").exists()


@pytest.mark.parametrize(
    ("loggers", "why"), [("[console, wandb]", "off (trainer.logger=console,wandb)"), ("[console, file]", "was on, but")]
)
def test_a_missing_log_is_explained_by_the_configuration(run_copy, loggers, why):
    for file in run_copy.metrics_files():
        file.unlink()
    run_copy.config.write_text(f"trainer: {{logger: {loggers}}}")
    assert why in report.write_report(run_copy)[0].read_text()


def test_raw_scores_stand_next_to_rewards_and_metrics_have_intervals(page, finished_run):
    summary = json.loads(finished_run.evaluation("rl").summary.read_text())
    low, high = summary["leaderboard_95"]["STG_mIoU"]
    assert low < summary["leaderboard"]["STG_mIoU"] < high
    assert f"<td>{low:.3f} to {high:.3f}</td>" in page[1]
    results = {line["index"]: line for line in read_jsonl(finished_run.evaluation("rl").results, "test")}
    sides = [report_data.read_evaluation(finished_run.evaluation(name)) for name in ("sft", "rl")]
    example = report_examples.build(*sides, ["stg"], finished_run.val)["stg"][0]
    raw, reward = example.scores["after"]
    assert raw != reward and (raw, reward) in {(one["raw"], one["score"]) for one in results.values()}
    assert f"<td>{raw:.3f}</td><td>{reward:.3f}</td>" in page[1]


def test_what_the_page_would_overwrite_and_a_run_that_is_not_there(run_copy, tmp_path):
    for out in (run_copy.evaluation("rl").summary, run_copy.rl):
        with pytest.raises(OutputError):
            report.write_report(run_copy, out)
    for name in ("health.png", "page.json"):
        (tmp_path / name).write_text("mine")
        with pytest.raises(OutputError, match=f"{name} exists"):
            report.write_report(run_copy, tmp_path / "page.html")
        (tmp_path / name).unlink()
    with pytest.raises(RunDirError, match="no such run folder"):
        report.write_report(RunDir(tmp_path / "typo"))
    assert not (tmp_path / "typo").exists() and not (tmp_path / "page.html").exists()


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("eval/rl/summary.json", "[]"),
        ("eval/rl/summary.json", '{"model": 1}'),
        ("eval/rl/summary.json", "[" * 100_000),
        ("eval/rl/results.jsonl", '{"index": "x"}\n'),
        ("eval/rl/results.jsonl", "{}\n" * 96),
        ("rl/metrics.1.jsonl", '{"step": [], "data": 3}\n'),
        ("rl/.hydra/config.yaml", "a: [b"),
        ("rl/alarms.jsonl", '{"step": 1}\n'),
        ("data/val.parquet", "no rows"),
    ],
)
def test_odd_files_are_one_sentence(run_copy, file, text):
    (run_copy.root / file).write_text(text)
    with pytest.raises(ValueError) as told:
        report.write_report(run_copy)
    assert is_own_error(told.value) and Path(file).name in str(told.value)


def test_lost_results_do_not_pass_for_all(run_copy):
    results = run_copy.evaluation("rl").results
    results.write_text("".join(results.open().readlines()[:60]))
    with pytest.raises(AnswersError, match="holds 60 answers, and .* says 96"):
        report.write_report(run_copy)


def test_a_log_of_verls_own_sampler_has_no_pairs():
    metrics = {1: {"training/global_step": 1, "response_length/clip_ratio": 0.0}}
    assert report_data.pair_series(metrics) == {}
    assert any("no figures per source and task" in note for note in report_text.notes(metrics, {}, None, ["file"]))


def test_a_missing_evaluation_names_its_command(run_copy):
    run_copy.evaluation("rl").summary.unlink()
    with pytest.raises(RunDirError, match="summary.json does not exist: it is written by medgrpo evaluate"):
        report.write_report(run_copy)


# ---- before and after ----------------------------------------------------------------------------------------------


def test_paired_difference_and_its_error(page, finished_run):
    old, new = (read_jsonl(finished_run.evaluation(name).results, "test") for name in ("sft", "rl"))
    pick = [
        (a["score"], b["score"]) for a, b in zip(old, new, strict=True) if a["data_source"] == "medvidbench/AVOS/tag"
    ]
    delta = np.asarray([b - a for a, b in pick])
    line = next(c for c in page[2] if (c.source, c.task) == ("AVOS", "tag"))
    assert line.n == 8
    assert line.reward.delta == pytest.approx(delta.mean())
    assert line.reward.error == pytest.approx(delta.std(ddof=1) / math.sqrt(8))
    assert line.reward.before == pytest.approx(np.mean([a for a, _ in pick]))
    overall = page[2][-1]
    assert overall.group == "overall" and overall.n == 72, "rows of tag, stg and vs, not of nap"
    after = np.asarray([b for _, b in pick])
    assert line.reward.after_error == pytest.approx(after.std(ddof=1) / math.sqrt(8))


def test_tasks_of_rl_are_those_of_the_runs_configuration(run_copy, monkeypatch):
    drawn = []
    monkeypatch.setattr(report_plots, "plot_change", lambda changes, path: drawn.extend(changes))
    run_copy.config.write_text(
        "data: {tasks: '${medgrpo.reward.reward_tasks}'}\nmedgrpo: {reward: {reward_tasks: [tag, nap]}}"
    )
    out, comparison, _ = report.write_report(run_copy)
    assert {line.task for line in comparison if line.rewarded and line.group == "pair"} == {"tag", "nap"}
    assert comparison[-1].n == 48 and {label.split(" ")[0] for label in drawn} == {"tag", "nap"}
    html = out.read_text()
    assert '<tr class="sum"><td class="t">nap</td>' in html and '<tr class="sum other"><td class="t">stg</td>' in html


def test_no_row_of_the_tasks_of_rl_is_said_in_words(run_copy, capsys, call):
    run_copy.config.write_text("data: {tasks: [cvs]}")
    assert call(cli, run_copy.root) == 0
    html, said = run_copy.report.read_text(), capsys.readouterr().out
    for text in (html, said):
        assert "No held-out row of the tasks of RL (cvs) has a reward" in text and not re.search(r"\bnan\b", text)
    assert not run_copy.report.with_name("change.png").exists()


def _evaluation(values: list[tuple[int, float]], normalization="h") -> Evaluation:
    results = [
        {"index": i, "source": "A", "task": "tag", "data_source": "m/A/tag", "score": v, "raw": v, "parsed": 1.0,
         "finish_reason": "stop", "ground_truth": "1.0-2.0 seconds."}
        for i, v in values
    ]  # fmt: skip
    return Evaluation({"normalization": normalization}, results)


def test_pairing_is_by_row_after_the_mean_over_samples():
    table = report_data.compare(_evaluation([(0, 0.0), (0, 1.0), (1, 0.2)]), _evaluation([(1, 0.4), (0, 0.6)]))
    assert table[0].reward.delta == pytest.approx((0.1 + 0.2) / 2)
    assert table[0].reward.error == pytest.approx(0.05)


def test_evaluations_that_cannot_be_compared():
    with pytest.raises(RunDirError, match="different rows .1 rows"):
        report_data.compare(_evaluation([(0, 0.0), (1, 0.0)]), _evaluation([(0, 0.0)]))
    other = _evaluation([(0, 0.0)])
    other.results[0]["ground_truth"] = "another file's row 0"
    with pytest.raises(RunDirError, match="different rows .2 rows"):
        report_data.compare(_evaluation([(0, 0.0)]), other)
    with pytest.raises(RunDirError, match="different normalizations"):
        report_data.compare(_evaluation([(0, 0.0)]), _evaluation([(0, 0.0)], "other"))


# ---- figures as JSON, the page of answers, published numbers, and curves ---------------------------------------------


def test_the_pages_figures_are_there_for_scripts(page, finished_run):
    figures = json.loads(page[0].with_suffix(".json").read_text())
    line = next(one for one in page[2] if (one.source, one.task) == ("AVOS", "tag"))
    own = next(one for one in figures["comparison"] if (one["source"], one["task"]) == ("AVOS", "tag"))
    assert own["n"] == 8 and own["reward"] == line.reward._asdict() and own["raw"] == line.raw._asdict()
    summary = json.loads(finished_run.evaluation("rl").summary.read_text())
    metric = figures["benchmark"]["STG_mIoU"]
    assert metric["change"]["after"] == summary["leaderboard"]["STG_mIoU"]
    assert metric["intervals"][1] == summary["leaderboard_95"]["STG_mIoU"]
    assert metric["change"]["error"] is None and metric["published"] == [], "no number, and not the whole test set"
    assert figures["verdict"] in page[1] and figures["warnings"] == [] and figures["agreement"]["passed"] is True
    assert figures["facts"]["normalization"] == summary["normalization"] and figures["timings"]["sft"] == 132.4


def test_the_page_of_answers_is_linked_or_its_command_given(page, run_copy, tmp_path):
    assert f"<code>medgrpo browse {page[0].parents[1]}</code>" in page[1] and "<a " not in page[1]
    run_copy.browse.parent.mkdir()
    run_copy.browse.write_text("")
    assert '<a href="../browse/index.html">' in report.write_report(run_copy)[0].read_text()
    elsewhere = report.write_report(run_copy, tmp_path / "page.html")[0].read_text()
    assert '<a href="copy/browse/index.html">' in elsewhere


def test_published_numbers_stand_next_to_the_whole_test_set_only():
    sides = [_evaluation([(i, 0.5) for i in range(rows)]) for rows in (6245, 6244)]
    for side in sides:
        side.summary["leaderboard"] = {"STG_mIoU": 0.2, "VQA": 0.5}
        for line in side.results:
            line["data_source"] = "medvidbench/A/tag"
    whole, part = (report_text.benchmark_metrics(side, side) for side in sides)
    assert whole["STG_mIoU"].published == (0.177, 0.202, 0.133, 0.176) and whole["VQA"].published == ()
    assert part["STG_mIoU"].published == ()
    sides[0].results[0]["data_source"] = "other/A/tag"
    assert report_text.benchmark_metrics(sides[0], sides[0])["STG_mIoU"].published == ()


def test_published_numbers_are_marked_as_such(page, run_copy, monkeypatch):
    monkeypatch.setattr(report_text, "FULL_TEST_SIZE", 96)
    html = report.write_report(run_copy)[0].read_text()
    assert '<td class="first">0.177 → 0.202</td><td class="first">0.133 → 0.176</td>' in html
    assert "not measured here" in html and "not measured here" not in page[1]


def test_curves_that_stay_the_same_are_left_out(run_copy, log_writer, monkeypatch):
    drawn = []
    monkeypatch.setattr(report_plots, "plot_panels", lambda panels, path: drawn.append(list(panels)))
    log = {step: log_writer.step(step) | {"actor/lr": 1e-6, "actor/ppo_kl": 0.0} for step in range(1, 5)}
    for changed in ({}, {"actor/lr": 2e-6, "actor/kl_loss": 0.1}):
        log[4] |= changed
        metrics = {step: values | ({"actor/kl_loss": 0.2} if changed else {}) for step, values in log.items()}
        metrics[4] |= changed
        report.draw(run_copy.root, [], metrics, report_data.pair_series(metrics), None)
    assert set(drawn[1]) - set(drawn[0]) == {"Learning rate", "KL to the reference (loss)"}
    assert "Gradient norm" in drawn[0] and "KL of the update" not in drawn[1]


# ---- examples and pictures -----------------------------------------------------------------------------------------


def test_examples_are_chosen_by_rule():
    before, after = _evaluation([(0, 0.5), (1, 0.5), (2, 0.5)]), _evaluation([(0, 0.9), (1, 0.5), (2, 0.1)])
    chosen = {"tag": [("largest gain", 0), ("typical", 1), ("largest loss", 2)]}
    assert report_examples.pick(before, after, ["tag", "vs"]) == chosen
    assert report_examples.pick(before, before, ["tag"]) == {"tag": [("typical", 1)]}
    unjudged = _evaluation([(0, None), (1, 0.5), (2, 0.1)])
    assert report_examples.pick(before, unjudged, ["tag"]) == {"tag": [("typical", 1), ("largest loss", 2)]}


def test_examples_show_frames_and_spans(finished_run):
    sides = [report_data.read_evaluation(finished_run.evaluation(name)) for name in ("sft", "rl")]
    examples = report_examples.build(*sides, ["tag", "stg"], finished_run.val)
    tag, stg = examples["tag"][0], examples["stg"][0]
    assert [round(t.seconds) for t in tag.thumbnails] == [0, 2, 5, 7]
    assert [t.seconds for t in stg.thumbnails] == [0.0, 4.0], "the frames that the reference speaks of"
    bar = tag.timeline[0]
    assert bar.who == "reference"
    left, width = bar.parts[0]
    start = float(tag.texts["reference"].split("-")[0])
    assert (left, width) == (pytest.approx(100 * start / 8), pytest.approx(50.0))


def test_examples_without_frames(finished_run, world, tmp_path, monkeypatch):
    monkeypatch.setattr(report_examples, "_frames", lambda record: (["/nowhere/0.jpg"] * 8, 1.0))
    sides = [report_data.read_evaluation(finished_run.evaluation(name)) for name in ("sft", "rl")]
    assert report_examples.build(*sides, ["tag"], finished_run.val)["tag"][0].thumbnails == []


def test_a_broken_frame_is_left_out_and_named(run_copy, tmp_path):
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no picture")
    table = pq.read_table(run_copy.val)
    rows = table.to_pylist()
    for row in rows:
        row["videos"][0]["video"][0] = str(broken)
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), run_copy.val)
    html = report.write_report(run_copy)[0].read_text()
    assert html.count(f"Examples lack frames that are no pictures: {broken} cannot be opened as a picture") == 1
    assert "data:image/jpeg" in html and "not on this machine" not in html


def test_smoothing_keeps_level_and_fills_gaps():
    assert report_plots.smooth(np.full(50, 0.3)) == pytest.approx(np.full(50, 0.3))
    line = np.linspace(0, 1, 101)
    assert report_plots.smooth(line)[40:60] == pytest.approx(line[40:60], abs=1e-6), "no lag"
    gap = np.asarray([1.0, math.nan, 1.0])
    assert report_plots.smooth(gap) == pytest.approx([1, 1, 1])


def test_unknown_tasks_come_last():
    assert sorted(["vqa", "vs", "tag"], key=task_rank) == ["tag", "vs", "vqa"]
    assert task_name("vqa") == "vqa"
