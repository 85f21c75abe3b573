# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""What a report says: the verdict, and warnings of cut answers and of alarms."""

import json
import math

import pytest

from recipe.medgrpo.common.run_folder import RunDir, read_jsonl
from recipe.medgrpo.common.run_log import ALARMS
from recipe.medgrpo.report import cli
from recipe.medgrpo.report import run_data as report_data
from recipe.medgrpo.report import wording as report_text
from recipe.medgrpo.report.run_data import Change, Comparison, Evaluation

pytestmark = pytest.mark.usefixtures("light_encoder_in_module")

SAME = Change(0.5, 0.5, 0.0)
BLIND_TITLE = "Answers score as well when they are given to other rows"


def comparison(*, reward: Change = SAME, cut: Change = SAME) -> Comparison:
    return Comparison("pair", "CoPESD", "stg", 9, reward, raw=SAME, parsed=SAME, cut=cut)


@pytest.mark.parametrize(
    ("error", "end"),
    [
        (0.02, "change +0.100 ± 0.020 (standard error) on 9 rows, 5.0 standard errors."),
        (0.0, "± 0.000 (standard error) on 9 rows."),
        (math.nan, "on 9 rows (no standard error)."),
    ],
)
def test_verdict(error, end):
    assert report_text.verdict(comparison(reward=Change(0.4, 0.5, 0.1, error))).endswith(end)


def test_words_for_a_change():
    moods = [report_text.mood(Change(0, 0, *pair)) for pair in ((0.1, 0.05), (-0.1, 0.05), (0.04, 0.05), (0.1,))]
    assert moods == ["good", "bad", "", ""]
    assert report_text.change(Change(0, 0, 0.0126, 0.004)) == "+0.013 ± 0.004"
    assert report_text.change(Change(0, 0, -0.1)) == "-0.100"
    assert report_text.num(None) == report_text.num(math.nan) == "–"
    assert report_text.duration(59.6) == "1 min 00 s"


# ---- answers that are worth as much to other rows ------------------------------------------------------------------


def looked(**own):
    return {"n": 40, "own": 0.3, "other": 0.29, "gap": 0.01, "gap_sd": 0.005, "different": 9} | own


@pytest.mark.parametrize(
    ("task", "own", "warns"),
    [
        ("tag", {}, True),
        ("tag", {"gap": 0.04}, False),
        ("tag", {"gap_sd": 0.02}, False),
        ("tag", {"n": 19}, False),
        # One turn: nobody knows what chance does.
        ("tag", {"gap_sd": None}, False),
        # Nothing is worth anything, to no row.
        ("tag", {"own": 0.0, "other": 0.0, "gap": 0.0, "gap_sd": 0.0}, False),
        # Tasks that earn nothing may have few answers at all.
        ("cvs", {}, False),
    ],
)
def test_answers_that_other_rows_can_have_are_a_warning(task, own, warns):
    sides = [Evaluation({"other_rows": {task: side}}, []) for side in (looked(gap=0.1), looked(**own))]
    found = report_data.looks(*sides)
    assert report_data.blind(found, ["tag"]) == ["tag"] * warns
    assert [warned.title for warned in report_text.blind_warnings(found, ["tag"])] == [BLIND_TITLE] * warns


def test_an_older_evaluation_does_not_say_it():
    assert report_data.looks(Evaluation({}, []), Evaluation({"other_rows": {"tag": looked()}}, [])) == {}


def test_tasks_that_are_not_trained_are_not_warned_of(run_copy, call, capsys):
    file = run_copy.evaluation("rl").summary
    summary = json.loads(file.read_text())
    summary["other_rows"] |= {"tag": looked(), "nap": looked()}
    file.write_text(json.dumps(summary))
    run_copy.config.write_text("data: {tasks: [nap]}")
    assert call(cli, run_copy.root) == 0
    assert "for others: nap 0.300 and 0.290." in capsys.readouterr().out


def test_answers_that_other_rows_can_have_are_on_the_page(run_copy, capsys, call):
    file = run_copy.evaluation("rl").summary
    summary = json.loads(file.read_text())
    summary["other_rows"]["tag"] |= looked()
    file.write_text(json.dumps(summary))
    assert call(cli, run_copy.root) == 0
    html, printed = run_copy.report.read_text(), capsys.readouterr().out
    for text in (BLIND_TITLE, ": tag 0.300 and 0.290."):
        assert text in html and text in printed
    assert '<td class="first">0.300</td><td>0.290</td><td>0.010 ± 0.005</td><td>9</td></tr>' in html
    assert json.loads(run_copy.report.with_suffix(".json").read_text())["looks"]["tag"][1]["different"] == 9


# ---- evaluations that were not made alike ---------------------------------------------------------------------------


def test_evaluations_that_were_not_made_alike_are_a_warning(run_copy, capsys, call):
    file = run_copy.evaluation("sft").summary
    summary = json.loads(file.read_text())
    summary |= {"caption_mix": 1.0, "judge": "comparative:gpt-4.1", "judge_temperature": 0.0, "data": "old/val.parquet"}
    summary["decoding"] |= {"n": 4, "temperature": 1.0}
    file.write_text(json.dumps(summary))
    assert call(cli, run_copy.root) == 0
    top, said = run_copy.report.read_text().split("<h1>")[0], capsys.readouterr().out
    for text in (
        "The two evaluations were not made alike",
        "judge comparative:gpt-4.1 and lexical, judge_temperature 0.0 and not recorded, caption_mix 1.0 and 0.5",
        "data old/val.parquet and ",
        "n 4 and 1, temperature 1.0 and 0.0.",
    ):
        assert text in top and text in said
    assert "similarity" not in top


# ---- answers cut at the token limit --------------------------------------------------------------------------------


