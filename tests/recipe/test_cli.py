# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
import importlib.metadata
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from console import medgrpo
from packaging.requirements import Requirement

from recipe.medgrpo import cli
from recipe.medgrpo.evaluation.answers import AnswersError

REPOSITORY = Path(__file__).resolve().parents[2]


def test_help_lists_every_command():
    done = medgrpo("--help")
    assert done.returncode == 0
    assert all(name in done.stdout for name in cli.COMMANDS)


def test_help_imports_no_command():
    code = "import sys; from recipe.medgrpo import cli; cli.build_parser(None); print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.split()
    assert not {"torch", "numpy", "rich", "reward_score", "recipe.medgrpo.evaluation.evaluate"} & set(modules)


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_follows_the_convention(name, capsys):
    module = cli.module_of(name)
    assert callable(module.add_arguments) and callable(module.run) and module.__doc__
    with pytest.raises(SystemExit) as stopped:
        cli.main([name, "--help"])
    assert stopped.value.code == 0
    assert module.__doc__.split()[0] in capsys.readouterr().out


def test_an_option_may_be_called_like_what_the_dispatcher_keeps(tmp_path):
    """``--run`` of `medgrpo matrices` is the user's; through the console script, which has its own parser."""
    done = medgrpo("matrices", "--run", "CT", "--out", str(tmp_path), check=False)
    assert done.returncode == 2
    assert done.stderr == "medgrpo matrices: --run CT: expected NAME=FOLDER, say CT=eval/ct\n"


def test_own_errors_are_one_message_and_status_2(tmp_path, capsys):
    argv = ["evaluate", "--model", str(tmp_path), "--data", str(tmp_path / "no.parquet"), "--out", str(tmp_path / "o")]
    assert cli.main(argv) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("medgrpo evaluate: ") and "no such Parquet file" in captured.err
    assert captured.err.count("\n") == 1


def test_own_errors_with_a_traceback_on_demand(tmp_path, monkeypatch):
    monkeypatch.setenv("MEDGRPO_TRACEBACK", "1")
    with pytest.raises(AnswersError):
        cli.main(["evaluate", "--model", "m", "--data", "d", "--out", "o"])


@pytest.fixture(scope="module")
def core(tmp_path_factory) -> dict[str, str]:
    """The environment of an installation without any extra: links to the packages that it has, and to no other."""
    folder = tmp_path_factory.mktemp("core only")
    waiting, known = ["verl-medgrpo"], set()
    while waiting:
        distribution = importlib.metadata.distribution(waiting.pop())
        if distribution.name in known:
            continue
        known.add(distribution.name)
        needed = map(Requirement, distribution.requires or [])
        waiting += [one.name for one in needed if not one.marker or one.marker.evaluate({"extra": ""})]
        for top in {file.parts[0] for file in distribution.files} - {"..", "__pycache__"}:
            if not (folder / top).exists() and not top.startswith("__editable__"):
                (folder / top).symlink_to(distribution.locate_file(top))
    assert "numpy" in known and not known & {"torch", "hydra-core", "matplotlib"}
    return {"PATH": os.environ["PATH"], "PYTHONPATH": f"{folder}:{REPOSITORY}"}


@pytest.mark.parametrize(
    ("argv", "status", "said"),
    [
        *(((name, "--help"), None, "") for name in cli.COMMANDS),
        (["doctor"], 1, "missing"),
        (["train", "data.train_files=t"], 2, "hydra, which is not installed: install what training needs"),
        (["judge", "probe"], 2, "is not installed"),
        (["generate", "--model", "M", "--data", "D", "--out", "O"], 2, "install what training needs"),
    ],
    ids=lambda value: value[0] if isinstance(value, list | tuple) else None,
)
def test_an_installation_without_extras_is_told_what_is_missing(argv, status, said, core, world, model, tmp_path):
    places = {"M": str(model), "D": str(world.val), "O": str(tmp_path / "o")}
    call = [sys.executable, "-S", "-m", "recipe.medgrpo.cli", *(places.get(word, word) for word in argv)]
    done = subprocess.run(call, env=core, capture_output=True, text=True, cwd=tmp_path)
    assert "Traceback" not in done.stderr, done.stderr
    assert done.returncode == status if status is not None else done.returncode in (0, 2)
    assert said in (done.stdout + done.stderr).replace("\n", "") and ("is not installed" in done.stderr) is (
        done.returncode == 2
    )


