# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""The router next to verl's own balancer, under one traffic; and as verl makes it of ``rollout.router_config_path``."""

import asyncio
import random

import pyarrow.parquet as pq
import pytest
import ray
from configuration import composed
from rollout_traffic import Prompt, prompts, router, send, stock
from verl.trainer.constants_ppo import get_ppo_ray_runtime_env
from verl.utils import hf_processor
from verl.workers.config import RolloutConfig
from verl.workers.rollout.llm_server import LLMServerClient, LLMServerManager
from verl.workers.rollout.router import get_router_handle

from recipe.medgrpo.model_inputs import encode

REPLICAS, GROUP = 8, 8
#: Of two real replicas.
SMALL = 4


def test_a_prompt_has_one_replica_and_the_load_is_even():
    step = prompts(48, GROUP, seed=0)
    ours, theirs = send(router(REPLICAS, GROUP), step), send(stock(REPLICAS), step)
    assert ours.replicas_per_group == 1 and theirs.replicas_per_group > 5
    assert theirs.prompt_tokens.total() > 5 * ours.prompt_tokens.total()
    assert ours.max_over_mean(ours.peaks) < 1.3
    # Long and short prompts are shared as evenly as their number.
    assert ours.max_over_mean(ours.prompt_tokens) < 1.25


def test_a_replica_with_more_to_do_than_the_mean_gets_no_group():
    """Groups that end at once next to groups that never end, coming and going for long."""
    draw, time, step = random.Random(0), 0.0, []
    for index in range(150):
        time += draw.uniform(0, 4)
        step.append(Prompt([index], time, [draw.choice((1, 1, 1, 2000))] * GROUP))
    seen = send(router(REPLICAS, GROUP), step)
    assert seen.replicas_per_group == 1
    for before, after in zip(seen.in_flight, seen.in_flight[1:], strict=False):
        [server] = [name for name in seen.servers if after[name] > before[name]] or [None]
        if server is not None:
            # Others may have sent less than half a group so far.
            assert after[server] <= sum(after.values()) / REPLICAS + 2 * GROUP


def test_rows_with_the_same_tokens_are_several_groups():
    """One question about many pictures of one size must not end up on one replica."""
    step = [Prompt([7] * 200, ready, [50] * GROUP) for ready in range(0, 64, 2)]
    seen = send(router(REPLICAS, GROUP), step)
    assert seen.replicas_per_group == 1 and set(seen.peaks.values()) == {4 * GROUP}


def test_groups_whose_answers_come_mixed_are_spread_evenly():
    seen = send(router(REPLICAS, GROUP), [Prompt([index], 0.0, [50] * GROUP) for index in range(2 * REPLICAS)])
    assert seen.replicas_per_group == 1 and set(seen.peaks.values()) == {2 * GROUP}


def test_nothing_is_remembered_of_a_step(monkeypatch):
    monkeypatch.setattr("recipe.medgrpo.trainer.router.DEFAULT_ROUTING_CACHE_SIZE", 40)
    made = router(REPLICAS, GROUP)

    def ask(prompt, answers):
        return [made.acquire_server(f"{prompt} {i}", [prompt])[0] for i in range(answers)]

    for prompt in range(30):
        assert len(set(ask(prompt, GROUP))) == 1
    assert not made._groups and made._coming.total() == 0
    # Validation: one answer to each of more prompts than are kept.
    servers = [server for prompt in range(100, 300) for server in ask(prompt, 1)]
    assert len(made._groups) == 40 and made._coming.total() == 40 * (GROUP - 1)
    assert max(map(servers.count, servers)) <= 1.1 * len(servers) / REPLICAS
    for server, requests in made.get_status()["servers"].items():
        for _ in range(requests):
            made.release_server(server)
    ask(1000, 1)
    assert len(made._groups) == 1 and made._coming.total() == GROUP - 1


def test_a_resumed_answer_stays_and_a_removed_replica_gets_none():
    made = router(2, 4)
    home, _ = made.acquire_server("one", [1, 2])
    made.release_server(home)
    # By its prompt alone it would go to the other replica now.
    made.acquire_server("two", [3]), made.acquire_server("three", [4])
    assert made.acquire_server("one", [1, 2, 5, 6])[0] == home
    made.remove_servers([home])
    [other] = made.get_all_servers()
    assert [made.acquire_server(name, [1, 2])[0] for name in ("one", "four", "five")] == [other] * 3
    made.remove_servers(made.get_all_servers())
    with pytest.raises(RuntimeError, match="No available servers"):
        made.acquire_server("six", [1, 2])


