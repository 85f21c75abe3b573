# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
import base64
import io
import json
import math
import re
import shutil

import numpy as np
import pytest
from omegaconf import OmegaConf
from PIL import Image
from rich.console import Console

from recipe.medgrpo.common.plot_style import task_name
from recipe.medgrpo.common.run_folder import RunDir, RunDirError, read_jsonl
from recipe.medgrpo.evaluation.answers import read_rows, task_rank
from recipe.medgrpo.report import examples as report_examples
from recipe.medgrpo.report import page as report
from recipe.medgrpo.report import plots as report_plots
from recipe.medgrpo.report import run_data as report_data
from recipe.medgrpo.report import wording as report_text
from recipe.medgrpo.report.run_data import Evaluation, RowFinder

pytestmark = pytest.mark.usefixtures("light_encoder_in_module")


@pytest.fixture(scope="module")
def page(finished_run, light_encoder_in_module):
    out, comparison = report.write_report(finished_run)
    return out, out.read_text(encoding="utf-8"), comparison


@pytest.fixture
def run_copy(finished_run, tmp_path):
    shutil.copytree(finished_run.root, tmp_path / "copy", ignore=shutil.ignore_patterns("report"))
    return RunDir(tmp_path / "copy")


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
    assert "differ from reward_score" not in html


def test_terminal_shows_the_same_table(page):
    console = Console(width=80, file=io.StringIO(), record=True)
    report.print_comparison(page[2], console)
    text = console.export_text()
    assert report_text.change(page[2][-1]["reward_delta"], page[2][-1]["reward_delta_se"]) in text
    assert text.count("EgoSurgery") == 4


def test_answers_cannot_inject_markup(run_copy):
    results = run_copy.evaluation("rl").results
    lines = read_jsonl(results, "test")
    lines[0]["response"] = "<script>alert(1)</script>"
    lines[0]["score"] = -5.0  # the largest loss, so that it is shown
    results.write_text("".join(json.dumps(line) + "\n" for line in lines))
    html = report.write_report(run_copy)[0].read_text()
    assert "&lt;script&gt;alert(1)" in html and "<script" not in html


def test_page_without_logs_says_so(run_copy):
    shutil.rmtree(run_copy.rl)
    out, _ = report.write_report(run_copy)
    html = out.read_text()
    assert "calculate_log_probs=True" in html and "no curves per source" in html
    assert not (out.parent / "rewards.png").exists()


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
    line = next(c for c in page[2] if (c["source"], c["task"]) == ("AVOS", "tag"))
    assert line["n"] == 8
    assert line["reward_delta"] == pytest.approx(delta.mean())
    assert line["reward_delta_se"] == pytest.approx(delta.std(ddof=1) / math.sqrt(8))
    assert line["reward_before"] == pytest.approx(np.mean([a for a, _ in pick]))
    overall = page[2][-1]
    assert overall["group"] == "overall" and overall["n"] == 72, "rows of tag, stg and vs, not of nap"


def _evaluation(values: list[tuple[int, float]], normalization="h") -> Evaluation:
    results = [
        {"index": i, "source": "A", "task": "tag", "data_source": "m/A/tag", "score": v, "raw": v, "parsed": 1.0}
        for i, v in values
    ]
    return Evaluation({"normalization": normalization}, results)


def test_pairing_is_by_row_after_the_mean_over_samples():
    table = report_data.compare(_evaluation([(0, 0.0), (0, 1.0), (1, 0.2)]), _evaluation([(1, 0.4), (0, 0.6)]))
    assert table[0]["reward_delta"] == pytest.approx((0.1 + 0.2) / 2)
    assert table[0]["reward_delta_se"] == pytest.approx(0.05)


def test_evaluations_that_cannot_be_compared():
    with pytest.raises(RunDirError, match="different rows .1 rows"):
        report_data.compare(_evaluation([(0, 0.0), (1, 0.0)]), _evaluation([(0, 0.0)]))
    with pytest.raises(RunDirError, match="different normalizations"):
        report_data.compare(_evaluation([(0, 0.0)]), _evaluation([(0, 0.0)], "other"))


