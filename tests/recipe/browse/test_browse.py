# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""`medgrpo browse`, from verl's dumps to clicks in a real browser."""

import json
import math
from pathlib import Path

import pytest
from browser import Browser

from recipe.medgrpo import cli
from recipe.medgrpo.common.run_folder import RunDir, RunDirError
from recipe.medgrpo.evaluation.answers import read_rows
from recipe.medgrpo.trainer.step_metrics import ScoredAnswer, write_scores

GROUP = 8
MARKUP = "<script>window.hacked = 1</script>"


def texts(row) -> list[str]:
    """Eight answers: six that name times or boxes, one in markup, one that cannot be read."""
    if row.task == "stg":
        return [row.ground_truth] * 6 + [MARKUP, "garbage"]
    return [f"{i}.0-{i + 3}.0 seconds." for i in range(6)] + [MARKUP, "garbage"]


def write_run(root: Path, data: Path, steps: int, *, logged: bool = True, prompts: int = 6) -> RunDir:
    """A run as verl's trainer and the sampler leave it: dumps, scores and the configuration."""
    run = RunDir(root)
    for folder in (run.rollouts, run.config.parent, run.train.parent):
        folder.mkdir(parents=True)
    run.train.write_bytes(data.read_bytes())
    run.config.write_text("algorithm: {adv_estimator: grpo, norm_adv_by_std_in_grpo: true}\n")
    rows = [row for row in read_rows(data) if row.task in ("tag", "stg")]
    for step in range(1, steps + 1):
        dump, keys, scores = [], [], []
        for place in range(prompts):
            row = rows[(step * 7 + place) % len(rows)] if place else rows[0]
            for i, text in enumerate(texts(row)):
                key, reward = f"u{step}-{place}_{i}_0", round(i / 10 + place / 1000, 4)
                line = {"input": f"user\n{row.extra_info['question']}\nassistant\n", "output": text}
                dump.append(line | {"gts": row.ground_truth, "score": reward, "step": step, "uid": key})
                parts = {
                    "raw": reward / 2,
                    "score": reward,
                    "parsed": float(i < 6),
                    "judge": math.nan,
                    "judge_action": 4.0,
                }
                keys.append(key)
                scores.append(ScoredAnswer(key, row.data_source, parts, 9, 0.5, row.extra_info["index"]))
        (run.rollouts / f"{step}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in dump))
        if logged:
            write_scores(run.scores, step, keys, scores)
    return run


@pytest.fixture(scope="module")
def run(world, tmp_path_factory) -> RunDir:
    return write_run(tmp_path_factory.mktemp("browsed") / "my <i>run", world.train, steps=5)


@pytest.fixture(scope="module")
def page(run) -> Path:
    assert cli.main(["browse", str(run.root)]) == 0
    return run.root / "browse" / "index.html"


@pytest.fixture(scope="module")
def browser(page, tmp_path_factory):
    with Browser(tmp_path_factory.mktemp("profile")) as opened:
        opened.open(page)
        yield opened


@pytest.fixture(autouse=True)
def all_shown(request):
    yield
    if "browser" in request.fixturenames:
        request.getfixturevalue("browser").click("#all")


def shown(browser) -> list[list[str]]:
    return browser.run("[...document.querySelectorAll('#rows tr')].map(r => [...r.cells].map(c => c.textContent))")


def test_every_group_is_listed(browser):
    rows = shown(browser)
    assert len(rows) == 5 * 6 and [row[0] for row in rows] == [str(step) for step in range(1, 6) for _ in range(6)]
    assert browser.run("document.title") == "Answers of my <i>run"
    assert "30 of 30 groups, 240 answers" in browser.run("document.querySelector('#count').textContent")
    # Two of eight cannot be read.
    assert {row[6] for row in rows} == {"2"}


def test_filters_leave_the_right_rows(browser):
    everything = shown(browser)
    browser.choose("#task", "stg")
    assert shown(browser) == [row for row in everything if row[2] == "stg"] != []
    browser.choose("#source", "AVOS")
    assert shown(browser) == [row for row in everything if row[1:3] == ["AVOS", "stg"]]
    browser.click("#all")
    browser.choose("#from", "2")
    browser.choose("#to", "3")
    assert [row[0] for row in shown(browser)] == ["2"] * 6 + ["3"] * 6
    browser.click("#all")
    # Answers of the second prompt alone have a reward of 0.701.
    browser.choose("#low", "0.7005")
    browser.choose("#high", "0.7015")
    assert len(shown(browser)) == 5
    browser.click("#all")
    browser.click("#unparsed")
    assert len(shown(browser)) == 30


def test_a_group_shows_clip_spans_rewards_and_advantages(browser):
    browser.choose("#task", "tag")
    browser.click("#rows tr")
    browser.wait("document.querySelectorAll('.card').length === 8")
    assert browser.run("document.querySelectorAll('.frames image').length") == 8
    assert browser.run("document.querySelectorAll('.frames figcaption')[3].textContent") == "3.0 s"
    wait = "[...document.querySelectorAll('.frames image')].map(i => decodeURI(i.getAttribute('href')).slice(7))"
    assert all(Path(path).is_file() for path in browser.run(wait))
    # The reference, and eight answers of which six name times; the fourth is 3 to 6 of 8 seconds.
    assert browser.run("document.querySelectorAll('#timeline .bar').length") == 9
    assert browser.run("document.querySelectorAll('#timeline .bar i').length") == 7
    assert browser.run("document.querySelectorAll('#timeline i')[4].style.left") == "37.5%"
    card = browser.run("document.querySelectorAll('.card')[7].textContent")
    assert "unreadable" in card and "garbage" in card and "judge_action4.000" in card
    assert "advantage 1.43" in card, "7 of 0..7: 3.5 / 2.449"
    assert "judge0" not in card and "NaN" not in card


def test_boxes_are_drawn_where_the_answer_says(browser, run):
    browser.choose("#task", "stg")
    browser.click("#rows tr")
    browser.wait("document.querySelectorAll('.card').length === 8 && document.querySelector('rect')")
    # Two boxes of the reference and the same two of the answer, at seconds 0 and 4.
    found = "[...document.querySelectorAll('figure')].map(f => f.querySelectorAll('rect').length)"
    assert browser.run(found) == [2, 0, 0, 0, 2, 0, 0, 0]
    x, y = (int(browser.run(f"document.querySelector('rect').getAttribute('{name}')")) for name in "xy")
    assert f"[{x}, {y}," in browser.run("document.querySelector('.truth').textContent")
    # Another answer, which has none: those of the reference stay.
    browser.click(".card:nth-child(8)")
    assert browser.run(found) == [1, 0, 0, 0, 1, 0, 0, 0]


def test_a_prompt_is_followed_over_the_steps(browser):
    browser.click("#rows tr")
    browser.wait("document.querySelector('#history')")
    question = browser.run("document.querySelector('#question').textContent")
    assert browser.run("document.querySelectorAll('#history a').length") >= 5, "the first prompt is asked at every step"
    browser.click("#history a:last-child")
    browser.wait("document.querySelector('#group .soft').textContent.startsWith('step 5')")
    assert browser.run("document.querySelector('#question').textContent") == question


def test_answers_write_no_markup(browser):
    browser.click("#rows tr")
    browser.wait("document.querySelectorAll('.card').length === 8")
    assert MARKUP in browser.run("document.querySelectorAll('.card')[6].textContent")
    assert browser.run("window.hacked") is None


def test_without_scores_a_clip_that_is_not_certain_is_not_shown(world, tmp_path):
    """Two rows with one question and one reference: a run of verl's own sampler does not say which was asked."""
    run = write_run(tmp_path / "run", world.train, steps=1, logged=False)
    rows = [row for row in read_rows(world.train) if row.task in ("tag", "stg")]
    assert cli.main(["browse", str(run.root)]) == 0
    steps = json.loads((run.root / "browse/steps/1.js").read_text().partition(" = ")[2].rstrip(";\n"))
    assert "frames" in steps[0] and steps[0]["answers"][7]["parsed"] is False and steps[0]["answers"][0]["parts"] == {}
    # The same again, the first row twice.
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(run.train)
    pq.write_table(pa.concat_tables([table, table.slice(rows[0].index, 1)]), run.train)
    assert cli.main(["browse", str(run.root)]) == 0
    steps = json.loads((run.root / "browse/steps/1.js").read_text().partition(" = ")[2].rstrip(";\n"))
    assert "frames" not in steps[0] and "frames" in steps[1]


def test_what_it_did_not_make_stays(run, tmp_path, capsys):
    out = tmp_path / "site"
    (out / "steps").mkdir(parents=True)
    (out / "steps/a.js").write_text("mine")
    command = ["browse", str(run.root), "--out", str(out)]
    assert cli.main(command) == 2 and "steps/a.js exists, and is not known" in capsys.readouterr().err
    (out / "steps/a.js").rename(out / "index.html")
    assert cli.main(command) == 2 and (out / "index.html").read_text() == "mine"
    (out / "index.html").unlink()
    assert cli.main(command) == cli.main(command) == 0


def test_a_run_without_dumps_is_named(tmp_path, capsys):
    assert cli.main(["browse", str(tmp_path)]) == 2
    assert "trainer.rollout_data_dir" in capsys.readouterr().err and not list(tmp_path.iterdir())
    assert issubclass(RunDirError, ValueError)
    (tmp_path / "rl/rollouts").mkdir(parents=True)
    (tmp_path / "rl/rollouts/1.jsonl").write_text('{"input": "When?"}\n')
    assert cli.main(["browse", str(tmp_path)]) == 2
    assert "1.jsonl, line 1: lacks output, gts, score, uid" in capsys.readouterr().err


@pytest.mark.e2e
def test_a_thousand_steps_open_in_two_seconds(world, tmp_path):
    """1,000 steps of 384 answers: processor time of the page's thread until it is loaded, and of a filter."""
    run = write_run(tmp_path / "long", world.train, steps=1000, logged=False, prompts=48)
    assert cli.main(["browse", str(run.root)]) == 0
    with Browser(tmp_path / "profile") as browser:
        assert browser.open(run.root / "browse/index.html") < 2
        assert "48000 of 48000 groups, 384000 answers" in browser.run("document.querySelector('#count').textContent")
        before = browser.task_time()
        browser.choose("#low", "0.7005")
        assert browser.task_time() - before < 0.5
        assert len(shown(browser)) == 100
