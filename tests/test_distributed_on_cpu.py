# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""The same two steps on one rank, on two FSDP ranks of one node, on one rank on each of two Ray nodes, and with pixels
in TransferQueue.

Answers are greedy and advantages are taken over the whole batch, so that every run must answer, score and update alike:
what differs is the number of processes that share the work. Two ranks have one vLLM replica, split over them by tensor
parallelism, and share each sequence (sequence parallelism); two nodes share the batch.
"""

import pytest
from queue_bytes import counted, counting
from small_run import BATCH, GROUP, STEPS, command, train

pytestmark = pytest.mark.e2e

#: Of these machines' 24 GiB; Ray stops workers at 95%.
MEMORY_GIB = 22

TWO_RANKS = (
    "actor_rollout_ref.actor.fsdp_config.ulysses_sequence_parallel_size=2",
    "actor_rollout_ref.rollout.tensor_model_parallel_size=2",
    "actor_rollout_ref.rollout.engine_kwargs.vllm.distributed_executor_backend=mp",
)


@pytest.fixture(scope="module")
def one_rank(drawn, tiny_model, tmp_path_factory) -> dict:
    run = tmp_path_factory.mktemp("one_rank")
    file = run / "queue_bytes.txt"
    return train(run, command(drawn, tiny_model, run), **counting(file)) | counted(file)


@pytest.fixture(scope="module")
def pixels_sent(drawn, tiny_model, tmp_path_factory) -> dict:
    """Without a cache that knows what they are made of, pixels go through TransferQueue as in stock verl."""
    run = tmp_path_factory.mktemp("pixels_sent")
    file = run / "queue_bytes.txt"
    arguments = command(drawn, tiny_model, run, "data.media.memory_gb=0")
    return train(run, arguments, **counting(file)) | counted(file)


@pytest.fixture(scope="module")
def two_ranks(drawn, tiny_model, tmp_path_factory) -> dict:
    run = tmp_path_factory.mktemp("two_ranks")
    overrides = ("trainer.n_gpus_per_node=2", "ray_kwargs.ray_init.num_gpus=2", *TWO_RANKS)
    return train(run, command(drawn, tiny_model, run, *overrides))


@pytest.fixture(scope="module")
def two_nodes(request, drawn, tiny_model, tmp_path_factory) -> dict:
    from ray.cluster_utils import Cluster

    run = tmp_path_factory.mktemp("two_nodes")
    # verl asks for three processors of each node at once; its helpers must fit next to them wherever Ray puts them.
    node = {"num_cpus": 8, "num_gpus": 1, "object_store_memory": 200 * 2**20, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=node)
    request.addfinalizer(cluster.shutdown)
    cluster.add_node(**node)
    overrides = (
        "trainer.nnodes=2",
        "trainer.n_gpus_per_node=1",
        # The cluster knows its own resources.
        "ray_kwargs.ray_init.num_cpus=null",
        "ray_kwargs.ray_init.num_gpus=null",
    )
    return train(run, command(drawn, tiny_model, run, *overrides), RAY_ADDRESS=cluster.address)


def check_alike(many: dict, one: dict) -> None:
    assert sorted(many["metrics"]) == sorted(one["metrics"]) == list(range(1, STEPS + 1))
    for step in range(1, STEPS + 1):
        assert len(one["rollouts"][step]) == BATCH * GROUP
        assert [entry[:2] for entry in many["rollouts"][step]] == [entry[:2] for entry in one["rollouts"][step]], step
        scores = [[entry[2] for entry in run["rollouts"][step]] for run in (many, one)]
        assert scores[0] == pytest.approx(scores[1], abs=1e-5), step
        assert len(set(scores[1])) > 1, "nothing to learn from: the comparison would be empty"
        for key in ("actor/pg_loss", "actor/entropy"):
            assert many["metrics"][step][key] == pytest.approx(one["metrics"][step][key], rel=1e-3, abs=1e-5), (
                step,
                key,
            )
        assert many["metrics"][step]["actor/grad_norm"] == pytest.approx(
            one["metrics"][step]["actor/grad_norm"], rel=1e-2
        )
        assert one["metrics"][step]["actor/grad_norm"] > 0
    assert many["gib"] < MEMORY_GIB


def test_two_ranks_are_one_rank(one_rank, two_ranks):
    check_alike(two_ranks, one_rank)


@pytest.mark.slow
def test_two_nodes_are_one_rank(one_rank, two_nodes):
    check_alike(two_nodes, one_rank)


def test_pixels_that_are_made_by_the_trainer_train_alike_and_spare_the_queue(one_rank, pixels_sent):
    check_alike(pixels_sent, one_rank)
    # The order of a batch's answers, and so of sums, is that of their arrival.
    for step in range(1, STEPS + 1):
        norms = [run["metrics"][step]["actor/grad_norm"] for run in (pixels_sent, one_rank)]
        assert norms[0] == pytest.approx(norms[1], rel=1e-5)
    for way in ("put", "got"):
        assert pixels_sent[way] > 8 * one_rank[way] > 0, way
