# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""The sampler on a real TransferQueue, with the configuration as it is composed; running normalization through Ray."""

import asyncio
import json
import logging
import math
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
import ray
import transfer_queue as tq
from omegaconf import open_dict
from PIL import Image
from real_queue import build, configuration, put, train_partition

import reward_score
from data_preprocess.media.frames import FrameError
from recipe.medgrpo.common import run_log
from recipe.medgrpo.common.run_folder import read_jsonl
from recipe.medgrpo.trainer import judge_limiter
from recipe.medgrpo.trainer.dataset import MedGRPODataset
from recipe.medgrpo.trainer.ema_normalizer import (
    Checkpoints,
    NormalizerCheckpoint,
    NormalizerFollower,
    RunningNormalizer,
)
from recipe.medgrpo.trainer.lost_media import MediaLost
from recipe.medgrpo.trainer.sampler import SamplerError, WorkerLost
from recipe.medgrpo.trainer.step_metrics import CollapseError, ScoredAnswer
from reward_score.errors import NormalizationError

pytestmark = pytest.mark.usefixtures("elsewhere")


@pytest.fixture(scope="module")
def artifact(tmp_path_factory):
    observed = {("CoPESD", "tag", "raw"): [0.01 * step for step in range(100)]}
    provenance = reward_score.Provenance(model="m", split="train", decoding="greedy")
    path = tmp_path_factory.mktemp("artifact") / "normalization.json"
    return reward_score.Artifact.from_observations(observed, provenance).save(path)


REWARD = ("medgrpo.reward.normalization=none", "medgrpo.reward.artifact=null")


@pytest.fixture(params=["sync", "colocate_async"])
def plain(request, tmp_path):
    """What is dropped, counted and stopped is the same in both modes."""
    mode = f"trainer.v1.trainer_mode={request.param}"
    return configuration(*REWARD, mode, f"trainer.default_local_dir='{tmp_path}'")


def test_filter_groups_and_intervals_arrive(plain):
    assert build(plain).filter_groups_metric is None
    plain.algorithm.filter_groups.enable = True
    plain.algorithm.filter_groups.metric = None
    with pytest.raises(SamplerError, match="filter_groups.metric must be set"):
        build(plain)
    plain.algorithm.filter_groups.metric = "reward"
    sampler = build(plain)
    assert (sampler.filter_groups_metric, sampler.gen_batch_size, sampler.train_batch_size) == ("reward", 1, 48)
    assert sampler.poll_interval == 0.2


def test_other_trainer_modes_and_unknown_options_are_refused(plain):
    plain.trainer.v1.trainer_mode = "separate_async"
    with pytest.raises(SamplerError, match="trainer.v1.trainer_mode=sync or colocate_async"):
        build(plain)
    plain.trainer.v1.trainer_mode = "sync"
    with open_dict(plain):
        plain.trainer.v1.sampler.sampler_kwargs.unheard_of = 1
    with pytest.raises(SamplerError, match="unheard_of"):
        build(plain)


@pytest.fixture(scope="module")
def transfer_queue(local_ray):
    """The TransferQueue of the CPU configuration."""
    tq.init(configuration("medgrpo.reward.artifact=null").transfer_queue)
    yield
    tq.close()


@pytest.fixture
def queue(transfer_queue):
    """The queue, emptied after the test."""
    yield
    if keys := list(train_partition()):
        tq.kv_clear(keys=keys, partition_id="train")


