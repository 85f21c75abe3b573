# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""``medgrpo score`` and ``medgrpo submit --check`` as a user calls them, on files as users have them."""

import gzip
import json
from pathlib import Path
from types import SimpleNamespace

import console
import pytest

from recipe.medgrpo import cli


def item(i, **more):
    return {
        "id": f"r{i}",
        "qa_type": "tal",
        "data_source": "AVOS",
        "metadata": {"video_id": f"v{i}", "fps": "1.0", "input_video_start_time": "0", "input_video_end_time": "90"},
        "conversations": [{"from": "human", "value": "When?"}, {"from": "gpt", "value": f"{i}0.0-{i}8.0 seconds."}],
        "struc_info": [{"spans": [{"start": 10 * i, "end": 10 * i + 8}]}],
    } | more


TRUTH = [item(i) for i in range(4)]
ROWS = [{"id": f"r{i}", "qa_type": "tal", "prediction": f"{i}0.0-{i}8.0 seconds."} for i in range(4)]


@pytest.fixture
def medgrpo(tmp_path, monkeypatch, capsys):
    """medgrpo(command, ...) -> exit status and what was printed, in a working folder of its own."""
    monkeypatch.chdir(tmp_path)

    def run(*argv):
        # A task of the user's own would stay in this process.
        if any("extra_tasks" in str(word) for word in argv):
            return console.medgrpo(*argv, check=False)
        status, (out, err) = cli.main([*map(str, argv)]), capsys.readouterr()
        return SimpleNamespace(returncode=status, stdout=out, stderr=err)

    return run


@pytest.fixture
def score(medgrpo, tmp_path):
    """score(predictions, truth, ...) -> what medgrpo gives, and the metrics in its file."""

    def run(predictions, truth=TRUTH, *argv):
        for name, content in (("p.json", predictions), ("t.json", truth)):
            plain = content if isinstance(content, bytes) else json.dumps(content).encode()
            (tmp_path / name).write_bytes(plain)
        metrics = tmp_path / "m.json"
        metrics.unlink(missing_ok=True)
        done = medgrpo("score", "--predictions", "p.json", "--ground-truth", "t.json", "--json", "m.json", *argv)
        return done, json.loads(metrics.read_text()) if metrics.exists() else None

    return run


def test_ids_in_another_order_are_said(score):
    done, metrics = score(ROWS[::-1])
    assert done.returncode == 0 and metrics["TAG_mIoU@0.3"] == 0
    assert "4 predictions name another id than their record (first: item 0 has r3, its record r0)" in done.stdout
    done, metrics = score(ROWS)
    assert metrics["TAG_mIoU@0.3"] == 1 and "warning" not in done.stdout


@pytest.mark.parametrize(
    ("rows", "truth", "warned"),
    [
        ([{**ROWS[0], "id": "v0&&0&&90&&1.0"}], [item(0)], False),
        ([{**ROWS[0], "id": "v0&&0&&90&&1.0"}], [item(0, id=None)], False),
        ([{**ROWS[0], "id": "v1&&0&&90&&1.0"}], [item(0, id=None)], True),
        ([{**ROWS[0], "id": 0}, {**ROWS[1], "id": 1}], [item(0, id="0"), item(1, id=1)], False),
        ([{**ROWS[0], "id": 1}, {**ROWS[1], "id": 0}], [item(0, id=0), item(1, id=1)], True),
        ([{**ROWS[0], "id": None}], [item(0)], False),
        ([{**ROWS[0], "id": "x"}], [item(0, id=None, metadata={"video_id": "v", "fps": "1.0"})], False),
        ({"0": {"answer": "", "id": "r1"}, "1": {"answer": "", "id": "r0"}}, TRUTH[:2], True),
        ({"0": {"answer": ""}, "1": {"answer": ""}}, TRUTH[:2], False),
        ([{**ROWS[0], "id": "[/red]"}], [item(0)], True),
    ],
)
def test_which_ids_contradict(score, rows, truth, warned):
    done, metrics = score(rows, truth)
    assert done.returncode == 0 and metrics, done.stderr
    assert ("name another id" in done.stdout) == warned


def lines(content):
    return "\n".join(map(json.dumps, content)).encode()


