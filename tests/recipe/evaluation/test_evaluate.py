# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
import io
import json
import math

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from console import medgrpo
from rich.console import Console

import reward_score
from recipe.medgrpo.cli import main
from recipe.medgrpo.common.run_folder import EvalDir, read_jsonl
from recipe.medgrpo.evaluation import evaluate
from recipe.medgrpo.evaluation.answers import AnswersError, mean_and_error, read_answers, read_rows
from recipe.medgrpo.scoring.artifact_check import judge_provenance
from reward_score.config import ScoreConfig
from reward_score.judge import read_judge


def test_mean_and_standard_error():
    mean, error = mean_and_error([1.0, 2.0, 3.0, 6.0, math.nan])
    assert mean == 3.0
    assert error == pytest.approx(np.std([1, 2, 3, 6], ddof=1) / 2)
    assert mean_and_error([0.4])[0] == 0.4 and math.isnan(mean_and_error([0.4])[1])
    assert math.isnan(mean_and_error([])[0])


@pytest.fixture
def artifact(finished_run):
    return reward_score.Artifact.load(finished_run.normalization)


def test_results_hold_what_compute_score_says(finished_run, artifact):
    results = read_jsonl(finished_run.evaluation("sft").results, "test")
    rows = read_rows(finished_run.val)
    assert len(results) == len(rows) == 96
    options = {"normalization": "logistic", "artifact": str(finished_run.normalization)}
    for result in results:
        assert set(reward_score.SCORE_KEYS) <= result.keys()
        if result["task"] == "tag":
            row = rows[result["index"]]
            expected = reward_score.compute_score(
                row.data_source, result["response"], row.ground_truth, row.extra_info, **options
            )
            assert result["score"] == expected["score"] and result["normalized"] == expected["normalized"]
            assert result["similarity"] is None


def test_a_task_that_the_artifact_does_not_know_is_scored_raw(finished_run):
    results = [r for r in read_jsonl(finished_run.evaluation("sft").results, "test") if r["task"] == "nap"]
    assert results and all(r["normalized"] is None and r["score"] == r["raw"] for r in results)


def test_an_artifact_without_a_source_is_refused(world, artifact, tmp_path):
    entries = {key: entry for key, entry in artifact.entries.items() if not key.startswith("CoPESD|tag")}
    answers = world.write_answers(tmp_path / "a.jsonl", world.val, 0.0, keep=lambda row: row.task == "tag")
    _, read = read_answers(answers, read_rows(world.val))
    with pytest.raises(reward_score.errors.NormalizationError, match="CoPESD|tag|raw"):
        part = artifact.model_copy(update={"entries": entries})
        evaluate.score(read, 48, part, ScoreConfig(reward_tasks="all"))


def test_rows_and_engines_are_the_commands(world, model, tmp_path, monkeypatch):
    asked = {}

    def generate(*_, **options):
        asked.update(options)
        raise KeyboardInterrupt

    monkeypatch.setattr("recipe.medgrpo.evaluation.generate.generate", generate)
    words = ["--model", model, "--data", world.val, "--out", tmp_path / "out", "--per-pair", "3", "--engines", "2"]
    with pytest.raises(KeyboardInterrupt):
        main(["evaluate", *map(str, words)])
    assert (asked["per_pair"], asked["engines"]) == (3, 2)


def test_summary(finished_run, artifact):
    files = finished_run.evaluation("sft")
    summary, results = json.loads(files.summary.read_text()), read_jsonl(files.results, "test")
    assert summary["normalization"] == artifact.hash
    assert (summary["name"], summary["rows"], summary["answers"]) == ("sft", 96, 96)
    pair = next(p for p in summary["pairs"] if (p["source"], p["task"]) == ("AVOS", "stg"))
    own = [r for r in results if r["data_source"] == "medvidbench/AVOS/stg"]
    assert pair["n"] == len(own) == 8
    assert pair["raw"] == pytest.approx(np.mean([r["raw"] for r in own]))
    assert pair["reward_se"] == pytest.approx(np.std([r["score"] for r in own], ddof=1) / math.sqrt(8))
    assert pair["parsed"] == np.mean([r["parsed"] for r in own])
    rewarded = [r["score"] for r in results if r["task"] != "nap"]
    assert summary["reward"]["n"] == 72
    assert summary["reward"]["reward"] == pytest.approx(np.mean(rewarded))
    assert summary["reward"]["reward_se"] == pytest.approx(np.std(rewarded, ddof=1) / math.sqrt(72))


def test_benchmark_metrics_are_the_leaderboards(finished_run):
    summary = json.loads(finished_run.evaluation("sft").summary.read_text())
    results = read_jsonl(finished_run.evaluation("sft").results, "test")
    assert set(summary["leaderboard"]) == {"TAG_mIoU@0.3", "TAG_mIoU@0.5", "STG_mIoU", "NAP_acc"}
    # A reference with one box per time and an answer for every time: metric and reward are the same number.
    stg = [r for r in results if r["task"] == "stg"]
    assert summary["leaderboard"]["STG_mIoU"] == pytest.approx(np.mean([r["raw"] for r in stg]), abs=1e-9)