def test_groups_that_cannot_be_compared_are_left_out(queue, plain):
    put("a", [0.1, 0.2, 0.3], "finished")
    put("b", [0.5], "failure")
    put("c", [0.4, 0.4], "failure")
    put("d", [], "failure")
    sampler = build(plain)
    sampler.submitted(["a", "b", "c", "d"], ["medvidbench/CoPESD/tag"] * 3 + ["medvidbench/EgoSurgery/rc"])
    batch, metrics = sampler.sample(1, "train", 4)
    assert sorted(batch.keys) == sorted(tq.kv_list()["train"]) == ["a_0_0", "a_1_0", "a_2_0", "c_0_0", "c_1_0"]
    assert [tag["response_len"] for tag in batch.tags] == [4 + int(key.split("_")[1]) for key in batch.keys]
    # b, of which one answer is left, and d, of which none is.
    assert metrics["medgrpo/dropped_groups"] == 2 and metrics["medgrpo/dropped_trajectories"] == 7
    assert metrics["medgrpo/CoPESD/tag/dropped_trajectories"] == 4
    assert metrics["medgrpo/EgoSurgery/rc/dropped_trajectories"] == 3
    assert not any(key.endswith("judge_failures") for key in metrics), "there is no LLM judge"
    assert metrics["medgrpo/CoPESD/tag/normalized/mean"] == pytest.approx(0.14)
    assert metrics["medgrpo/CoPESD/tag/raw/mean"] == pytest.approx(0.28)
    assert metrics["medgrpo/CoPESD/tag/zero_std_groups"] == 0.5
    assert metrics["medgrpo/sampled_entropy"] == pytest.approx(0.5)
    # Also of the group that is left out: a person who looks for the reason finds it there.
    lines = read_jsonl(Path(plain.trainer.default_local_dir) / "scores/1.jsonl", "the sampler")
    assert [line["uid"] for line in lines] == ["a_0_0", "a_1_0", "a_2_0", "b_0_0", "c_0_0", "c_1_0"]
    assert (lines[0]["index"], lines[0]["data_source"], lines[0]["raw"]) == (7, "medvidbench/CoPESD/tag", 0.1)
    tq.kv_clear(keys=batch.keys, partition_id="train")
    put("e", [0.5], "failure")
    with pytest.raises(SamplerError, match="no prompt of this step has 2 scored answers"):
        build(plain).sample(2, "train", 1)


def read_clip(frames, config):
    """As verl's agent loop reads the media of an answer, in a worker of the job."""
    clip = {"type": "video", "video": [str(frame) for frame in frames], "sample_fps": 1.0}
    messages = [{"role": "user", "content": [clip]}]
    return asyncio.run(MedGRPODataset.process_multi_modal_info(messages, 14, config.data))


def alarms(folder):
    return [json.loads(line) for line in (folder / run_log.ALARMS).read_text().splitlines()]


def test_frames_that_vanish_stop_the_run_at_once(queue, plain, tmp_path, capfd):
    frames = [tmp_path / f"{i}.jpg" for i in range(2)]
    for frame in frames:
        Image.new("RGB", (56, 56)).save(frame)
    sampler = build(plain)
    read_clip(frames, plain)
    frames[1].unlink()
    with pytest.raises(FrameError):
        read_clip(frames, plain)
    # Of the two prompts of the step one has not even begun: the run does not wait for it.
    put("a", [0.1, 0.2], "failure")
    put("b", [], "pending")
    with pytest.raises(MediaLost, match=f"step 1: {frames[1]} cannot be read.*medgrpo.alarm.lost_media"):
        sampler.sample(1, "train", 2)
    [alarm] = alarms(tmp_path)
    assert (alarm["level"], alarm["step"]) == ("error", 1) and str(frames[1]) in alarm["message"]
    assert "the run stops" in capfd.readouterr().err


@ray.remote(num_cpus=0)
class Worker:
    """Has the name that verl gives to an agent loop worker."""

    def lives(self):
        return True


def test_a_worker_that_is_killed_stops_the_run_at_once(queue, plain, tmp_path):
    worker = Worker.options(name="agent_loop_worker_0_5f2a").remote()
    assert ray.get(worker.lives.remote())
    sampler = build(plain)
    put("a", [0.1, 0.2], "failure")
    batch, _ = sampler.sample(1, "train", 1)
    tq.kv_clear(keys=batch.keys, partition_id="train")
    ray.kill(worker)
    # It had this prompt, and nobody will ever answer it; without an end the test would wait as verl does.
    put("b", [], "running")
    end = threading.Timer(60, put, ("b", [0.1, 0.2], "failure"))
    end.start()
    with pytest.raises(WorkerLost, match="step 2: agent_loop_worker_0_5f2a ended .* the last checkpoint"):
        sampler.sample(2, "train", 1)
    end.cancel()
    assert [alarm["level"] for alarm in alarms(tmp_path)] == ["error"]