@pytest.mark.parametrize(
    "argv, said",
    [
        (["score", "--predictions", "/no/such.json", "--ground-truth", "/no/such.json"], "/no/such.json"),
        (["report", "/no/such"], "/no/such"),
        (["judge", "probe", "no_such=1"], "no_such"),
        (["score", "--predictions", "p", "--ground-truth", "g", "judge=nobody"], "give judge=lexical, or judge=openai"),
        (["score", "--predictions", "p", "--ground-truth", "g", "medgrpo.reward.judge.model=m"], "give judge=lexical"),
    ],
)
def test_what_the_user_can_fix_is_one_message(argv, said):
    done = medgrpo(*argv, check=False)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert done.stderr.startswith(f"medgrpo {argv[0]}: ") and said in done.stderr


def test_help_tells_defaults_that_say_something():
    done = medgrpo("generate", "--help")
    assert "(default: 256)" in done.stdout.replace("\n", "") and "None)" not in done.stdout
    version = medgrpo("--version")
    assert version.stdout.split() == ["verl-medgrpo", importlib.metadata.version("verl-medgrpo")]


def test_train_hands_everything_to_hydra(monkeypatch):
    """Options of Hydra's own, in any place, among the overrides."""
    seen = []
    monkeypatch.setitem(sys.modules, "recipe.medgrpo.main_medgrpo", SimpleNamespace(main=lambda: seen.append(sys.argv)))
    monkeypatch.setattr(sys, "argv", ["medgrpo"])
    assert cli.main(["train", "--cfg", "job", "preset=medgrpo", "--resolve", "~a"]) == 0
    assert seen == [["medgrpo", "--cfg", "job", "preset=medgrpo", "--resolve", "~a"]]


