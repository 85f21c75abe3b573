# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Our reward in verl's own reward loop, by both doors: the registered manager, and the function alone."""

import asyncio
import contextlib
import itertools
import os
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import ray
import torch
from configuration import composed
from judge_server import JudgeServer, status, verdict
from tensordict import TensorDict
from verl import DataProto
from verl.experimental.reward_loop.reward_loop import RewardLoopWorker
from verl.trainer.ppo.core_algos import compute_policy_loss_vanilla
from verl.trainer.ppo.padding_utils import construct_minimal_padding_template
from verl.utils import hf_tokenizer
from verl.workers.config import ActorConfig

import reward_score
from recipe.medgrpo.trainer import judge_limiter
from reward_score.errors import JudgeUnavailable
from reward_score.judge import JudgeConfig, LLMJudge

pytestmark = pytest.mark.usefixtures("elsewhere")

REPOSITORY = Path(__file__).resolve().parents[3]
ROW = {"data_source": "medvidbench/CoPESD/tag", "ground_truth": "2.0-6.0 seconds.", "answer": "3.0-6.0 seconds."}


def configuration(tiny_model, *overrides):
    needed = "data.train_files=t", "data.val_files=v", f"actor_rollout_ref.model.path='{tiny_model}'"
    return composed(*needed, "medgrpo.reward.artifact=null", "medgrpo.reward.normalization=none", *overrides)


def trajectory(tokenizer, data_source, answer, padding=5, end=None, **more):
    """One answered prompt as verl's agent loop hands it to the reward loop; `end` is the text that ends the answer."""
    ids = tokenizer(answer + (tokenizer.eos_token if end is None else end))["input_ids"]
    responses = torch.tensor([ids + [tokenizer.pad_token_id] * padding])
    mask = torch.tensor([[1, 1, 1] + [1] * len(ids) + [0] * padding])
    batch = TensorDict({"responses": responses, "attention_mask": mask}, batch_size=1)
    fields = {
        "data_source": data_source,
        "reward_model": {"style": "rule", "ground_truth": ROW["ground_truth"]},
        "extra_info": {"index": 0, "fps": 1.0, "struc_info": "", "question": "When?"},
        "tool_extra_fields": {},
    }
    columns = {key: np.array([value], dtype=object) for key, value in (fields | more).items()}
    return DataProto(batch=batch, non_tensor_batch=columns)


def run(config, tiny_model, data_source=ROW["data_source"], answer=ROW["answer"], **fields):
    data = trajectory(hf_tokenizer(str(tiny_model)), data_source, answer, **fields)

    async def score():
        return await RewardLoopWorker(config).compute_score(data)

    return asyncio.run(score())


@pytest.mark.parametrize(("end", "cut"), [("", 1), (None, 0), ("<|endoftext|>", 0)])
def test_registered_manager_and_an_answer_without_an_end(tiny_model, end, cut):
    result = run(configuration(tiny_model), tiny_model, end=end)
    assert result["reward_score"] == pytest.approx(0 if cut else 0.75)
    assert result["reward_extra_info"]["cut"] == cut
    assert set(result["reward_extra_info"]) == set(reward_score.SCORE_KEYS)


def test_length_rewards_count_the_answers_own_tokens(tiny_model):
    config = configuration(tiny_model, "medgrpo.reward.reward_tasks=[mcq]", "preset=zhu_ecr", "platform=cpu")
    tokenizer = hf_tokenizer(str(tiny_model))
    answer = "<think>white bone</think><answer>C</answer>"
    fields = {"reward_model": {"style": "rule", "ground_truth": "C"}, "extra_info": {"index": 0}}
    result = run(config, tiny_model, "omnimedvqa/CT/mcq", answer, padding=9, **fields)
    share = len(tokenizer(answer + tokenizer.eos_token)["input_ids"]) / config.data.max_response_length
    assert result["reward_extra_info"]["ecr"] == pytest.approx(share)
    assert result["reward_score"] == pytest.approx(2 + share)