def test_verdict():
    line = {"reward_before": 0.4, "reward_after": 0.5, "reward_delta": 0.1, "reward_delta_se": 0.02, "n": 9}
    assert report_text.verdict(line).endswith("change +0.100 ± 0.020 (standard error) on 9 rows, 5.0 standard errors.")
    assert report_text.verdict({**line, "reward_delta_se": 0.0}).endswith("± 0.000 (standard error) on 9 rows.")
    assert report_text.verdict({**line, "reward_delta_se": math.nan}).endswith("on 9 rows (no standard error).")


def test_words_for_a_change():
    assert report_text.mood(0.1, 0.05) == "good" and report_text.mood(-0.1, 0.05) == "bad"
    assert report_text.mood(0.04, 0.05) == "" and report_text.mood(0.1, math.nan) == ""
    assert report_text.change(0.0126, 0.004) == "+0.013 ± 0.004" and report_text.change(-0.1) == "-0.100"
    assert report_text.num(None) == report_text.num(math.nan) == "–"
    assert report_text.duration(59.6) == "1 min 00 s"


# ---- verl's logs ---------------------------------------------------------------------------------------------------


def test_a_resumed_run_is_one_table(finished_run):
    metrics = report_data.read_metrics(finished_run.metrics_files())
    assert list(metrics) == list(range(1, 13))
    steps, entropy = report_data.series(metrics, "actor/entropy")
    assert entropy[4] == pytest.approx(0.95) and set(entropy[5:]) == {0.25}, "the later start wins"


def test_files_are_ordered_by_their_first_step_not_by_name(tmp_path, log_writer):
    for name, first, value in (("metrics.2.jsonl", 1, 1.0), ("metrics.10.jsonl", 3, 2.0)):
        log_writer.write(tmp_path / name, {step: {"x": value} for step in range(first, first + 3)})
    metrics = report_data.read_metrics(sorted(tmp_path.glob("*")))
    assert [metrics[step]["x"] for step in metrics] == [1, 1, 2, 2, 2]


def test_nan_in_the_log_is_no_number(tmp_path, log_writer):
    log_writer.write(tmp_path / "m.jsonl", {1: {"x": float("nan")}, 2: {"x": np.float64(0.5)}})
    steps, values = report_data.series(report_data.read_metrics([tmp_path / "m.jsonl"]), "x")
    assert steps.tolist() == [2] and values.tolist() == [0.5]


def test_a_log_of_another_kind_is_refused(tmp_path):
    (tmp_path / "m.jsonl").write_text('{"loss": 1}\n')
    with pytest.raises(RunDirError, match="is this verl's file log"):
        report_data.read_metrics([tmp_path / "m.jsonl"])
    (tmp_path / "m.jsonl").write_text('{"step": 1, "data": {}}\n{"st\n{"step": 2, "data": {}}\n')
    with pytest.raises(RunDirError, match="line 2: not JSON"):
        report_data.read_metrics([tmp_path / "m.jsonl"])


@pytest.mark.parametrize(
    ("correlation", "difference", "passed"),
    [(0.999, 0.0099, True), (0.9989, 0.001, False), (0.9999, 0.01, False)],
)
def test_agreement_is_judged_by_the_worst_step(log_writer, correlation, difference, passed):
    log = {step: log_writer.step(step) for step in (1, 2, 3)}
    log[2] |= {report_data.CORRELATION: correlation, report_data.DIFFERENCE: difference}
    del log[3][report_data.CORRELATION]
    policy = report_data.agreement(log)
    assert policy.worst == (correlation, pytest.approx(max(difference, 2e-4)))
    assert policy.passed is passed and policy.unknown == 1
    notes = " ".join(report_text.notes(policy, [], []))
    assert ("disagree" in notes) is not passed and "1 training steps logged no comparison" in notes


def test_agreement_that_was_never_logged():
    assert report_data.agreement({1: {"training/global_step": 1}}) is None


