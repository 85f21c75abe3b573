# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""verl's logs, and files that a moved run has elsewhere."""

import json

import numpy as np
import pytest
from omegaconf import OmegaConf

from recipe.medgrpo.common.run_folder import RunDirError
from recipe.medgrpo.report import page as report
from recipe.medgrpo.report import run_data as report_data
from recipe.medgrpo.report import wording as report_text
from recipe.medgrpo.report.run_data import Evaluation


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
    notes = " ".join(report_text.notes(log, {}, policy, ["file"]))
    assert ("disagree" in notes) is not passed and "1 training steps logged no comparison" in notes


def test_agreement_that_was_never_logged():
    assert report_data.agreement({1: {"training/global_step": 1}}) is None


def test_curves_are_the_samplers_own(finished_run):
    pairs = report_data.pair_series(report_data.read_metrics(finished_run.metrics_files()))
    assert len(pairs) == 9 and pairs["CoPESD", "tag"]["step"].tolist() == list(range(1, 13))
    assert pairs["CoPESD", "tag"]["raw"][4] == pytest.approx(0.15)
    tasks = report_data.task_series(pairs)
    assert list(tasks) == ["tag", "stg", "vs"]
    # AVOS has half of the answers: (2 * 0.05 + 0.15 + 0.25) / 4.
    assert tasks["tag"]["raw"][4] == pytest.approx(0.125)
    assert tasks["tag"]["parsed"].tolist() == pytest.approx([0.9] * 12)


def test_a_task_means_over_the_sources_that_a_step_has():
    first = {f"medgrpo/A/tag/{name}": value for name, value in (("answers", 8), ("raw/mean", 0.2))}
    second = {f"medgrpo/B/tag/{name}": value for name, value in (("answers", 8), ("raw/mean", 0.6))}
    tasks = report_data.task_series(report_data.pair_series({1: first, 2: first | second, 4: second}))
    assert tasks["tag"]["step"].tolist() == [1, 2, 4]
    assert tasks["tag"]["raw"].tolist() == pytest.approx([0.2, 0.4, 0.6])
    assert np.isnan(tasks["tag"]["cut"]).all(), "never logged"


def test_a_step_that_a_kill_left_unwritten_is_named(run_copy):
    file = run_copy.metrics_files()[-1]
    file.write_text("".join(line for line in file.open() if not line.startswith(('{"step":9', '{"step":10'))))
    assert "figures of steps 9, 10 are missing" in report.write_report(run_copy)[0].read_text()


def test_data_and_artifact_outside_the_run_are_found(run_copy, tmp_path):
    for file in (run_copy.val, run_copy.normalization):
        file.rename(tmp_path / file.name)
    with pytest.raises(RunDirError, match="held-out rows"):
        report_data.held_out_file(run_copy, Evaluation({"data": "/nowhere"}, []))
    run_copy.config.write_text(f"medgrpo: {{reward: {{artifact: '{tmp_path}/normalization.json'}}}}\n")
    for name in ("sft", "rl"):
        file = run_copy.evaluation(name).summary
        file.write_text(json.dumps(json.loads(file.read_text()) | {"data": str(tmp_path / "val.parquet")}))
    assert "Why rewards are normalized" in report.write_report(run_copy)[0].read_text()
    kept = run_copy.rl / "normalization.json"
    kept.write_bytes((tmp_path / "normalization.json").read_bytes())
    assert report_data.artifact_file(run_copy, OmegaConf.load(run_copy.config)) == kept


def test_verls_validation_by_source_and_task(run_copy, log_writer):
    """Keys as verl 0.9.1 writes them (tests/recipe/report/test_validation_on_cpu.py makes them with its function)."""
    name = "medvidbench/AVOS/tag"
    log = {
        0: {f"val-core/{name}/reward/mean@1": 0.2, f"val-aux/{name}/raw/mean@1": 0.1, "val-aux/num_turns/mean": 2.0},
        # Sixteen answers to each row; some to one row were lost.
        5: {
            f"val-core/{name}/reward/mean@16": 0.3,
            f"val-aux/{name}/reward/mean@8": 0.9,
            f"val-aux/{name}/reward/std@16": 0.7,
            f"val-core/{name}/reward/best@16/mean": 0.8,
            f"val-aux/{name}/score/mean@16": 0.6,
        },
    }
    validated = report_data.pair_series(log, report_data.VALIDATED)
    assert list(validated) == [("AVOS", "tag")] and validated["AVOS", "tag"]["step"].tolist() == [0, 5]
    assert validated["AVOS", "tag"]["reward"].tolist() == [0.2, 0.3]
    np.testing.assert_equal(validated["AVOS", "tag"]["raw"], [0.1, np.nan])
    assert report_data.pair_series(log) == {}
    log_writer.write(
        run_copy.rl / "metrics.9.jsonl", {step: values | log_writer.step(step) for step, values in log.items()}
    )
    out = report.write_report(run_copy)[0]
    assert "Validation during training" in out.read_text() and out.with_name("validation.png").is_file()
    figures = json.loads(out.with_suffix(".json").read_text())
    assert figures["validation"]["AVOS/tag"] == {"step": [0, 5], "raw": [0.1, None], "reward": [0.2, 0.3]}
