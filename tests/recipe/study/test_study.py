# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""The study: its design is whole, its statistics are right, its cells run once, and its page is made from results."""

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
import yaml

from recipe.medgrpo.study import __main__ as command
from recipe.medgrpo.study.design import SFT, Cell, Prediction, Study, StudyError
from recipe.medgrpo.study.intervals import Effect, effect, interquartile_mean, verdict
from recipe.medgrpo.study.page import END, MADE_BY, section, write_page
from recipe.medgrpo.study.results import collect, effect_of, read_results
from recipe.medgrpo.study.run import run_missing, variables
from reward_score import Artifact, Normalizer, Provenance

REPOSITORY = Path(__file__).resolve().parents[3]
FOLDER = REPOSITORY / "examples/studies/normalization"
BEGIN = f"<!-- begin: made by {MADE_BY} -->"


@pytest.fixture(scope="module")
def study():
    return Study.load(FOLDER / "study.yaml")


def test_the_design_is_whole(study):
    assert len(study.seeds) >= 5 and len(set(study.seeds)) == len(study.seeds)
    assert {one.question for one in study.predictions} == set(study.questions)
    compared = {name for one in study.predictions for name in (one.setting, one.against)} - {SFT}
    assert compared == set(study.settings), "a setting that nothing is predicted of costs time for nothing"
    assert {one.world for one in study.settings.values()} == set(study.worlds)
    for name, setting in study.settings.items():
        world = study.worlds[setting.world]
        assert set(setting.tasks) <= set(world.tasks), name
        unlike = {*setting.scale, *setting.shift}
        assert unlike <= {*world.sources, *(source + "-Twin" for source in world.sources if world.twins)}, name
        method = next(word for word in setting.overrides if "normalization" in word).partition("=")[2]
        assert (not setting.scale or method == "scale") and (not setting.shift or method == "shift"), name
    assert [cell.seed for cell in study.cells()][: len(study.settings)] == [0] * len(study.settings)


def test_arms_that_are_compared_share_their_world_or_differ_in_it_alone(study):
    for one in study.predictions:
        arms = [study.settings[name] for name in (one.setting, one.against) if name != SFT]
        if arms[0].world != arms[-1].world:
            assert arms[0].model_copy(update={"world": ""}) == arms[1].model_copy(update={"world": ""})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda raw: raw["predictions"][0].update(setting="nothing"), "names that nothing has: nothing"),
        (lambda raw: raw["predictions"][0].update(bound=0), "bound"),
        (lambda raw: raw["settings"]["form_none"].update(world="nowhere"), "nowhere"),
        (lambda raw: raw["settings"]["form_none"].update(tasks=["stg"]), "form_none: its world has no task stg"),
        (lambda raw: raw.update(seeds=[0, 0]), "a seed is given twice"),
        (lambda raw: raw.update(seed=[1]), "seed"),
    ],
)
def test_a_design_that_makes_no_sense_is_refused(tmp_path, change, message):
    raw = yaml.safe_load((FOLDER / "study.yaml").read_text())
    change(raw)
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(raw))
    with pytest.raises(StudyError, match=message):
        Study.load(tmp_path / "study.yaml")


def test_interquartile_means_and_intervals():
    assert interquartile_mean(np.array([100.0, 0, 2, 1, 3])) == 2
    assert interquartile_mean(np.array([[1.0, 2, 6], [4, 4, 4]])).tolist() == [3, 4]
    values = [0.01, 0.03, 0.02, 0.05, -0.4]
    found = effect(values)
    assert found.point == pytest.approx(0.02) and found.seeds == 5
    assert found.wide[0] <= found.narrow[0] <= found.point <= found.narrow[1] <= found.wide[1]
    # The outlier is cut off in most resamples, not in all.
    assert -0.4 < found.wide[0] < 0 and found.wide[1] <= 0.05
    assert effect(values) == found
    assert effect([0.1]) == Effect(1, 0.1, (0.1, 0.1), (0.1, 0.1))


def prediction(expect, bound=0.05):
    return Prediction(question="Q", claim="c", setting="a", against="b", outcome="o", expect=expect, bound=bound)