def test_lost_media_within_the_tolerance_are_counted(queue, plain, tmp_path):
    plain.medgrpo.alarm.lost_media = 0.5
    plain.data.train_batch_size = 1
    sampler = build(plain)
    put("a", [0.1, 0.2], "failure")
    with pytest.raises(FrameError):
        read_clip([tmp_path / "gone.jpg"], plain)
    _, metrics = sampler.sample(1, "train", 1)
    causes = [metrics[f"medgrpo/dropped_{cause}"] for cause in ("media", "judge", "other")]
    assert causes == [1, 0, 0] and metrics["medgrpo/dropped_trajectories"] == 1
    assert "gone.jpg" in alarms(tmp_path)[0]["message"]


def test_warnings_reach_the_log_and_the_runs_folder_whatever_verl_does(queue, plain, tmp_path, capfd):
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)  # as in verl's task runner
    try:
        plain.medgrpo.alarm.action, plain.medgrpo.alarm.steps, plain.medgrpo.alarm.entropy = "warn", 1, [9.0, None]
        put("a", [0.1, 0.2, 0.3], "finished")
        build(plain).sample(7, "train", 1)
    finally:
        root.setLevel(level)
    text = "step 7: entropy 0.500 is below 9.0, for 1 steps in a row"
    assert text in capfd.readouterr().err
    [alarm] = alarms(tmp_path)
    assert alarm["message"].startswith(text) and (alarm["level"], alarm["step"]) == ("warning", 7)


class Refill:
    """What verl's trainer does when its sampler asks for more prompts: new ones, answered at once."""

    def __init__(self, rewards, status="finished"):
        self.rewards, self.status, self.asked = rewards, status, []

    def __call__(self, number):
        for _ in range(number):
            put(f"new{sum(self.asked)}", self.rewards, self.status)
            self.asked.append(1)
        return number


def filter_groups(config, prompts, metric="reward", limit=0):
    groups = config.algorithm.filter_groups
    groups.enable, groups.metric, groups.max_num_gen_batches = True, metric, limit
    config.data.train_batch_size = prompts


@pytest.mark.parametrize("metric", ["reward", "raw"])
def test_a_group_of_equal_rewards_is_replaced_by_fresh_ones(queue, plain, metric):
    filter_groups(plain, 2, metric)
    put("a", [0.5, 0.5, 0.5], "finished")
    put("b", [0.1, 0.2, 0.3], "finished")
    refill = Refill([0.4, 0.4, 0.9])
    batch, metrics = build(plain, refill).sample(1, "train", 2)
    assert metrics["training/filter_groups/evicted_samples"] == 1
    # In synchronous training verl asks for two in place of one, and discards what a batch does not need.
    synchronous = plain.trainer.v1.trainer_mode == "sync"
    assert len(refill.asked) == (2 if synchronous else 1)
    assert metrics.get("training/filter_groups/discarded_surplus_samples") == (1 if synchronous else None)
    uids = {key.split("_")[0] for key in batch.keys}
    assert len(batch.keys) == 6 and len(uids) == 2 and uids <= {"b", "new0", "new1"}
    assert sorted(train_partition()) == sorted(batch.keys)
    assert metrics["medgrpo/zero_std_groups"] == 0 == metrics["medgrpo/dropped_groups"]


@pytest.mark.parametrize("answered", [True, False])
def test_a_step_in_which_nobody_is_scored_is_replaced_if_so_wished(queue, plain, answered):
    plain.data.train_batch_size = 2
    for uid in "ab":
        put(uid, [], "failure")
    with pytest.raises(RuntimeError, match="sync_refill_failed_groups"):
        build(plain).sample(1, "train", 2)
    for uid in set("ab") - train_partition().keys():
        put(uid, [], "failure")
    plain.trainer.v1.sampler.sync_refill_failed_groups = True
    refill = Refill([0.1, 0.2, 0.3]) if answered else Refill([], "failure")
    if answered:
        batch, metrics = build(plain, refill).sample(1, "train", 2)
        assert len(refill.asked) == 2 and len(batch.keys) == 6 and metrics["medgrpo/dropped_groups"] == 0
    else:
        with pytest.raises(SamplerError, match="8 prompts of this step have no scored answer"):
            build(plain, refill).sample(1, "train", 2)
        assert len(refill.asked) == 6