@pytest.mark.parametrize(
    "dress",
    [
        lambda content: b"\xef\xbb\xbf" + json.dumps(content).encode(),
        lambda content: json.dumps(content).encode("utf-16"),
        lambda content: json.dumps(content).encode("utf-32"),
        lambda content: lines(content) + b"\n\n",
        lambda content: b"\xef\xbb\xbf" + lines(content).replace(b"\n", b"\r\n"),
    ],
    ids=["BOM", "UTF-16", "UTF-32", "lines", "lines with BOM"],
)
def test_files_of_any_spelling_are_read(score, medgrpo, tmp_path, dress):
    done, metrics = score(dress(ROWS), dress(TRUTH))
    assert done.returncode == 0, done.stderr
    assert metrics["TAG_mIoU@0.3"] == 1
    done = medgrpo("submit", "--check", "p.json", "--ground-truth", "t.json")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (gzip.compress(json.dumps(ROWS).encode(), mtime=0), "packed by gzip"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:a\nsize 1\n", "git lfs pull"),
        (b"\n<!DOCTYPE html><html></html>", "web page"),
        (b"PK\x03\x04rest", "zip archive"),
        (b"PAR1rest", "Parquet file"),
        (b"", "Expecting value"),
        (b"[" * 200_000, "recursion"),
        (b'{"a": 1}\n{"a": ', "as lines of JSON"),
        (b"\xff\xfe\x00", "no JSON file"),
        (b'{"0": {"answer": "x"}}', "1 predictions for 4 records"),
        (b"[1]", "item 0 needs a text"),
        (b"null", "must be a list"),
    ],
)
def test_a_file_of_something_else_is_one_message(score, content, message):
    done, metrics = score(content)
    assert done.returncode == 2 and metrics is None
    assert message in done.stderr and done.stderr.startswith("medgrpo score: ") and done.stderr.count("\n") == 1


def test_files_that_are_not_there(medgrpo, tmp_path):
    for path in ("nowhere.json", tmp_path):
        done = medgrpo("score", "--predictions", path, "--ground-truth", path)
        assert done.returncode == 2 and done.stderr.startswith(f"medgrpo score: cannot read {path}: ")
        done = medgrpo("submit", "--check", path, "--ground-truth", path)
        assert done.returncode == 2 and done.stderr.startswith(f"medgrpo submit: cannot read {path}: ")


def test_a_task_of_the_users_own_is_scored(score, tmp_path):
    (tmp_path / "wards").mkdir()
    (tmp_path / "wards" / "portal.py").write_text(
        "from reward_score.errors import BadGroundTruth\n"
        "from reward_score.sample import Rating\n"
        "COMPONENTS = ('raw',)\n"
        "def rate(sample, fallback):\n"
        "    if not sample.reference:\n"
        "        raise BadGroundTruth('nothing to compare with')\n"
        "    return Rating(1.0, float(sample.answer == sample.reference), concise=0.75)\n"
    )
    # The name holds "tal", which the leaderboard would take for TAG.
    truth = [item(i, qa_type="portal", struc_info=[]) for i in range(3)] + TRUTH[:1]
    rows = [{"id": f"r{i}", "qa_type": "portal", "prediction": "00.0-08.0 seconds."} for i in range(3)] + ROWS[:1]
    done, metrics = score(rows, truth, "medgrpo.reward.extra_tasks=[wards.portal]")
    assert done.returncode == 0, done.stderr
    assert metrics == pytest.approx({"TAG_mIoU@0.3": 1, "TAG_mIoU@0.5": 1, "PORTAL_raw": 0.25})
    turns = [{"from": "human", "value": "When?"}, {"from": "gpt", "value": ""}]
    done, _ = score(
        rows, [*truth[:2], {**truth[2], "conversations": turns}, truth[3]], "medgrpo.reward.extra_tasks=[wards.portal]"
    )
    assert done.returncode == 2 and "record 2 (AVOS, portal): nothing to compare with" in done.stderr
    for override, message in (
        ("medgrpo.reward.extra_tasks=[wards.nowhere]", "cannot import 'wards.nowhere'"),
        ("preset=medgrpo", "give judge=lexical"),
    ):
        done, _ = score(rows, truth, override)
        assert done.returncode == 2 and message in done.stderr


def test_an_answer_with_half_a_surrogate_pair_is_written_as_its_escape(tmp_path):
    from reward_score.leaderboard import check_submission, write_submission

    path = write_submission(TRUTH[:1], ["1-2 \ud800 seconds."], tmp_path / "s.json")
    assert json.loads(Path(path).read_text(encoding="utf-8"))[0]["prediction"] == "1-2 \ud800 seconds."
    assert len(check_submission(path)) == 1