# ---- rollouts ------------------------------------------------------------------------------------------------------


def test_stock_rollouts_are_looked_up_and_scored_again(finished_run):
    options = report.reward_options(finished_run, OmegaConf.create())
    rollouts = report_data.read_rollouts(finished_run, options, [finished_run.train])
    assert len(rollouts) == 12 * 24 and [r.step for r in rollouts] == sorted(r.step for r in rollouts)
    assert max(abs(r.logged - r.reward) for r in rollouts) < 1e-6
    series = report_data.rollout_series(rollouts, "pair")
    own = [r.raw for r in rollouts if (r.source, r.task, r.step) == ("AVOS", "tag", 3)]
    step = list(series["AVOS", "tag"]["step"]).index(3)
    assert series["AVOS", "tag"]["raw"][step] == pytest.approx(np.mean(own))
    assert set(report_data.rollout_series(rollouts, "task")) == {"tag", "stg", "vs"}


def test_long_runs_are_read_at_equal_distances():
    assert report_data.evenly(list(range(5001)), 3) == [0, 2500, 5000]
    assert report_data.evenly([1, 2], 3) == [1, 2]


def test_rollouts_with_components_are_taken_as_they_are(tmp_path):
    run = RunDir(tmp_path)
    run.rollouts.mkdir(parents=True)
    line = {"step": 2, "data_source": "m/A/vs", "raw": None, "parsed": 0.0, "score": 0.25, "output": "x", "input": "q"}
    (run.rollouts / "2.jsonl").write_text(json.dumps(line) + "\n")
    (rollout,) = report_data.read_rollouts(run, {}, [])
    assert (rollout.source, rollout.task, rollout.reward, rollout.logged) == ("A", "vs", 0.25, 0.25)
    assert math.isnan(rollout.raw)


def test_a_step_that_a_kill_left_unwritten_is_named(run_copy):
    """The log ends before the step, the dump in the middle of a character: the report is written, and says so."""
    assert "are missing" not in report.write_report(run_copy)[0].read_text()
    torn = run_copy.rollouts / "5.jsonl"
    torn.write_bytes(torn.read_bytes()[:-400] + "é".encode()[:1])
    (run_copy.rollouts / "7.jsonl").unlink()
    assert "answers of steps 5, 7 are missing" in report.write_report(run_copy)[0].read_text()
    metrics = report_data.read_metrics(run_copy.metrics_files())
    del metrics[9]
    assert report_data.lost_steps(run_copy, metrics) == [5, 7, 9]
    options = report.reward_options(run_copy, OmegaConf.create())
    assert len(report_data.read_rollouts(run_copy, options, [run_copy.train])) == 10 * 24


def test_rewards_that_differ_are_reported(run_copy):
    path = run_copy.rollouts / "5.jsonl"
    lines = read_jsonl(path, "test")
    lines[0]["score"] += 0.1
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert "1 of 288 rewards" in report.write_report(run_copy)[0].read_text()


def test_an_llm_judge_is_not_asked_again(run_copy, monkeypatch):
    """No key, no address: a report that asked would fail, or pay."""
    monkeypatch.setattr("reward_score.judge.LLMJudge.judge", lambda *_: pytest.fail("the judge was asked"))
    path = run_copy.rollouts / "5.jsonl"
    lines = read_jsonl(path, "test")
    rows = [RowFinder(read_rows(run_copy.train)).find(line, "here") for line in lines]
    for line, row in zip(lines, rows, strict=True):
        if row.task == "vs":
            line["score"] = 0.125
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    run_copy.config.write_text("medgrpo: {reward: {normalization: logistic, judge: {model: grader-9}}}\n")
    html = report.write_report(run_copy)[0].read_text()
    assert "rest on the judge grader-9" in html and "differ from reward_score" not in html
    options = report.reward_options(run_copy, OmegaConf.load(run_copy.config))
    rollouts = report_data.read_rollouts(run_copy, options, [run_copy.train])
    captions = [rollout for rollout in rollouts if rollout.task == "vs" and rollout.step == 5]
    assert captions and {rollout.reward for rollout in captions} == {0.125}
    assert all(math.isnan(rollout.raw) is (rollout.task == "vs") for rollout in rollouts)