@pytest.mark.parametrize("limit, batches", [(0, 10), (2, 2)])
def test_filtering_ends_where_all_answers_are_alike(queue, plain, limit, batches):
    filter_groups(plain, 2, limit=limit)
    for uid in "ab":
        put(uid, [0.5, 0.5, 0.5], "finished")
    refill = Refill([0.5, 0.5, 0.5])
    with pytest.raises(CollapseError, match=f"{2 * batches} prompts were thrown away.*0 of 2 are left"):
        build(plain, refill).sample(1, "train", 2)
    assert len(refill.asked) == 2 * (batches - 1)


def test_a_batch_that_was_found_is_taken_whatever_was_thrown_away(queue, plain):
    filter_groups(plain, 1, limit=1)
    put("a", [0.5, 0.5, 0.5], "finished")
    put("b", [0.1, 0.2, 0.3], "finished")
    batch, _ = build(plain).sample(1, "train", 1)
    assert {key.split("_")[0] for key in batch.keys} == {"b"}


def test_the_sampler_owns_the_judges_limiter_and_stops_the_run_without_it(queue, tmp_path):
    reward = ["medgrpo.reward.normalization=none", "medgrpo.reward.artifact=null"]
    sampler = build(configuration("judge=openai", *reward, f"trainer.default_local_dir='{tmp_path}'"))
    assert ray.get_actor(judge_limiter._name()) == sampler.judge
    put("a", [0.1, 0.2, 0.3], "finished")
    sampler.submitted(["a"], ["medvidbench/CoPESD/rc"])
    for uid in ("a", "a", "of_validation"):
        ray.get(sampler.judge.fail.remote(uid))
    batch, metrics = sampler.sample(1, "train", 1)
    assert metrics["judge/asked"] == 0 and metrics["medgrpo/CoPESD/rc/judge_failures"] == 2
    assert judge_limiter.failed_by_group(sampler.judge) == {}
    tq.kv_clear(keys=batch.keys, partition_id="train")
    ray.kill(sampler.judge)
    put("b", [0.1, 0.2, 0.3], "finished")
    with pytest.raises(judge_limiter.JudgeAborted, match="limiter does not answer"):
        sampler.sample(2, "train", 1)


def test_an_asynchronous_step_leaves_prompts_to_the_next_and_their_figures_with_them(queue, tmp_path):
    options = "judge=openai", "trainer.v1.trainer_mode=colocate_async", f"trainer.default_local_dir='{tmp_path}'"
    sampler = build(configuration(*REWARD, *options))
    sampler.submitted("abc", ["medvidbench/CoPESD/rc", "medvidbench/CoPESD/rc", "medvidbench/AVOS/vs"])
    put("a", [0.1, 0.2, 0.3], "finished")
    # verl itself would replace it for the one answer that failed.
    put("b", [0.4, 0.5], "failure")
    put("c", [], "running")
    for uid in "bcc":
        ray.get(sampler.judge.fail.remote(uid))
    batch, first = sampler.sample(1, "train", 2)
    assert {key.split("_")[0] for key in batch.keys} == {"a", "b"} and "c" in train_partition()
    assert first["medgrpo/dropped_trajectories"] == 1 == first["medgrpo/dropped_judge"]
    assert first["medgrpo/CoPESD/rc/judge_failures"] == 1 and "medgrpo/AVOS/vs/judge_failures" not in first
    tq.kv_clear(keys=batch.keys, partition_id="train")
    put("c", [0.4], "failure", data_source="medvidbench/AVOS/vs")
    # It came back with a checkpoint: nobody has told this sampler of it.
    put("d", [0.1, 0.9], "failure", step=2, data_source="medvidbench/AVOS/rc")
    put("e", [], "failure", step=2, data_source="medvidbench/NurViD/rc")
    batch, second = sampler.sample(2, "train", 3)
    assert batch.keys == ["d_0_0", "d_1_0"] and second["medgrpo/dropped_groups"] == 2
    assert second["medgrpo/AVOS/vs/judge_failures"] == 2 == second["medgrpo/dropped_judge"]
    assert second["medgrpo/AVOS/vs/dropped_trajectories"] == 3 == second["medgrpo/NurViD/rc/dropped_trajectories"]
    assert sampler._data_sources == {} == sampler._judge_failures


