# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Subcommands through the console script, one after the other as docs/evaluate.md prints them.

Only vLLM is replaced: its answers are on disk. The shell is a notebook's, whose backend of matplotlib is not installed.
Commands that import torch are run in test_console_on_cpu.py.
"""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from console import MEDGRPO, medgrpo

from recipe.medgrpo import cli
from recipe.medgrpo.common.run_folder import RunDir, write_jsonl
from recipe.medgrpo.evaluation import engines, generate
from recipe.medgrpo.evaluation.answers import read_rows


@pytest.fixture(scope="module")
def run(world, respond, tmp_path_factory):
    """A run of the rule-scored tasks: rows, a model, and the model's answers where the commands will look for them."""
    run = RunDir(tmp_path_factory.mktemp("a run"))
    run.train.parent.mkdir()
    for given, own in ((world.train, run.train), (world.val, run.val)):
        table = pq.read_table(given)
        kept = [name.endswith(("/tag", "/stg")) for name in table["data_source"].to_pylist()]
        pq.write_table(table.filter(kept), own)
    model = run.root / "model"
    model.mkdir()
    (model / "config.json").write_text("{}")
    (model / "model.safetensors").write_bytes(b"weights")
    with pytest.MonkeyPatch.context() as patch:
        for data, out, options in (
            (run.train, run.root / "normalization.answers.jsonl", {"tasks": ["tag", "stg"], "per_pair": 500}),
            (run.val, run.evaluation("sft").answers, {}),
        ):
            rows, rng = iter(read_rows(data)), np.random.default_rng(0)

            def answer(asked, rows=rows, rng=rng):
                return [[engines.Completion(respond(next(rows), 0.5, rng), 9, "stop")] for _ in asked]

            patch.setattr(engines, "_load_engine", lambda *_, answer=answer: (lambda row: row, answer))
            generate.generate(model, data, out, **options)
    return run


@pytest.fixture(scope="module")
def finished(run, tmp_path_factory):
    """The run after its commands; and what each of them printed."""
    model, scoring = run.root / "model", "medgrpo.reward.reward_tasks=[tag,stg]"
    said = {}
    said["generate"] = medgrpo("generate", "--model", model, "--data", run.val, "--out", run.evaluation("sft").answers)
    common = ["--model", model, "--data"]
    said["calibrate"] = medgrpo("calibrate", *common, run.train, "--out", run.normalization, scoring)
    evaluation = "--normalization", run.normalization, "--out", run.evaluation("sft").root, scoring
    said["evaluate"] = medgrpo("evaluate", *common, run.val, *evaluation)
    shutil.copytree(run.evaluation("sft").root, run.evaluation("rl").root)
    said["report"] = medgrpo("report", run.root)
    return run, said


@pytest.fixture(scope="module")
def truth(run):
    """The test file that the held-out rows come from, and predictions for it."""
    items = [
        {
            **{key: row.extra_info[key] for key in ("id", "qa_type")},
            "data_source": row.source,
            "metadata": {"fps": "1.0", "video_id": row.extra_info["video_id"]},
            "conversations": [
                {"from": "human", "value": row.extra_info["question"]},
                {"from": "gpt", "value": row.ground_truth},
            ],
            "struc_info": json.loads(row.extra_info["struc_info"]),
        }
        for row in read_rows(run.val)
    ]
    # Positions in a file of these rows alone.
    path = run.root / "test.json"
    path.write_text(json.dumps(items))
    predictions = [{"id": one["id"], "qa_type": one["qa_type"], "prediction": "0.0-4.0 seconds."} for one in items]
    (run.root / "predictions.json").write_text(json.dumps(predictions))
    line = {"index": 0, "sample": 0, "source": "CT", "task": "mcq", "modality": "CT", "question_type": "?"}
    line |= {"image_id": "i", "num_options": 4, "response": "C", "ground_truth": "C", "accuracy_lenient": 1.0}
    (run.root / "ct").mkdir()
    (run.root / "ct/results.jsonl").write_text(json.dumps(line) + "\n")
    return path, run.root / "predictions.json"


def test_the_commands_of_a_run_follow_one_another(finished):
    run, said = finished
    assert all("up to date" in said[name].stdout for name in ("generate", "calibrate", "evaluate"))
    for file in (run.normalization.with_suffix(".png"), run.evaluation("rl").summary, run.report):
        assert file.stat().st_size
    assert "48 held-out rows" in said["evaluate"].stdout and "95% interval" in said["evaluate"].stdout