def test_foreign_errors_keep_their_traceback(monkeypatch):
    monkeypatch.setattr("recipe.medgrpo.report.page.write_report", lambda *args: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        cli.main(["report", "x"])


# ---- score and submit ----------------------------------------------------------------------------------------------


@pytest.fixture
def items_file(world, tmp_path):
    """The records behind the validation rows, as a test file."""
    from recipe.medgrpo.evaluation.answers import read_rows

    path = tmp_path / "test.json"
    items = [
        {
            "id": row.extra_info["id"],
            "qa_type": row.extra_info["qa_type"],
            "data_source": row.source,
            "metadata": {"fps": "1.0", "video_id": row.extra_info["video_id"]},
            "conversations": [
                {"from": "human", "value": row.extra_info["question"]},
                {"from": "gpt", "value": row.ground_truth},
            ],
            "struc_info": json.loads(row.extra_info["struc_info"] or "[]"),
        }
        for row in read_rows(world.val)
    ]
    path.write_text(json.dumps(items))
    return path


@pytest.fixture
def main(items_file, capsys):
    """``main(command, *argv)`` on that test file -> exit status, standard output, standard error."""

    def call(command, *argv):
        status = cli.main([command, "--ground-truth", str(items_file), *map(str, argv)])
        return status, *capsys.readouterr()

    return call


@pytest.fixture
def evaluation(finished_run):
    return finished_run.evaluation("sft")


@pytest.mark.usefixtures("light_encoder")
@pytest.mark.parametrize("kind", ["answers", "results"])
def test_submit_then_score_gives_the_metrics_of_evaluate(kind, evaluation, main, tmp_path):
    submission, metrics = tmp_path / "submission.json", tmp_path / "metrics.json"
    status, out, _ = main("submit", f"--{kind}", getattr(evaluation, kind), "--out", submission)
    assert status == 0 and "full test set has 6245" in out
    rows = json.loads(submission.read_text())
    assert len(rows) == 96 and set(rows[0]) == {"id", "qa_type", "prediction"}
    status, out, _ = main("score", "--predictions", submission, "--json", metrics)
    assert status == 0 and "TAG_mIoU@0.3" in out
    assert json.loads(metrics.read_text()) == pytest.approx(json.loads(evaluation.summary.read_text())["leaderboard"])
    assert main("score", "--predictions", submission, "judge=lexical", "--json", metrics)[0] == 0
    assert 1 <= json.loads(metrics.read_text())["VS_lexical"] <= 5


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda items: items[:-1], "which .*test.json does not have"),
        (lambda items: [*items, items[0]], "1 of 97 records .*first: 96"),
        (lambda items: [{**items[0], "qa_type": "stg"}, *items[1:]], r"answers record 0 \(tal\)"),
        (lambda items: [None], "record 0 is NoneType"),
    ],
)
def test_submit_refuses_another_test_file(evaluation, items_file, main, tmp_path, change, message):
    items_file.write_text(json.dumps(change(json.loads(items_file.read_text()))))
    status, _, err = main("submit", "--results", evaluation.results, "--out", tmp_path / "s.json")
    assert status == 2 and re.search(message, err) and not (tmp_path / "s.json").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda line: line.pop("sample"), "row 0: lacks sample"),
        (lambda line: line.update(record=None), "row 0: record None"),
        (lambda line: line.update(response=None), "row 0: .*NoneType"),
    ],
)
def test_submit_names_the_line_that_it_cannot_use(evaluation, main, tmp_path, change, message):
    lines = [json.loads(line) for line in evaluation.results.read_text().splitlines()]
    change(lines[0])
    results = tmp_path / "results.jsonl"
    results.write_text("".join(json.dumps(line) + "\n" for line in lines))
    status, _, err = main("submit", "--results", results, "--out", tmp_path / "s.json")
    assert status == 2 and re.search(message, err)


def test_submit_checks_an_existing_file(evaluation, main, tmp_path):
    results, out = evaluation.results, tmp_path / "s.json"
    assert main("submit", "--results", results, "--out", out)[0] == 0
    written = out.read_bytes()
    status, printed, _ = main("submit", "--check", out)
    assert status == 0 and "full test set has 6245" in printed and out.read_bytes() == written
    out.write_text(json.dumps(json.loads(written)[::-1]))
    refused = {
        ("--check", out): "order must be that of the test file",
        ("--check", out, "--out", out): "give --out",
        ("--results", results): "give --out",
        ("--results", results, results, "--out", tmp_path / "t.json"): "a second answer to record 0",
    }
    for argv, message in refused.items():
        status, _, err = main("submit", *argv)
        assert status == 2 and message in err


@pytest.mark.usefixtures("light_encoder")
@pytest.mark.parametrize("form", ["submission", "results"])
def test_score_warns_of_other_qa_types_and_names_a_file_that_it_cannot_write(items_file, main, tmp_path, form):
    items = json.loads(items_file.read_text())
    rows = [{"id": item["id"], "qa_type": item["qa_type"], "prediction": ""} for item in items]
    rows[3]["qa_type"] = rows[5]["qa_type"] = "cvs_assessment"
    predictions = tmp_path / "p.json"
    predictions.write_text(json.dumps(rows if form == "submission" else {str(i): row for i, row in enumerate(rows)}))
    status, out, err = main("score", "--predictions", predictions, "--json", predictions / "metrics.json")
    assert status == 2 and "2 predictions name another qa_type" in out and "first: item 3" in out
    assert err == f"medgrpo score: {predictions}: File exists\n"