@pytest.mark.parametrize(
    ("expect", "wide", "narrow", "found"),
    [
        ("equal", (-0.06, 0.04), (-0.04, 0.03), "as predicted"),
        ("equal", (-0.06, 0.07), (-0.04, 0.06), "undecided"),
        ("equal", (0.06, 0.09), (0.07, 0.08), "not as predicted"),
        ("equal", (-0.09, -0.06), (-0.08, -0.07), "not as predicted"),
        ("higher", (0.01, 0.19), (0.02, 0.18), "as predicted"),
        ("higher", (0.001, 0.05), (0.002, 0.045), "not as predicted"),
        ("higher", (-0.01, 0.3), (0.01, 0.2), "undecided"),
        ("higher", (-0.3, -0.1), (-0.29, -0.11), "not as predicted"),
        ("lower", (-0.3, -0.1), (-0.29, -0.11), "as predicted"),
        ("lower", (0.1, 0.3), (0.11, 0.29), "not as predicted"),
        ("lower", (-0.3, 0.1), (-0.2, 0.06), "undecided"),
    ],
)
def test_verdicts(expect, wide, narrow, found):
    measured = Effect(5, sum(wide) / 2, wide, narrow)
    assert verdict(prediction(expect), measured) == found
    assert verdict(prediction(expect), measured._replace(seeds=4)) == "missing"
    assert verdict(prediction(expect), None) == "missing"


def test_unlike_artifacts_multiply_and_add(tmp_path, capsys):
    observed = {(source, "tag", "raw"): [i / 60 for i in range(60)] for source in ("A", "A-Twin")}
    measured = Artifact.from_observations(observed, Provenance(model="sft", split="s", decoding="d", fingerprint="f"))
    file, out = measured.save(tmp_path / "measured.json"), tmp_path / "unlike.json"
    factors = '{"scale": {"A-Twin": 0.2}, "shift": {"A": 0.5}}'
    assert command.main(["unlike", "--artifact", str(file), "--factors", factors, "--out", str(out)]) == 0
    made = Artifact.load(out)
    scale, shift = Normalizer(made, "scale"), Normalizer(made, "shift")
    for x in (0.0, 0.3, 1.0):
        assert scale(x, "A", "tag", "raw") == pytest.approx(x)
        assert scale(x, "A-Twin", "tag", "raw") == pytest.approx(0.2 * x)
        assert shift(x, "A", "tag", "raw") == pytest.approx(x + 0.5)
        assert shift(x, "A-Twin", "tag", "raw") == pytest.approx(x)
    assert made.provenance == measured.provenance and made.hash != measured.hash
    for wrong in ('{"scale": ', '{"scale": {"A": 0}}', '{"scale": {"a": 2}}', '{"scales": {}}'):
        assert command.main(["unlike", "--artifact", str(file), "--factors", wrong, "--out", str(out)]) == 2, wrong
    assert command.main(["unlike", "--artifact", "none.json", "--factors", factors, "--out", str(out)]) == 2
    assert "none.json" in capsys.readouterr().err


SMALL = {
    "seeds": [0, 1, 2, 3, 4],
    "rl_steps": 2,
    "worlds": {"w": {"sources": ["CoPESD"], "clips": 3, "twins": True, "tasks": ["tag", "vs"], "sft_steps": 1}},
    "settings": {
        "a": {"world": "w", "tasks": ["tag"], "overrides": ["x=1"], "scale": {"CoPESD": 0.5}},
        "b": {"world": "w", "tasks": ["tag", "vs"]},
    },
    "outcomes": {"gap": [{"pair": "CoPESD/tag", "key": "raw"}, {"pair": "CoPESD/vs", "key": "judge", "weight": -1}]},
    "questions": {"Q1": "is it so?"},
    "predictions": [prediction("higher").model_dump() | {"question": "Q1", "outcome": "gap"}],
}
#: Writes what verl's file logger writes, from the variables that a cell gets; seed 3 of arm b fails.
SCRIPT = """
set -eu
echo "$SETTING $SEED $*" >> "{calls}"
[ "$SETTING$SEED" != b3 ] || exit 1
mkdir -p "$RUN/$SETTING"
value=0.3; [ "$SETTING" = b ] || value=0.5
tag="val-aux/medvidbench/CoPESD/tag" vs="val-aux/medvidbench/CoPESD/vs"
data() { echo "\\"$tag/raw/mean@1\\": $1, \\"$vs/judge/mean@1\\": 0.1, \\"$tag/judge/mean@1\\": null"; }
line() { echo "{\\"step\\": $1, \\"data\\": {$(data "$2")}}"; }
before() { [ "$VAL_BEFORE" = false ] || line 0 0.2; }
{ before; echo '{"step": 1, "data": {}}'; line 2 $value; } > "$RUN/$SETTING/metrics.1.jsonl"
"""