def cut_some(run: RunDir, source: str, share: float) -> None:
    """Let so many of RL's held-out STG answers of ``source`` be cut."""
    file = run.evaluation("rl").results
    lines = read_jsonl(file, "test")
    own = [line for line in lines if (line["source"], line["task"]) == (source, "stg")]
    for line in own[: round(share * len(own))]:
        line["finish_reason"] = "length"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))


def test_a_run_that_is_well_has_no_warning(page, finished_run, capsys, call):
    assert 'role="alert"' not in page[1] and "Warning" not in page[1]
    assert {(line.cut.before, line.cut.after) for line in page[2]} == {(0, 0)}
    assert call(cli, finished_run.root) == 0
    assert "warning" not in capsys.readouterr().out


def test_cut_answers_are_the_first_thing_on_the_page(run_copy, capsys, log_writer, call):
    """The newcomer's own case: STG rambles after RL, greedy and sampled, while the reward rises."""
    cut_some(run_copy, "CoPESD", 1.0)
    cut_some(run_copy, "AVOS", 0.5)
    log = {step: log_writer.step(step) | {"medgrpo/CoPESD/stg/cut_share": 0.03 * step} for step in range(1, 13)}
    log_writer.write(run_copy.metrics_files()[-1], log)
    assert call(cli, run_copy.root) == 0
    html, told = run_copy.report.read_text(), capsys.readouterr().out
    body = html[html.index("<main>") :]
    assert body.index('role="alert"') < body.index("<h1>") < body.index(">cut<")
    assert body.count("Warning: ") == 1 and told.count("warning: ") == 1
    assert told.index("held-out rows, before and after RL") < told.index("warning: ")
    for text in (
        "On held-out rows, before and after RL: stg on CoPESD 0% → 100%, stg on AVOS 0% → 50%.",
        "In training, first and last tenth of steps: stg on CoPESD 4% → 34%.",
        "ramble until they are cut",
        "medgrpo.alarm.cut_share",
    ):
        assert text in body and text in told
    assert "0% → 100%</td>" in body, "the table's column"


@pytest.mark.parametrize(("after", "warns"), [(0.27, False), (0.28, True), (0.1, False)])
def test_two_points_more_are_not_yet_a_warning(after, warns):
    cut = Change(0.25, after, after - 0.25)
    rises = report_data.held_out_cut_rises([comparison(cut=cut)])
    assert rises == ({"stg on CoPESD": cut} if warns else {})


def pair_log(shares: list[float], answers: float, name: str = "medgrpo/A/stg/cut_share") -> dict[int, dict]:
    return {i: {name: share, "medgrpo/A/stg/answers": answers} for i, share in enumerate(shares, start=1)}


@pytest.mark.parametrize(
    ("shares", "answers", "warns"),
    [
        ([0.02] * 10 + [0.35] * 10, 64, True),
        ([0.35] * 10 + [0.02] * 10, 64, False),
        # One answer of two steps of eight is six points, and chance.
        ([0.0] * 19 + [0.125], 8, False),
        ([0.0] * 18 + [0.03] * 2, 3000, True),
        ([0.5], 64, False),
    ],
)
def test_a_logged_share_that_rises_over_training(shares, answers, warns):
    metrics = pair_log(shares, answers)
    rises = report_data.logged_cut_rises(metrics, report_data.pair_series(metrics))
    assert list(rises) == (["stg on A"] if warns else [])


def test_older_logs_know_the_share_of_all_answers_only():
    metrics = pair_log([0.01] * 5 + [0.12] * 5, 128, report_data.CLIP_RATIO)
    rises = report_data.logged_cut_rises(metrics, report_data.pair_series(metrics))
    assert rises["all answers"][:2] == pytest.approx((0.01, 0.12))
    assert report_data.logged_cut_rises({}, {}) == {}


def test_a_warning_names_the_worst_five():
    rises = {
        f"stg on {name}": Change(0.0, 0.5 + 0.01 * place, 0.5 + 0.01 * place) for place, name in enumerate("ABCDEFG")
    }
    [warned] = report_text.cut_warnings(rises, {})
    assert warned.paragraphs[0].endswith("stg on D 0% → 53%, stg on C 0% → 52%, and 2 more.")


# ---- alarms ---------------------------------------------------------------------------------------------------------


def test_every_alarm_stands_on_top_and_in_the_figures(run_copy, capsys, call):
    """Also those of a monitor that warned at each of many steps; the terminal gets the first of them."""
    with (run_copy.rl / ALARMS).open("w") as file:
        for step in range(2, 12):
            message = f"step {step}: only {50 - step}% of the answers can be parsed, below 50%"
            file.write(json.dumps({"time": 1.5, "level": "warning", "step": step, "message": message}) + "\n")
        stop = {"time": 2.0, "level": "error", "step": None, "message": "<the judge> gave no verdict"}
        file.write(json.dumps(stop) + "\n" + '{"time": 3, "le')
    assert call(cli, run_copy.root) == 0
    html, said = run_copy.report.read_text(), capsys.readouterr().out
    top = html[html.index("<main>") : html.index("<h1>")]
    assert "Warning: the training raised 11 alarms" in top
    for step in range(2, 12):
        assert f"<li>warning, step {step}: only {50 - step}% of the answers can be parsed, below 50%</li>" in top
    assert "<li>error, &lt;the judge&gt; gave no verdict</li>" in top
    assert "warning, step 6: only 44%" in said and "step 7" not in said and "and 6 more" in said
    figures = json.loads(run_copy.report.with_suffix(".json").read_text())
    assert len(figures["alarms"]) == 11 and figures["alarms"][-1] == stop
    assert figures["warnings"][0]["lines"][0].startswith("warning, step 2: only 48%")
