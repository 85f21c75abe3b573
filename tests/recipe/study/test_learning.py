# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""The study of learning: results are made of runs' evaluations, and its part of a page of the results."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from scripts import CLEAN, executable

from recipe.medgrpo.common.run_folder import RunDir, RunDirError
from recipe.medgrpo.study.learning import MADE_BY, Learning, collect, main, picture, section, verdict
from recipe.medgrpo.study.page import END

REPOSITORY = Path(__file__).resolve().parents[3]
STUDIES = REPOSITORY / "examples/studies/learning"
FOLDER = STUDIES / "eight_sources"


def begin(folder):
    return f"<!-- begin: made by {MADE_BY}: {folder.name} -->"


@pytest.fixture(scope="module")
def study():
    return Learning.load(FOLDER / "study.yaml")


def evaluation(folder, gains):
    """What `medgrpo evaluate` leaves: eight rows of each task, whose raw scores are about 0.3 and a task's gain."""
    folder.mkdir(parents=True)
    lines = []
    for task, gain in gains.items():
        for row in range(8):
            words = {"source": "AVOS", "task": task, "data_source": f"m/AVOS/{task}", "ground_truth": "t"}
            answer = {"response": "r", "finish_reason": "stop", "score": 0.5, "parsed": 1}
            lines.append({"index": len(lines), **words, **answer, "raw": 0.3 + gain + 0.01 * (row % 2) * (gain != 0)})
    (folder / "results.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    decoding = {"model": "m", "data": "d", "decoding": {}, "normalization": "h", "leaderboard": {}}
    both = dict.fromkeys(("tag", "stg"), {"own": 0.3, "other": 0.2, "different": 5})
    (folder / "summary.json").write_text(json.dumps({**decoding, "rows": len(lines), "other_rows": both}))


@pytest.fixture
def run(tmp_path, study):
    folder = tmp_path / f"seed{study.seeds[0]}"
    tasks = ("tag", "stg", "vs", "nap", "sa", "cvs")
    gains = {"sft": {}, "rl": {"tag": 0.2, "stg": 0.1, "sa": -0.1}, "more-sft": {"tag": 0.1}, "all-tasks": {}, "kl": {}}
    assert set(gains) == set(study.arms)
    for arm, own in gains.items():
        evaluation(folder / "eval" / arm, {task: own.get(task, 0.0) for task in tasks})
    (folder / "rl").mkdir()
    names = [f"val-aux/m/{source}/{task}/raw/mean@1" for source in ("AVOS", "CoPESD") for task in ("tag", "stg")]
    steps = [{"step": step, "data": dict.fromkeys(names, 0.3 + 0.1 * step)} for step in (0, 1)]
    (folder / "rl" / "metrics.1.jsonl").write_text("".join(json.dumps(step) + "\n" for step in steps))
    return folder


def test_the_page_is_made_from_runs(tmp_path, run, study, capsys):
    (tmp_path / "study.yaml").write_text((FOLDER / "study.yaml").read_text())
    page = tmp_path / "page.md"
    page.write_text(f"# Title\n\n{begin(tmp_path)}\nold\n{END}\n\nAfter.\n")
    call = ["--study", str(tmp_path), "--page", str(page)]
    assert main(call) == 0
    assert "0 of 3 seeds have run." in page.read_text() and "missing |" in page.read_text()
    assert main([*call, "--run", str(run)]) == 0
    text = page.read_text()
    assert "old" not in text and text.endswith(f"{END}\n\nAfter.\n") and "1 of 3 seeds have run." in text
    # The rows' extra hundredths make the error: 0.005 * sqrt(8 / 7) / sqrt(8).
    assert "| TAG | 8 | 0.300 +0.205 ± 0.002 |" in text and "| VS | 8 | 0.300 +0.000 ± 0.000 |" in text
    assert "| RL raises what it rewards | `rl` - `sft` | missing (TAG 1 of 1, STG 1 of 1) |" in text
    assert text.count("| `sft` | 0.300; 0.200; 5 |") == 2
    result = json.loads((tmp_path / "results" / f"{run.name}.json").read_text())
    assert result["curves"]["rl"]["tag"] == [[0, 0.3], [1, 0.4]]
    assert result["differences"]["rl - more-sft"]["tag"][3] == pytest.approx(0.1)
    assert (tmp_path / picture(tmp_path)).stat().st_size > 5000
    # A call without news leaves the result; what an arm adds keeps the commit of the others.
    file = tmp_path / "results" / f"{run.name}.json"
    file.write_text(json.dumps(result | {"commit": "before"}))
    assert main([*call, "--run", str(run)]) == 0 and json.loads(file.read_text())["commit"] == "before"
    file.write_text(json.dumps(result | {"commit": "before", "curves": {}}))
    assert main([*call, "--run", str(run)]) == 0 and json.loads(file.read_text())["commit"].startswith("before, ")
    # Another call's arm joins those that are there, if both began at one SFT model.
    (run / "eval/kl").rename(tmp_path / "kl")
    file.write_text(json.dumps(result))
    assert main([*call, "--run", str(run)]) == 0 and json.loads(file.read_text()) == result
    other = run / "eval/sft/summary.json"
    other.write_text(other.read_text().replace('"different": 5', '"different": 6'))
    assert main([*call, "--run", str(run)]) == 2
    assert f"{file} has arms of another SFT model; run kl here too, or remove it" in capsys.readouterr().err
    (tmp_path / "kl").rename(run / "eval/kl")
    assert main([*call, "--run", str(run)]) == 0
    assert json.loads(file.read_text())["answers"]["sft"]["tag"] == [0.3, 0.2, 6]
    everywhere = dict.fromkeys(study.seeds, result)
    found = [verdict(study, everywhere, one) for one in study.predictions]
    assert found[0] == "as predicted (TAG 3 of 3, STG 3 of 3)"
    # One seed is enough against a prediction, but not for it.
    [before, after] = [verdict(study, {3: result}, study.predictions[i]) for i in (0, 2)]
    assert before.startswith("missing (TAG 1 of 1") and after.startswith("not as predicted (VS 1 of 1")
    # What did not change did not fall.
    assert found[2] == "not as predicted (VS 3 of 3, NAP 3 of 3, SA 0 of 3, CVS 3 of 3)"


def test_an_arm_may_be_missing(run, study):
    shutil.rmtree(run / "eval/kl")
    shutil.rmtree(run / "rl")
    result = collect(study, RunDir(run))
    lines = list(section(FOLDER, study, {3: result}))
    assert "| `kl` | - |" in lines and not any(line.startswith(("Raw score, `kl`", "![")) for line in lines)
    assert "| a KL term keeps the gain | `kl` - `sft` | missing |" in lines


def test_an_older_evaluation_is_named(run, study):
    file = run / "eval/rl/summary.json"
    file.write_text(file.read_text().replace("other_rows", "old"))
    with pytest.raises(RunDirError, match="eval/rl/summary.json: other_rows missing; run medgrpo evaluate again"):
        collect(study, RunDir(run))


def test_what_is_missing_is_named(tmp_path, capsys):
    (tmp_path / "study.yaml").write_text((FOLDER / "study.yaml").read_text())
    call = ["--study", str(tmp_path), "--page", str(tmp_path / "page.md"), "--run", str(tmp_path / "seed0")]
    assert main(call) == 2 and "--run seed0: the seeds are 3, 4, 5" in capsys.readouterr().err
    call[-1] = str(tmp_path / "seed3")
    assert main(call) == 2 and "medgrpo evaluate" in capsys.readouterr().err
    (tmp_path / "study.yaml").write_text("seeds: [a]")
    assert main(call) == 2 and "study.yaml" in capsys.readouterr().err
    (tmp_path / "study.yaml").write_text((FOLDER / "study.yaml").read_text().replace("arm: kl", "arm: kll"))
    assert main(call) == 2 and "do not exist: kll" in capsys.readouterr().err


@pytest.mark.parametrize("world", ["eight_sources", "one_source"])
def test_the_committed_page_is_the_one_that_the_results_make(world):
    folder = STUDIES / world
    study, text = Learning.load(folder / "study.yaml"), (REPOSITORY / "docs/evidence.md").read_text()
    files = {seed: folder / "results" / f"seed{seed}.json" for seed in study.seeds}
    results = {seed: json.loads(file.read_text()) for seed, file in files.items() if file.exists()}
    assert text.split(begin(folder))[1].split(END)[0].strip() == "\n".join(section(folder, study, results)).strip()


@pytest.fixture
def study_script(tmp_path):
    """Starts run.sh in a repository of its own, with a stand-in for Python that notes its arguments; returns these."""
    shutil.copytree(REPOSITORY / "examples", tmp_path / "repo/examples")
    (tmp_path / "repo/requirements").mkdir()
    (tmp_path / "repo/requirements/setup_cpu.sh").touch()
    executable(tmp_path / "bin/python", f'shift\necho "$*" >> "{tmp_path}/calls"\n')

    def start(*words, **own):
        # Where the user stands.
        own |= {"OUT": "out", "PATH": f"{tmp_path}/bin:{CLEAN['PATH']}"}
        script = tmp_path / "repo/examples/studies/learning/run.sh"
        environment = {**CLEAN, **own}
        done = subprocess.run(["bash", script, *words], env=environment, cwd=tmp_path, capture_output=True, text=True)
        calls = tmp_path / "calls"
        return done, [line.split() for line in calls.read_text().splitlines()] if calls.exists() else []

    return start


def stages_of(lines):
    return {line[line.index("--name") + 1]: line for line in lines if line[0] == "recipe.medgrpo.stage"}


@pytest.mark.parametrize("world", ["eight_sources", "one_source"])
def test_stages_of_a_seed(tmp_path, study_script, world):
    done, lines = study_script(world, SEEDS="5")
    assert done.returncode == 0, done.stderr
    stages = stages_of(lines)
    made = ["world", "data", "model", "sft", "calibrate"]
    arms = list(Learning.load(STUDIES / world / "study.yaml").arms)
    assert [name for name in stages if not name.startswith("eval-")] == [*made, *arms[1:]]
    assert [name.removeprefix("eval-") for name in stages if name.startswith("eval-")] == arms
    [all_tasks] = [name for name in arms if name.startswith("all-tasks")]
    assert "data.tasks=[tag,stg]" in stages["rl"] and "data.tasks=[tag,stg]" not in stages[all_tasks]
    assert "trainer.total_training_steps=900" in stages["more-sft"]
    for arm in (name for name in arms if name.endswith("-longer")):
        assert {"trainer.total_training_steps=200", "actor_rollout_ref.rollout.temperature=0.7"} < set(stages[arm])
        assert any(f"{arm}/global_step_200" in word for word in stages[f"eval-{arm}"])
    assert lines[-1][0] == "recipe.medgrpo.study.learning" and lines[-1][-1] == f"{tmp_path}/out/seed5"
    assert lines[-1][2] == f"examples/studies/learning/{world}"


def test_a_part_of_a_seed(study_script):
    _, lines = study_script("one_source", SEEDS="5", ARMS="more-sft")
    assert "more-sft" in stages_of(lines) and "rl" not in stages_of(lines)
    assert lines[-1][0] == "recipe.medgrpo.study.learning"


@pytest.mark.parametrize("world", ["eight_sources", "one_source"])
def test_seeds_are_those_of_the_study(study_script, world):
    _, lines = study_script(world, ARMS="more-sft")
    seeds = [Path(line[-1]).name for line in lines if line[0] == "recipe.medgrpo.study.learning"]
    assert seeds == [f"seed{seed}" for seed in Learning.load(STUDIES / world / "study.yaml").seeds]


@pytest.mark.parametrize(
    ("variables", "found"),
    [
        ({"SEEDS": "5 7"}, "no seed 7"),
        ({"ARMS": "more-sft rll"}, "no arm rll"),
        ({"ARMS": "kl"}, "no arm kl"),  # Another world's.
    ],
)
def test_seeds_and_arms_must_be_known(study_script, variables, found):
    done, lines = study_script("one_source", **variables)
    assert done.returncode == 2 and found in done.stderr and not lines


@pytest.mark.parametrize("words", [(), ("two_sources",), ("one_source", "--seeds", "5")])
def test_a_world_must_be_named(study_script, words):
    done, lines = study_script(*words)
    assert done.returncode == 2 and "one_source|eight_sources" in done.stderr and not lines