def test_a_run_elsewhere_keeps_its_answers_and_the_hash_of_its_normalization(finished, tmp_path):
    run, _ = finished
    copy = RunDir(tmp_path / "copy")
    subprocess.run(["cp", "-r", run.root, copy.root], check=True)
    copy.normalization.unlink()
    (copy.normalization.with_suffix(".png")).unlink()
    scoring = "medgrpo.reward.reward_tasks=[tag,stg]"
    common = "--model", copy.root / "model", "--data", copy.train, "--out", copy.normalization
    assert "up to date" in medgrpo("calibrate", *common, scoring).stdout
    hashes = [json.loads(one.normalization.read_text())["hash"] for one in (run, copy)]
    assert hashes[0] == hashes[1]


def test_commands_on_files_of_others(truth, run, tmp_path):
    items, predictions = truth
    done = medgrpo("score", "--predictions", predictions, "--ground-truth", items, "--json", tmp_path / "m.json")
    assert "TAG_mIoU@0.3" in done.stdout and "STG_mIoU" in json.loads((tmp_path / "m.json").read_text())
    assert "48 predictions" in medgrpo("submit", "--check", predictions, "--ground-truth", items).stdout
    assert "100.0" in medgrpo("matrices", "--run", f"CT={run.root}/ct", "--out", tmp_path / "matrices").stdout
    assert "tag" in medgrpo("data", "check", run.val).stdout
    assert "judge=lexical" in medgrpo("judge", "probe", "judge=lexical").stdout


@pytest.fixture(scope="module")
def trained(finished, tmp_path_factory) -> RunDir:
    """A copy of the run with what RL leaves: the answers of a step, and a checkpoint."""
    run = RunDir(tmp_path_factory.mktemp("trained") / "a run")
    shutil.copytree(finished[0].root, run.root)
    answers = [(row, f"{row.index}_{sample}_0", float(sample)) for row in read_rows(run.train)[:2] for sample in (0, 1)]
    given = {"output": "1.0-5.0 seconds.", "step": 1}
    dump = [
        given | {"input": row.extra_info["question"], "gts": row.ground_truth, "score": score, "uid": uid}
        for row, uid, score in answers
    ]
    scores = [
        {"uid": uid, "index": row.index, "data_source": row.data_source, "score": score} for row, uid, score in answers
    ]
    write_jsonl(run.rollouts / "1.jsonl", dump)
    write_jsonl(run.scores / "1.jsonl", scores)
    model = run.rl / "global_step_1/actor/huggingface"
    shutil.copytree(run.root / "model", model)
    (model / "config.json").write_text(json.dumps({"model_type": "qwen2_5_vl", "vision_config": {"patch_size": 14}}))
    return run


def test_commands_on_what_rl_leaves(trained, tmp_path):
    assert "4 answers of 1 steps" in medgrpo("browse", trained.root).stdout
    assert (trained.root / "browse/index.html").stat().st_size
    card = "--base", "Qwen/Qwen2.5-VL-7B-Instruct", "--license", "apache-2.0", "--max-tokens", 96
    assert "rl step 1" in medgrpo("export", trained.root, "--out", tmp_path / "my_model", *card).stdout
    assert "Qwen/Qwen2.5-VL-7B-Instruct" in (tmp_path / "my_model/README.md").read_text()


def test_captions_say_what_they_will_cost(tmp_path):
    video = [str(tmp_path / f"{number}.jpg") for number in range(30)]
    record = {"id": "VID01", "qa_type": "video_summary", "data_source": "CholecT50", "video": video, "struc_info": []}
    record |= {"metadata": {"fps": "1.0", "video_id": "VID01"}, "conversations": [{"from": "human", "value": "What?"}]}
    record |= {"evidence": {"lines": ["0.0-12.0 s: hook"], "events": [], "boxes": {}}}
    (tmp_path / "EgoSurgery_captions.jsonl").write_text(json.dumps(record) + "\n")
    files = tmp_path / "EgoSurgery_captions.jsonl", "--captions", tmp_path / "captions.jsonl"
    models = "--models", "gpt-4.1", "gemini-2.5-flash", "--urls", "http://127.0.0.1:9/v1", "http://127.0.0.1:9/v1"
    keys = {"OPENAI_API_KEY": "sk-first", "GEMINI_API_KEY": "sk-second"}
    said = medgrpo("captions", "write", *files, *models, "--dry-run", **keys).stdout
    assert "gpt-4.1" in said and "gemini-2.5-flash" in said and not (tmp_path / "captions.jsonl").exists()


def test_the_doctor():
    done = medgrpo("doctor", check=False)
    assert done.returncode in (0, 1) and "verl" in done.stdout and "Traceback" not in done.stdout + done.stderr