def test_function_alone_in_stock_verl(tiny_model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = configuration(tiny_model, "reward.reward_manager.name=naive")
    config.reward.custom_reward_function.path = str(REPOSITORY / "reward_score/__init__.py")
    assert run(config, tiny_model)["reward_score"] == pytest.approx(0.75)


def test_an_unparsable_answer_is_zero_and_a_row_without_reward_is_an_error(tiny_model):
    config = configuration(tiny_model)
    assert run(config, tiny_model, answer="no idea")["reward_score"] == 0.0
    with pytest.raises(reward_score.RewardError, match="nap"):
        run(config, tiny_model, data_source="medvidbench/CoPESD/nap")


CAPTION = {
    "data_source": "medvidbench/CoPESD/rc",
    "reward_model": {"style": "rule", "ground_truth": "The grasper retracts the gallbladder."},
}


@pytest.fixture
def judged(local_ray, tiny_model, monkeypatch):
    """judged(server, answers, **options) -> result or error of each answer, scored at once by one reward worker."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")

    def run(server, answers, groups=None, overrides=(), address=None, **options):
        # Every judge of a Ray job shares one actor, and every test has its own options.
        forget_judge()
        options = {"cache": "null", "deadline": 2, "request_timeout": 1, "backoff": 0.02, **options}
        if address is None:
            overrides = ["judge=openai", f"medgrpo.reward.judge.base_url={server.url}", *overrides]
        config = configuration(
            tiny_model, *overrides, *(f"++medgrpo.reward.judge.{name}={value}" for name, value in options.items())
        )
        tokenizer = hf_tokenizer(str(tiny_model))
        groups = groups or ["a"] * len(answers)

        async def score():
            worker = RewardLoopWorker(config, address)
            rows = [
                trajectory(tokenizer, answer=answer, uid=group, **CAPTION)
                for answer, group in zip(answers, groups, strict=True)
            ]
            await worker.compute_score(rows[0])
            began = time.monotonic()
            results = await asyncio.gather(*map(worker.compute_score, rows), return_exceptions=True)
            return results, time.monotonic() - began

        return asyncio.run(score())

    return run


def forget_judge():
    """Ray forgets the name a little after the actor."""
    with contextlib.suppress(ValueError):
        for _ in range(100):
            ray.kill(ray.get_actor(judge_limiter._name()))
            time.sleep(0.05)


def step_metrics():
    return judge_limiter.step_metrics(ray.get_actor(judge_limiter._name()))


def captions(number):
    # Words of the drawn world, which is all that the tiny model's tokenizer knows.
    words = ("seconds", "the", "scores", "clip", "image", "is", "in", "of")
    return [" ".join(pair) for pair in itertools.permutations(words, 2)][:number]


def test_as_many_verdicts_are_under_way_as_answers_come_in(judged):
    with JudgeServer(latency=0.4) as server:
        results, _ = judged(server, captions(49))
    assert all(result["reward_extra_info"]["judge"] == 0.75 for result in results)
    assert set(results[0]["reward_extra_info"]) == set(reward_score.SCORE_KEYS)
    # verl's default pool has six threads on two cores.
    assert server.most_in_flight >= 20


def test_one_answer_without_a_verdict_is_an_error_of_its_own(judged):
    async def picky(request):
        text = (await request.json())["messages"][1]["content"]
        return await (status(400) if "clip" in text else verdict(2))(request)

    answers = captions(20)
    groups = ["a"] * 12 + ["b"] * 8
    with JudgeServer(picky) as server:
        results, _ = judged(server, answers, groups)
    failed = Counter(group for group, result in zip(groups, results, strict=True) if isinstance(result, Exception))
    assert set(failed) == {"a", "b"}
    assert judge_limiter.failed_by_group(ray.get_actor(judge_limiter._name())) == failed
    for answer, result in zip(answers, results, strict=True):
        if "clip" in answer:
            assert isinstance(result, JudgeUnavailable)
        else:
            assert result["reward_extra_info"]["judge"] == 0.25
    time.sleep(0.3)  # reports travel on their own
    metrics = step_metrics()
    assert metrics["judge/fail_rate"] > 0 and metrics["judge/tokens"] > 0 and metrics["judge/latency_p99"] > 0
    assert step_metrics()["judge/asked"] == 0


def test_limits_are_the_jobs_not_a_processs(local_ray, monkeypatch):
    """Two worker processes of the job share one limiter."""
    forget_judge()

    @ray.remote(num_cpus=0)
    def ask(options, start):
        judge = LLMJudge(JudgeConfig(**options), judge_limiter.JobLimiter(JudgeConfig(**options)))
        pairs = [reward_score.CaptionPair(f"caption {i}", "a reference") for i in range(start, start + 20)]
        return [verdict.mean for verdict in judge.judge(pairs)], os.getpid()

    with JudgeServer(latency=0.05) as server:
        options = {"base_url": server.url, "cache": None, "concurrency": 3, "price_input": 2.0}
        actor = judge_limiter.start(reward_score.ScoreConfig(judge=options))
        results = ray.get([ask.remote(options, start) for start in (0, 100)])
    assert {process for _, process in results} - {os.getpid()} and len({process for _, process in results}) == 2
    assert all(grades == [4] * 20 for grades, _ in results)
    assert server.most_in_flight <= 3 and len(server.requests) == 40
    time.sleep(0.3)
    metrics = judge_limiter.step_metrics(actor)
    assert metrics["judge/asked"] == 40 and metrics["judge/cost_usd"] == pytest.approx(40 * 400 * 2e-6)


@ray.remote(num_cpus=0)
class Process:
    """A process of the job that needs the limiter, and may die."""

    def limiter(self, options):
        self.kept = judge_limiter.JobLimiter(JudgeConfig(**options))

    def owner(self, options):
        self.kept = judge_limiter.start(reward_score.ScoreConfig(judge=options))
        return [self.kept]

    def condemn(self, message):
        self.kept.condemn(message)


def end(process):
    ray.kill(process)
    with pytest.raises(ray.exceptions.RayActorError):
        for _ in range(600):
            ray.get(process.__ray_ready__.remote(), timeout=60)
            time.sleep(0.1)


def test_the_limiter_outlives_the_reward_worker_that_asks_for_it(local_ray):
    forget_judge()
    actor = judge_limiter.start(reward_score.ScoreConfig(judge={"cache": None}))
    worker = Process.remote()
    ray.get(worker.limiter.remote({"cache": None}))
    ray.get(worker.condemn.remote("no verdict of the served judge"))
    end(worker)
    with pytest.raises(judge_limiter.JudgeAborted, match="no verdict of the served judge"):
        judge_limiter.step_metrics(actor)
    # Nor is it made anew, with a limit of its own.
    asyncio.run(judge_limiter.JobLimiter(JudgeConfig(cache=None)).acquire(1, 30))
    with pytest.raises(judge_limiter.JudgeAborted):
        judge_limiter.step_metrics(actor)


def test_a_coordinator_that_was_killed_is_started_again_with_new_counts(local_ray):
    forget_judge()
    actor = judge_limiter.start(reward_score.ScoreConfig(judge={"cache": None}))
    worker = judge_limiter.JobLimiter(JudgeConfig(cache=None))
    asyncio.run(worker.fail("a group"))
    assert judge_limiter.failed_by_group(actor) == {"a group": 1}
    worker.condemn("only the first process knows this")
    # As the system kills it: Ray starts it again.
    ray.kill(actor, no_restart=False)
    for _ in range(600):
        try:
            if judge_limiter.step_metrics(actor):
                break
        except judge_limiter.JudgeAborted as error:
            assert "only the first" in str(error), "the actor did not return"
        time.sleep(0.1)
    else:
        pytest.fail("no new coordinator")
    asyncio.run(worker.release(asyncio.run(worker.acquire(1, 30))))
    assert judge_limiter.failed_by_group(actor) == {}


def test_a_limiter_that_is_gone_with_its_owner_stops_the_run(local_ray):
    forget_judge()
    owner = Process.remote()
    [actor] = ray.get(owner.owner.remote({"cache": None}))
    assert judge_limiter.step_metrics(actor)["judge/asked"] == 0
    end(owner)
    with pytest.raises(judge_limiter.JudgeAborted, match="limiter does not answer.*nobody is judged"):
        for _ in range(600):  # Ray takes its time to notice
            judge_limiter.step_metrics(actor)
            time.sleep(0.1)


def test_who_no_longer_waits_for_the_jobs_limiter_takes_no_slot_of_it(local_ray):
    forget_judge()
    config = JudgeConfig(cache=None, concurrency=1, request_timeout=300)
    limiter = judge_limiter.JobLimiter(config)

    async def scenario():
        lease = await limiter.acquire(1, 30)
        with pytest.raises((TimeoutError, asyncio.TimeoutError)):
            await asyncio.wait_for(limiter.acquire(1, 200), 1)
        await limiter.release(lease)
        # The first would have it for five minutes.
        await limiter.acquire(1, 60)

    asyncio.run(scenario())


def test_without_an_llm_judge_there_is_nothing_to_report(local_ray):
    assert judge_limiter.step_metrics(judge_limiter.start(reward_score.ScoreConfig(judge="lexical"))) == {}


def local(tiny_model):
    return ["judge=local", f"reward.reward_model.model_path='{tiny_model}'"]


def test_the_model_that_verl_serves_is_asked_by_its_address_and_name(judged, tiny_model):
    with JudgeServer(verdict(3)) as server:
        results, _ = judged(server, captions(3), overrides=local(tiny_model), address=f"127.0.0.1:{server.port}")
    assert [result["reward_extra_info"]["judge"] for result in results] == [0.5] * 3
    assert {request["model"] for request in server.requests} == {str(tiny_model)}


def test_a_served_model_that_does_not_answer_stops_the_run(judged, tiny_model):
    with JudgeServer(status(404)) as server, pytest.raises(JudgeUnavailable):
        judged(server, captions(1), overrides=local(tiny_model), address=f"127.0.0.1:{server.port}")
    with pytest.raises(judge_limiter.JudgeAborted, match="verl serves"):
        step_metrics()


def test_padding_after_a_dropped_trajectory_carries_no_loss():
    """verl tops a batch up with sequences of its own; with them loss and gradient are those of the real ones alone."""
    length = 6
    torch.manual_seed(0)
    source = {"position_ids": torch.zeros(4, 9), "multi_modal_inputs": {"pixel_values_videos": torch.ones(2)}}
    template, tag = construct_minimal_padding_template(source, {"seq_len": 9}, eos_token_id=0)
    assert tag["is_padding"] and template["multi_modal_inputs"] == {}
    assert template["response_mask"].sum() == template["loss_mask"].sum() == template["rm_scores"].sum() == 0

    def loss(padding):
        mask = torch.ones(3, length)
        mask[1, 4:] = 0
        padded = torch.nn.functional.pad(template["response_mask"].float(), (0, length - 1))
        mask = torch.cat([mask, padded.repeat(padding, 1)])
        generator = torch.Generator().manual_seed(1)
        rows = torch.randn(4, 3, length, generator=generator)
        old, new, advantages, _ = torch.cat([rows, 100 * torch.ones(4, padding, length)], dim=1)
        new = new.requires_grad_()
        config = ActorConfig(strategy="fsdp2", rollout_n=1, use_dynamic_bsz=True)
        # What the engine sets for the token mean: the tokens of the whole batch.
        config.global_batch_info.update(dp_size=1, batch_num_tokens=mask.sum())
        value, _ = compute_policy_loss_vanilla(old, new, advantages, mask, "token-mean", config)
        value.backward()
        return value.detach(), new.grad

    (plain, gradient), (padded, padded_gradient) = loss(0), loss(5)
    torch.testing.assert_close(plain, padded)
    torch.testing.assert_close(gradient, padded_gradient[:3])
    assert (padded_gradient[3:] == 0).all() and plain != 0