@ray.remote
class Replica:
    """Has a replica's configuration, and answers nothing."""

    def get_rollout_config(self) -> RolloutConfig:
        return RolloutConfig(name="vllm", n=3)


def test_verl_makes_it_of_the_configuration(local_ray):
    """As verl's LLMServerManager and LLMServerClient do."""
    overrides = "data.train_files=t", "data.val_files=v", "actor_rollout_ref.model.path=m", "medgrpo.reward.artifact=a"
    path = composed(*overrides).actor_rollout_ref.rollout.router_config_path
    actor = get_router_handle({name: Replica.options(num_cpus=0).remote() for name in "ab"}, router_config_path=path)
    fields = ray.get([actor.require_acquire_fields.remote(), actor.require_release_fields.remote()])
    assert fields == [["prompt_ids"], []]
    asked = [actor.acquire_server.remote(request_id=str(i), prompt_ids=[i // 6]) for i in range(12)]
    homes = [server for server, _ in ray.get(asked)]
    # Groups of three, two of each prompt.
    assert [len(set(homes[at : at + 3])) for at in (0, 3, 6, 9)] == [1] * 4 and sorted(homes) == ["a"] * 6 + ["b"] * 6


@pytest.mark.e2e
def test_two_vllm_replicas_process_a_prompt_once(drawn, tiny_model, request):
    """Answers that found their prompt in their replica's prefix cache: all but a group's first, instead of half."""
    rollout = "actor_rollout_ref.rollout"
    config = composed(
        *("platform=cpu", f"data.train_files='{drawn}/train.parquet'", "data.val_files=v", "medgrpo.reward.artifact=a"),
        *(f"actor_rollout_ref.model.path='{tiny_model}'", f"{rollout}.n={SMALL}", f"{rollout}.load_format=safetensors"),
        *(f"{rollout}.nnodes=1", f"{rollout}.n_gpus_per_node=2", f"{rollout}.max_model_len=1024"),
    )
    options = {"num_cpus": 8, "num_gpus": 2, "include_dashboard": False}
    ray.shutdown()
    ray.init(**options, runtime_env=get_ppo_ray_runtime_env(config))
    request.addfinalizer(ray.shutdown)
    manager, processor = LLMServerManager.create(config), hf_processor(str(tiny_model))

    async def ask(client: LLMServerClient, row: dict, filler: int) -> tuple:
        turns = encode.with_media(row["prompt"], row)
        images, videos = encode.load_media(turns, 14)
        ids = encode.encode(processor, turns, images, videos)["input_ids"][0].tolist()
        # The cache keeps whole blocks, of 128 tokens on a CPU.
        words = processor.tokenizer.encode(row["extra_info"]["question"])
        output = await client.generate(
            f"{client} {filler} {row['extra_info']['index']} {random.random()}",
            prompt_ids=(words * 512)[filler : 512 + filler] + ids,
            sampling_params={"temperature": 0, "max_tokens": 8},
            video_data=videos,
            mm_processor_kwargs=encode.MM_PROCESSOR_KWARGS,
        )
        return output.token_ids, output.extra_fields["num_cached_tokens"] > 0

    async def step(client: LLMServerClient, filler: int) -> list[tuple]:
        return await asyncio.gather(*(ask(client, row, filler) for row in rows for _ in range(SMALL)))

    rows = [row for row in pq.read_table(drawn / "train.parquet").to_pylist() if row["videos"]][:6]
    servers = dict(zip(manager.server_addresses, manager.server_handles, strict=True))
    clients = manager.get_client(), LLMServerClient(config, get_router_handle(servers))
    ours, theirs = (asyncio.run(step(client, filler)) for filler, client in enumerate(clients))
    assert sum(found for _, found in ours) == len(rows) * (SMALL - 1)
    assert sum(found for _, found in theirs) <= len(rows) * (SMALL - 2) + 2
    for at in range(0, len(ours), SMALL):
        assert len({tuple(tokens) for tokens, _ in ours[at : at + SMALL]}) == 1