def test_data_and_artifact_outside_the_run_are_found(run_copy, tmp_path):
    for file in (run_copy.train, run_copy.val, run_copy.normalization):
        file.rename(tmp_path / file.name)
    with pytest.raises(RunDirError, match="held-out rows"):
        report_data.held_out_file(run_copy, Evaluation({"data": "/nowhere"}, []))
    run_copy.config.write_text(
        f"data: {{train_files: ['{tmp_path}/train.parquet']}}\n"
        f"medgrpo: {{reward: {{normalization: logistic, artifact: '{tmp_path}/normalization.json'}}}}\n"
    )
    for name in ("sft", "rl"):
        file = run_copy.evaluation(name).summary
        file.write_text(json.dumps(json.loads(file.read_text()) | {"data": str(tmp_path / "val.parquet")}))
    html = report.write_report(run_copy)[0].read_text()
    assert "largest difference" in html and "differ from reward_score" not in html
    kept = run_copy.rl / "normalization.json"
    kept.write_bytes((tmp_path / "normalization.json").read_bytes())
    assert report_data.artifact_file(run_copy, OmegaConf.load(run_copy.config)) == kept


def test_the_padding_of_dropped_trajectories_is_no_answer(run_copy):
    path = run_copy.rollouts / "5.jsonl"
    lines = read_jsonl(path, "test")
    lines[0] |= {"input": "", "output": "", "score": 0.0, "uid": "padb548_0_0"}
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    options = report.reward_options(run_copy, OmegaConf.create())
    assert len(report_data.read_rollouts(run_copy, options, [run_copy.train])) == 12 * 24 - 1


def test_a_rollout_of_other_data_is_refused(world):
    rows = read_rows(world.train)
    finder = RowFinder(rows)
    line = {"input": f"user\n{rows[7].extra_info['question']}\nassistant", "gts": rows[7].ground_truth}
    assert finder.find(line, "here") == rows[7]
    with pytest.raises(RunDirError, match="here: .*none, expected one"):
        finder.find({**line, "gts": "7.0-9.0 seconds."}, "here")
    same = "two sources, one question"
    twins = [
        type(row)(row.index, row.data_source, row.source, row.task, "t", {**row.extra_info, "question": same})
        for row in (rows[0], rows[-1])
    ]
    with pytest.raises(RunDirError, match="medvidbench/AVOS/tag, medvidbench/EgoSurgery/nap"):
        RowFinder(twins).find({"input": same, "gts": "t"}, "here")


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
    start = float(tag.reference.split("-")[0])
    assert (left, width) == (pytest.approx(100 * start / 8), pytest.approx(50.0))


def test_examples_without_frames(finished_run, world, tmp_path, monkeypatch):
    monkeypatch.setattr(report_examples, "_frames", lambda record: (["/nowhere/0.jpg"] * 8, 1.0))
    sides = [report_data.read_evaluation(finished_run.evaluation(name)) for name in ("sft", "rl")]
    assert report_examples.build(*sides, ["tag"], finished_run.val)["tag"][0].thumbnails == []


def test_smoothing_keeps_level_and_fills_gaps():
    assert report_plots.smooth(np.full(50, 0.3)) == pytest.approx(np.full(50, 0.3))
    line = np.linspace(0, 1, 101)
    assert report_plots.smooth(line)[40:60] == pytest.approx(line[40:60], abs=1e-6), "no lag"
    gap = np.asarray([1.0, math.nan, 1.0])
    assert report_plots.smooth(gap) == pytest.approx([1, 1, 1])


def test_unknown_tasks_come_last():
    assert sorted(["vqa", "vs", "tag"], key=task_rank) == ["tag", "vs", "vqa"]
    assert task_name("vqa") == "vqa"