@pytest.fixture
def small(tmp_path):
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(SMALL))
    (tmp_path / "cell.sh").write_text(SCRIPT.replace("{calls}", str(tmp_path / "calls")))
    return tmp_path


def calls(folder):
    file = folder / "calls"
    lines = file.read_text().splitlines() if file.exists() else []
    file.unlink(missing_ok=True)
    return lines


def test_cells_run_once_and_a_failure_ends_nothing(small, capfd):
    run = ["run", "--study", str(small), "--out", str(small / "out")]
    assert command.main([*run, "--hours", "-1"]) == 0 and calls(small) == []
    assert command.main([*run, "--only", "a"]) == 0
    assert calls(small) == [f"a {seed} x=1" for seed in range(5)]
    assert command.main(run) == 1
    assert calls(small) == [f"b {seed} " for seed in range(5)]
    assert "b, seed 3: " in capfd.readouterr().out
    assert command.main(run) == 1 and calls(small) == ["b 3 "]
    assert command.main([*run, "--seeds", "1", "2"]) == 0 and calls(small) == []
    assert command.main([*run, "--seeds", "2", "3"]) == 1 and calls(small) == ["b 3 "]
    assert command.main([*run, "--seeds", "9"]) == 2 and "the seeds are 0, 1" in capfd.readouterr().err
    assert command.main([*run, "--only", "c"]) == 2 and "the settings are a, b" in capfd.readouterr().err
    result = json.loads((small / "results" / "a.4.json").read_text())
    assert result["before"] == {"CoPESD/tag": {"raw": 0.2}, "CoPESD/vs": {"judge": 0.1}}
    assert json.loads((small / "results" / "b.4.json").read_text())["before"] == {}, (
        "that of one setting is that of all"
    )
    assert result["after"]["CoPESD/tag"] == {"raw": 0.5} and (result["setting"], result["seed"]) == ("a", 4)
    assert result["commit"] != "unknown" and "cores" in result["machine"]
    # Of seed 1 no other result says what was before RL.
    (small / "results" / "a.1.json").unlink()
    assert command.main([*run, "--seeds", "1"]) == 0 and calls(small) == ["a 1 x=1"]
    assert json.loads((small / "results" / "a.1.json").read_text())["before"] == result["before"]


def test_a_run_that_left_broken_metrics_ends_nothing(small, capfd):
    (small / "cell.sh").write_text('mkdir -p "$RUN/$SETTING"; echo "{" > "$RUN/$SETTING/metrics.1.jsonl"')
    call = ["run", "--study", str(small), "--out", str(small / "out"), "--seeds", "0"]
    assert command.main(call) == 1
    lines = [line for line in capfd.readouterr().out.splitlines() if "metrics.1" in line]
    assert [line[:9] for line in lines] == ["a, seed 0", "b, seed 0"]


def test_a_cell_gets_its_variables(small):
    given = variables(Study.load(small / "study.yaml"), Cell("a", 4), small)
    expected = {"RUN": f"{small}/w.4", "SETTING": "a", "SEED": "4", "SOURCES": "CoPESD", "TWINS": "1", "CLIPS": "3"}
    expected |= {"TASKS": "tag vs", "RL_TASKS": "tag", "POSITION_FPS": "", "SFT_STEPS": "1", "RL_STEPS": "2"}
    assert given == expected | {"UNLIKE": '{"scale": {"CoPESD": 0.5}, "shift": {}}'}


def test_a_run_without_validation_is_no_result(tmp_path):
    # verl logs both when answers to some rows were lost.
    both = '{"val-aux/m/A/tag/raw/mean@2": 0.5, "val-aux/m/A/tag/raw/mean@1": 0.9}'
    (tmp_path / "metrics.1.jsonl").write_text(f'{{"step": 2, "data": {both}}}\n')
    assert collect(tmp_path, 2)["after"] == {"A/tag": {"raw": 0.5}}
    with pytest.raises(StudyError, match="no validation at step 3"):
        collect(tmp_path, 3)