def test_every_command_was_run():
    """Here or in the tests that import torch: whoever adds a command adds its run."""
    files = Path(__file__), Path(__file__).with_name("test_console_on_cpu.py")
    assert {name for file in files for name in re.findall(r'medgrpo\("([\w-]+)"', file.read_text())} == {*cli.COMMANDS}


@pytest.mark.parametrize(
    "argv",
    [
        "score --predictions {predictions} --ground-truth {items} --json {items}",
        "score --predictions {predictions} --ground-truth {items} --json {predictions}",
        "submit --results {results} --ground-truth {items} --out {items}",
        "submit --results {results} --ground-truth {items} --out {results}",
        "generate --model {model} --data {val} --out {val}",
        "generate --model {model} --data {val} --out {model}/config.json",
        "calibrate --model {model} --data {train} --out {train}",
        "calibrate --model {model} --data {train} --out {summary}",
        "evaluate --model {model} --data {val} --out {model} --normalization {model}/results.jsonl",
        "report {root} --out {summary}",
        "matrices --run CT={root}/ct --out {model}",
    ],
)
def test_no_command_writes_onto_what_it_reads_or_did_not_make(finished, truth, argv):
    run, _ = finished
    (run.root / "model/results.jsonl").write_bytes(run.normalization.read_bytes())
    (run.root / "model/matrices.csv").write_text("mine")
    evaluation = run.evaluation("rl")
    places = {"items": truth[0], "predictions": truth[1], "results": evaluation.results, "summary": evaluation.summary}
    places |= {"model": run.root / "model", "root": run.root, "train": run.train, "val": run.val}
    before = {file: file.read_bytes() for file in run.root.rglob("*") if file.is_file()}
    # Words, not a line: the run's folder has a space in its name.
    done = medgrpo(*(word.format(**places) for word in argv.split()), check=False)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert {file: file.read_bytes() for file in run.root.rglob("*") if file.is_file()} == before


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ("generate --model {model} --data /nope --out {new}", "/nope: no such Parquet file"),
        ("generate --model {model} --data {model}/config.json --out {new}", "not a row file"),
        ("generate --model {model} --data {val} --out {new} --tasks nonsense", "the file has stg tag"),
        ("generate --model {model} --data {val} --out {new} --tasks tag nonsense", "no row of nonsense"),
        ("generate --model {model} --data {val} --out {new} --per-pair 0", "0 is below 1"),
        ("generate --model {model} --data {val} --out {new} --n 0", "0 is below 1"),
        ("generate --model {model} --data {val} --out {new} --temperature nan", "nan is no temperature"),
        ("calibrate --model {model} --data {val} --out {new} --max-per-pair 0", "0 is below 1"),
        ("report {new}", "no such run folder"),
        ("score --predictions {predictions} --ground-truth {items} --json /proc/no/m.json", "/proc/no: No such file"),
        ("submit --check {brackets} --ground-truth {items}", "no JSON file"),
    ],
)
def test_what_cannot_work_is_one_sentence_and_leaves_nothing(run, truth, tmp_path, argv, message):
    places = {"items": truth[0], "predictions": truth[1], "model": run.root / "model", "val": run.val}
    places |= {"new": tmp_path / "new", "brackets": tmp_path / "brackets.json"}
    places["brackets"].write_text("[" * 100_000)
    done = medgrpo(*(word.format(**places) for word in argv.split()), check=False)
    assert done.returncode == 2 and message in done.stderr and "Traceback" not in done.stderr
    assert not list(tmp_path.glob("new*"))


def test_a_reader_that_has_seen_enough(truth):
    command = f"'{MEDGRPO}' score --predictions '{truth[1]}' --ground-truth '{truth[0]}' | head -n 1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert done.stdout.strip() and done.stderr == ""


#: What an installation without extras lacks.
ABSENT = """
import sys
names = {"torch", "verl", "vllm", "hydra", "omegaconf", "jinja2", "matplotlib", "transformers"}
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in names:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Absent())
"""


def test_an_installation_without_extras_says_what_it_lacks(finished, truth, tmp_path):
    (tmp_path / "sitecustomize.py").write_text(ABSENT)
    core = {"PYTHONPATH": f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}"}
    run, _ = finished
    evaluated = "--model", run.root / "model", "--data", run.val, "--out", run.evaluation("rl").root
    for argv in (["report", run.root], ["evaluate", *evaluated]):
        done = medgrpo(*argv, check=False, **core)
        assert done.returncode == 2 and "is not installed" in done.stderr and "docs/install.md" in done.stderr
        assert done.stderr.count("\n") == 1
    items, predictions = truth
    assert medgrpo("score", "--predictions", predictions, "--ground-truth", items, **core).returncode == 0
    assert medgrpo("submit", "--check", predictions, "--ground-truth", items, **core).returncode == 0