@pytest.mark.parametrize("status", ["finished", "failure"])
def test_answers_by_weights_that_are_too_old_are_replaced(queue, tmp_path, status):
    options = "trainer.v1.trainer_mode=colocate_async", "trainer.v1.sampler.max_off_policy_threshold=2"
    put("old", [0.1, 0.2], status)
    put("b", [0.1, 0.2, 0.3], "finished", step=2)
    refill = lambda number: put("new", [0.4, 0.5, 0.6], "finished", step=3)  # noqa: E731
    sampler = build(configuration(*REWARD, *options, f"trainer.default_local_dir='{tmp_path}'"), refill)
    sampler.submitted(["old", "b", "new"], ["medvidbench/CoPESD/tag"] * 3)
    batch, metrics = sampler.sample(3, "train", 2)
    assert {key.split("_")[0] for key in batch.keys} == {"b", "new"}
    assert metrics["training/off_policy/evicted_samples"] == 1


def test_reward_workers_follow_the_running_statistics(transfer_queue, artifact, tmp_path):
    reward = reward_score.ScoreConfig(artifact=str(artifact), normalization="ema")
    checkpoints = Checkpoints(folder=tmp_path, resume_mode="auto", resume_from_path=None)
    sampler = RunningNormalizer.start(reward, checkpoints)
    worker = reward_score.Normalizer(reward_score.Artifact.load(artifact), "ema")
    follower = NormalizerFollower(worker)
    pair = (0.9, "CoPESD", "tag", "raw")

    def seen_at(step):
        asyncio.run(follower.follow(step))
        return worker(*pair)

    before = seen_at(1)
    score = {"rule": 0.9, "similarity": math.nan, "judge": math.nan}
    sampler.observe(1, [ScoredAnswer("a", "medvidbench/CoPESD/tag", score, 4, 1.0)])
    assert seen_at(1) == before, "all answers of a step are normalized alike"
    assert before > seen_at(2) == sampler.normalizer(*pair) > 0.5
    folder = tmp_path / "global_step_1"
    trainer = SimpleNamespace(replay_buffer=SimpleNamespace(normalizer=sampler))
    folder.mkdir()
    (tmp_path / "latest_checkpointed_iteration.txt").write_text("1")
    # Killed before verl called back, and after.
    for _ in range(2):
        resumed = RunningNormalizer.start(reward, checkpoints)
        assert resumed.normalizer.state_dict() == sampler.normalizer.state_dict()
        NormalizerCheckpoint().on_save(trainer, 1, str(folder))
        (tmp_path / "normalizer.last_step.json").unlink(missing_ok=True)


def test_ema_state_is_in_the_checkpoint_and_needed_on_resume(artifact, tmp_path):
    reward = reward_score.ScoreConfig(artifact=str(artifact), normalization="logistic")
    ema = reward.model_copy(update={"normalization": "ema"})
    checkpoints = Checkpoints(folder=tmp_path, resume_mode="auto", resume_from_path=None)
    kept = RunningNormalizer.start(reward, checkpoints)
    folder = tmp_path / "global_step_3"
    folder.mkdir()
    (tmp_path / "latest_checkpointed_iteration.txt").write_text("3")
    with pytest.raises(NormalizationError, match="global_step_3 has no normalizer.json"):
        RunningNormalizer.start(ema, checkpoints)
    (folder / "normalizer.json").write_text(json.dumps(kept.normalizer.state_dict()))
    RunningNormalizer.start(reward, checkpoints)
    with pytest.raises(NormalizationError, match="method 'logistic', now 'ema'"):
        RunningNormalizer.start(ema, checkpoints)
