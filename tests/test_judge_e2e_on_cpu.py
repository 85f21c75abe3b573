# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""A real training whose judge dies in the middle of step 2 and returns: the run goes on, and says what it lost."""

import math
import os
import re
import subprocess
import sys
import time

import pyarrow.parquet as pq
import pytest
from judge_server import JudgeServer, verdict

from recipe.medgrpo.common.run_folder import read_jsonl
from recipe.medgrpo.common.run_log import ALARMS
from reward_score.sample import CaptionPair
from reward_score.similarity import SentenceEncoder
from reward_score.tasks.surplus import concise, distinct

pytestmark = pytest.mark.e2e

BATCH, GROUP, STEPS, MINUTES = 8, 4, 4, 20


def steps(run) -> dict[int, dict]:
    """Step -> figures of verl's log so far."""
    files = list(run.glob("metrics*.jsonl"))
    return {one["step"]: one["data"] for file in files for one in read_jsonl(file, "verl", cut_tail_allowed=True)}


def command(drawn, tiny_model, run) -> list[str]:
    return [
        *(sys.executable, "-m", "recipe.medgrpo.main_medgrpo", "platform=cpu", "judge=openai"),
        f"data.train_files='{drawn}/train.parquet'",
        f"data.val_files='{drawn}/val.parquet'",
        f"data.train_batch_size={BATCH}",
        "data.max_prompt_length=256",
        "data.max_response_length=24",
        f"actor_rollout_ref.model.path='{tiny_model}'",
        "actor_rollout_ref.actor.ppo_max_token_len_per_gpu=6144",
        f"actor_rollout_ref.rollout.n={GROUP}",
        "actor_rollout_ref.rollout.max_model_len=288",
        "medgrpo.reward.artifact=null",
        "medgrpo.reward.normalization=none",
        # Cut captions, as a random model gives them, never reach the judge.
        "medgrpo.reward.overlong_buffer=0",
        "medgrpo.reward.judge.cache=null",
        "medgrpo.reward.judge.deadline=5",
        "medgrpo.reward.judge.backoff=0.2",
        "medgrpo.reward.judge.breaker_cooldown=1",
        # A random model parses nothing, and that is not what this is about.
        "medgrpo.alarm.action=warn",
        "medgrpo.alarm.steps=1",
        "medgrpo.alarm.dropped_share=0",
        f"trainer.total_training_steps={STEPS}",
        "trainer.total_epochs=100",
        "trainer.save_freq=-1",
        f"trainer.default_local_dir='{run}'",
        f"hydra.run.dir='{run}'",
    ]


@pytest.fixture(scope="module")
def finished(drawn, tiny_model, tmp_path_factory):
    """Folder and log of the run; the judge is gone from the middle of step 2 until that step is over."""
    run = tmp_path_factory.mktemp("judged")
    deadline = time.monotonic() + 60 * MINUTES
    log = run / "log.txt"
    with JudgeServer(verdict(4)) as server, log.open("w") as output:
        address = {"OPENAI_BASE_URL": server.url, "OPENAI_API_KEY": "sk-secret-of-this-test"}
        process = subprocess.Popen(
            command(drawn, tiny_model, run), env={**os.environ, **address}, stdout=output, stderr=subprocess.STDOUT
        )

        def wait_for(condition):
            while not condition():
                assert process.poll() is None or condition(), log.read_text()[-5000:]
                assert time.monotonic() < deadline, log.read_text()[-5000:]
                time.sleep(0.01)

        wait_for(lambda: 1 in steps(run))
        before = len(server.requests)
        wait_for(lambda: len(server.requests) > before)
        port = server.port
    wait_for(lambda: 2 in steps(run))
    with JudgeServer(verdict(4), port=port):
        assert process.wait(timeout=max(1, deadline - time.monotonic())) == 0, log.read_text()[-5000:]
    return run, log.read_text()


def test_the_run_went_on_to_its_end(finished):
    run, _ = finished
    assert sorted(steps(run)) == list(range(1, STEPS + 1))


def test_the_log_says_what_was_dropped(finished):
    run, log = finished
    figures = steps(run)
    bad, good = figures[2], [figures[1], figures[STEPS]]
    assert bad["judge/fail_rate"] > 0 and bad["medgrpo/dropped_trajectories"] > 0
    assert all(one["judge/fail_rate"] == 0 == one["medgrpo/dropped_trajectories"] for one in good)
    assert all(one["judge/latency_p99"] > 0 and one["judge/tokens"] > 0 for one in good)
    assert "no verdict of judge comparative:gpt-4.1" in log and "verdicts a step" in log
    assert "sk-secret-of-this-test" not in log


def test_the_alarm_is_in_the_log_and_in_the_runs_folder(finished):
    run, log = finished
    text = r"step 2: \d+% of the answers \(media 0, judge \d+, other \d+\) have no score, above 0%"
    assert re.search(text, log), "verl's task runner has the root logger at ERROR"
    alarms = read_jsonl(run / ALARMS, "the training")
    [dropped] = [alarm for alarm in alarms if re.match(text, alarm["message"])]
    assert (dropped["step"], dropped["level"]) == (2, "warning")
    figures = steps(run)[2]
    assert figures["medgrpo/dropped_media"] == 0 < figures["medgrpo/dropped_judge"]


def test_every_caption_that_was_trained_on_has_its_verdict_in_its_score(finished, drawn):
    run, _ = finished
    rows = pq.read_table(drawn / "train.parquet", columns=["ability", "reward_model"]).to_pylist()
    tasks = {row["reward_model"]["ground_truth"]: row["ability"] for row in rows}
    encoder, seen = SentenceEncoder(), 0
    for step, figures in steps(run).items():
        answers = read_jsonl(run / f"rollouts/{step}.jsonl", "verl")
        captions = [one for one in answers if tasks[one["gts"]] in ("vs", "rc")]
        texts = [distinct(one["output"], one["gts"].strip()) for one in captions]
        pairs = [CaptionPair(text, one["gts"].strip()) for (text, _), one in zip(texts, captions, strict=True)]
        for one, (_, surplus), similarity in zip(captions, texts, encoder.similarity(pairs), strict=True):
            worded = any(character.isalnum() for character in one["output"])
            # The judge's 4 is (4 - 1) / 4; what is said again costs in the components and in the form; an answer
            # without a letter, such as padding, is 0 without asking.
            expected = (similarity + 0.75) / 2 * concise(surplus, one["gts"]) ** 2
            assert one["score"] == pytest.approx(expected if worded else 0, abs=1e-4)
            seen += worded
        assert math.isfinite(figures["actor/pg_loss"]) and math.isfinite(figures["actor/grad_norm"])
    assert seen > BATCH


def test_padding_for_dropped_answers_is_no_part_of_the_batchs_rewards(finished):
    run, _ = finished
    bad = steps(run)[2]
    assert bad["medgrpo/answers"] < BATCH * GROUP
    assert bad["medgrpo/reward/mean"] == pytest.approx(bad["critic/score/mean"], abs=1e-6)