def test_the_page_is_made_from_the_results(small):
    study = Study.load(small / "study.yaml")
    page = small / "page.md"
    page.write_text(f"# Title\n\n{BEGIN}\nold\n{END}\n\nAfter.\n")
    write_page(page, study, {})
    text = page.read_text()
    assert "0 of 10 cells" in text and "| - | missing |" in text and "old" not in text and "After RL" not in text
    assert "Missing: `a` (all seeds); `b` (all seeds)." in text and text.endswith(f"{END}\n\nAfter.\n")
    run_missing(study, small / "cell.sh", small / "out", small / "results", 1)
    results = read_results(study, small / "results")
    assert effect_of(study, results, study.predictions[0]).seeds == 4
    learned = effect_of(study, results, study.predictions[0].model_copy(update={"against": SFT}))
    assert learned.seeds == 5 and learned.point == pytest.approx(0.3)
    learned = effect_of(study, results, study.predictions[0].model_copy(update={"setting": "b", "against": SFT}))
    assert learned.seeds == 4 and learned.point == pytest.approx(0.1)
    results[Cell("b", 3)] = results[Cell("b", 2)]
    write_page(page, study, results)
    line = "| c (higher) | gap: `a` - `b` | 0.05 | +0.200 (+0.200 to +0.200), 5 seeds | as predicted |"
    assert line in page.read_text() and "Missing" not in page.read_text()
    gains = "| setting | seeds | CoPESD/tag, raw | CoPESD/vs, judge |", "| `a` | 5 | +0.300 | +0.000 |"
    assert all(line in page.read_text() for line in gains)
    again = page.read_text()
    write_page(page, study, results)
    assert page.read_text() == again
    page.write_text("no marks")
    with pytest.raises(StudyError, match="needs the line"):
        write_page(page, study, results)


def test_an_outcome_that_was_not_measured_is_an_error(small):
    study = Study.load(small / "study.yaml")
    results = {Cell(name, 0): {"after": {"CoPESD/tag": {"raw": 0.5}}} for name in "ab"}
    with pytest.raises(StudyError, match="no judge of CoPESD/vs"):
        effect_of(study, results, study.predictions[0])


def test_the_committed_page_is_the_one_that_the_results_make(study):
    text = (REPOSITORY / "docs/evidence.md").read_text()
    made = "\n".join(section(study, read_results(study, FOLDER / "results")))
    assert text.split(BEGIN)[1].split(END)[0].strip() == made.strip()


def test_stages_of_a_cell(tmp_path, study):
    """cell.sh with a stand-in for Python that notes its arguments."""
    (tmp_path / "bin").mkdir()
    python = tmp_path / "bin" / "python"
    python.write_text(f'#!/bin/bash\necho "$*" >> {tmp_path}/calls\n')
    python.chmod(0o755)

    def stages(setting):
        given = variables(study, Cell(setting, 7), tmp_path / "out")
        environment = {**os.environ, **given, "VAL_BEFORE": "false", "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"}
        subprocess.run(["bash", FOLDER / "cell.sh", *study.settings[setting].overrides], env=environment, check=True)
        lines = [line.split() for line in calls(tmp_path)]
        return {line[line.index("--name") + 1]: line for line in lines}

    plain = stages("form_none")
    assert list(plain) == ["world", "data", "rows-tag-vs", "model", "sft", "calibrate", "form_none"]
    assert plain["data"][-3:] == ["tag", "vs", "sa"] and plain["rows-tag-vs"][-2:] == ["tag", "vs"]
    assert "--twins" not in plain["world"] and plain["form_none"][-1] == "medgrpo.reward.normalization=none"
    assert "medgrpo.reward.reward_tasks=[tag,vs,sa]" in plain["form_none"]
    twin = stages("std_raw")
    assert twin["world"][-1] == "--twins" and "--position-fps" not in twin["data"]
    artifact = f"{tmp_path}/out/twin.7/unlike.std_raw.json"
    assert artifact in twin["unlike.std_raw"] and f"medgrpo.reward.artifact='{artifact}'" in twin["std_raw"]
    assert "2" in stages("rates_one")["data"] and "--position-fps" in stages("rates_one")["rows-tag"]