def test_several_samples_and_no_normalization(world, model, call, stand_in, tmp_path):
    stand_in(0.0)
    out = tmp_path / "out"
    argv = ["--model", model, "--data", world.val, "--out", out, "--n", "3", "--temperature", "1.0", "--name", "trial"]
    assert call(evaluate, *argv) == 0
    summary, results = json.loads(EvalDir(out).summary.read_text()), read_jsonl(EvalDir(out).results, "test")
    assert (summary["name"], summary["rows"], summary["answers"]) == ("trial", 96, 288)
    assert summary["normalization"] is None
    assert all(r["normalized"] is None for r in results)
    values = [r["score"] for r in results if r["data_source"] == "medvidbench/AVOS/tag"]
    by_row = np.reshape(values, (8, 3)).mean(axis=1)
    pair = next(p for p in summary["pairs"] if (p["source"], p["task"]) == ("AVOS", "tag"))
    assert pair["reward_se"] == pytest.approx(by_row.std(ddof=1) / math.sqrt(8))


def test_rl_tasks_are_those_of_the_overrides(world, model, call, stand_in, tmp_path, capsys):
    stand_in(0.0)
    argv, summary = ["--model", model, "--data", world.val, "--out", tmp_path], EvalDir(tmp_path).summary
    assert call(evaluate, *argv, "medgrpo.reward.reward_tasks=[nap,tag]") == 0
    reward = json.loads(summary.read_text())["reward"]
    assert (reward["tasks"], reward["n"]) == (["nap", "tag"], 48) and "RL tasks" in capsys.readouterr().out
    assert call(evaluate, *argv, "medgrpo.reward.reward_tasks=[cvs]") == 0
    assert json.loads(summary.read_text())["reward"] is None
    assert "no row is of a rewarded task (medgrpo.reward.reward_tasks)" in capsys.readouterr().out


def own_rows(world, out, change) -> None:
    """The held-out rows as a user's own Parquet, whose row 3 is what ``change`` makes of it."""
    rows = pq.read_table(world.val).to_pylist()
    change(rows[3])
    pq.write_table(pa.Table.from_pylist(rows), out)


def test_rows_without_a_reference_are_one_sentence(world, model, tmp_path):
    own_rows(world, tmp_path / "own.parquet", lambda row: row.update(reward_model=None))
    for command in ("evaluate", "calibrate"):
        argv = "--model", model, "--data", tmp_path / "own.parquet", "--out", tmp_path / "out"
        done = medgrpo(command, *argv, check=False)
        assert done.returncode == 2 and "Traceback" not in done.stderr
        assert "own.parquet, row 3: reward_model.ground_truth is no text; put the reference there" in done.stderr


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda row: row["reward_model"].update(ground_truth=None), "row 3: reward_model.ground_truth is no text"),
        (lambda row: row.update(extra_info=None), "row 3: extra_info has no fields"),
    ],
)
def test_rows_that_lack_a_field(world, tmp_path, change, message):
    """Also where an answers file names them: it does name its Parquet file."""
    own_rows(world, tmp_path / "own.parquet", change)
    answers = world.write_answers(tmp_path / "a.jsonl", world.val, 0.0)
    answers.write_text(answers.read_text().replace(str(world.val), str(tmp_path / "own.parquet"), 1))
    with pytest.raises(AnswersError, match=f"own.parquet, {message}"):
        read_answers(answers)


def test_a_column_without_the_field(world, tmp_path):
    table = pq.read_table(world.val)
    styles = pa.array([{"style": "rule"}] * len(table))
    place = table.schema.get_field_index("reward_model")
    pq.write_table(table.set_column(place, "reward_model", styles), tmp_path / "own.parquet")
    with pytest.raises(AnswersError, match="own.parquet, row 0: reward_model.ground_truth is no text"):
        read_rows(tmp_path / "own.parquet")


def test_answers_that_name_no_rows(world, tmp_path):
    answers = world.write_answers(tmp_path / "a.jsonl", world.val, 0.0)
    answers.write_text(answers.read_text().replace('"data": {"path"', '"data": {"place"', 1))
    with pytest.raises(AnswersError, match="a.jsonl, line 1: names no Parquet file"):
        read_answers(answers)


def test_terminal_tables(finished_run):
    summary = json.loads(finished_run.evaluation("rl").summary.read_text())
    console = Console(width=80, file=io.StringIO(), record=True)
    evaluate.print_summary(summary, console)
    text = console.export_text()
    assert "RL tasks" in text and "STG_mIoU" in text and "rl: 96 held-out rows" in text


def test_another_judges_percentiles_are_refused(finished_run, artifact, tmp_path):
    from recipe.medgrpo.scoring.artifact_check import JudgeNotReady

    openai = ScoreConfig(judge="openai")
    provenance = artifact.provenance.model_copy(update=judge_provenance(read_judge("openai")))
    foreign = artifact.model_copy(update={"provenance": provenance}).save(tmp_path / "foreign.json")
    with pytest.raises(JudgeNotReady, match="comparative:gpt-4.1.*lexical.*judge=openai"):
        evaluate.load_artifact(foreign, ScoreConfig())
    assert evaluate.load_artifact(foreign, openai).provenance.judge == "comparative:gpt-4.1"
    assert evaluate.load_artifact(finished_run.normalization, ScoreConfig()).hash == artifact.hash
