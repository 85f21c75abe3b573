# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Log-probabilities of the same tokens in vLLM and in the trainer's model, for every family, at every frame rate of the
benchmark.

Weights are random, with queries and keys enlarged so that a token's position decides whom it attends to: the usual
small random weights cannot tell one position from another.
"""

import itertools
import os
from inspect import signature
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from data_preprocess.media.token_count import pixel_budget
from recipe.medgrpo import plugin
from recipe.medgrpo.cpu import tiny_model
from recipe.medgrpo.cpu.patches import FLASH_ATTENTION_CPU
from recipe.medgrpo.model_inputs import encode, mrope

pytestmark = pytest.mark.e2e

MEDIA = ("pixel_values", "image_grid_thw", "pixel_values_videos", "video_grid_thw")
FPS = (0.1, 0.25, 0.5, 1, 1.5, 2, 3, 4, 29.97)
TOKENS = 24


#: What sets the size of queries and keys: the newer families normalize them, so their projections do not.
SIZES = dict.fromkeys(tiny_model.TIMES_AS_TEXT, ("q_norm.weight", "k_norm.weight"))


@pytest.fixture(scope="module", params=tiny_model.FAMILIES)
def family(request):
    return request.param


@pytest.fixture(scope="module")
def sharp_model(family, drawn, tmp_path_factory):
    from safetensors.torch import load_file, save_file

    folder = tmp_path_factory.mktemp("sharp") / family
    tiny_model.build(folder, drawn / "train.parquet", family=family)
    weights = load_file(folder / "model.safetensors")
    names = SIZES.get(family, ("q_proj.weight", "k_proj.weight"))
    chosen = [name for name in weights if name.endswith(names)]
    assert len(chosen) == (2 if family == "qwen3_5" else 8)
    for name in chosen:
        # Qwen3.5's norms multiply by one more than their weight.
        one = 1 if family == "qwen3_5" else 0
        weights[name] = (weights[name] + one) * 2.5 - one
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


@pytest.fixture(scope="module")
def messages(family, tmp_path_factory):
    """One clip at every frame rate, an odd clip, a single frame, two clips, an image next to a clip, an image alone."""
    folder, rng = tmp_path_factory.mktemp("frames"), np.random.default_rng(0)
    frames = [str(folder / f"{i}.png") for i in range(8)]
    for path in frames:
        Image.fromarray(rng.integers(0, 255, (112, 112, 3), dtype=np.uint8)).save(path)

    patch = tiny_model.patch_size(family)

    def video(count, fps):
        budget = pixel_budget(patch=patch)
        return {"type": "video", "video": frames[:count], "sample_fps": fps, "raw_fps": fps, **budget}

    token = (2 * patch) ** 2
    image = {"type": "image", "image": frames[0], "min_pixels": 4 * token, "max_pixels": 16 * token}
    text = {"type": "text", "text": "When is the grasper seen?"}
    contents = [[video(8, fps), text] for fps in FPS]
    contents += [[video(5, 0.5), text], [video(1, 1), text]]
    contents += [[video(4, 0.5), text, video(6, 3), text], [image, text, video(8, 0.25), text], [image, text]]
    return [[{"role": "user", "content": content}] for content in contents]


@pytest.fixture(scope="module")
def engine(sharp_model):
    os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
    # What a test asks the model in the engine to do is a function.
    os.environ["VLLM_ALLOW_INSECURE_SERIALIZATION"] = "1"
    plugin.register_vllm()
    from vllm import LLM

    return LLM(
        model=str(sharp_model),
        dtype="float32",
        enforce_eager=True,
        max_model_len=1024,
        # As verl does.
        enable_prefix_caching=True,
        skip_mm_profiling=True,
        limit_mm_per_prompt={"video": 2, "image": 1},
        # An engine's cache stays until this process ends.
        kv_cache_memory_bytes=2**30,
        num_gpu_blocks_override=256,
    )


@pytest.fixture(scope="module")
def sampled(engine, sharp_model, messages):
    from verl.utils import hf_processor

    processor = hf_processor(str(sharp_model))
    return processor, sample(engine, processor, messages)


def sample(engine, processor, messages):
    """Prompts as verl's agent loop sends them to its server, and what vLLM sampled."""
    from verl.workers.rollout.utils import qwen2_5_vl_dedup_image_tokens
    from vllm import SamplingParams

    # verl, too, keeps the policy from sampling placeholders; vLLM reports log-probabilities from before that.
    never = {processor.image_token_id: -100.0, processor.video_token_id: -100.0}
    parameters = SamplingParams(temperature=1.0, max_tokens=TOKENS, logprobs=0, ignore_eos=True, logit_bias=never)
    encoded, prompts = [], []
    for turns in messages:
        images, videos = encode.load_media(turns, processor.image_processor.patch_size)
        inputs = encode.encode(processor, turns, images, videos)
        media = {"image": images, "video": videos}
        prompts.append(
            {
                "prompt_token_ids": qwen2_5_vl_dedup_image_tokens(inputs["input_ids"][0].tolist(), processor),
                "multi_modal_data": {kind: found for kind, found in media.items() if found},
                "mm_processor_kwargs": encode.MM_PROCESSOR_KWARGS,
            }
        )
        encoded.append(inputs)
    outputs = engine.generate(prompts, parameters, use_tqdm=False)
    found = []
    for inputs, output in zip(encoded, outputs, strict=True):
        (answer,) = output.outputs
        assert list(output.prompt_token_ids) == inputs["input_ids"][0].tolist()
        log_probs = [step[token].logprob for step, token in zip(answer.logprobs, answer.token_ids, strict=True)]
        found.append((inputs, list(answer.token_ids), torch.tensor(log_probs)))
    return found


def patched_model(folder, attention, **options):
    """The model as verl's FSDP worker runs it: Hugging Face's classes under verl's own patches."""
    from transformers import AutoModelForImageTextToText
    from verl.models.transformers.monkey_patch import apply_monkey_patch

    model = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32, attn_implementation=attention)
    apply_monkey_patch(model, ulysses_sp_size=1, **options)
    return model.eval()


@pytest.fixture(scope="module")
def trainer(sharp_model):
    """With padding, as where flash-attn is not at hand (``ATTN=sdpa``)."""
    return patched_model(sharp_model, "sdpa", use_remove_padding=False)


@pytest.fixture
def packing_trainer(sharp_model, family, monkeypatch):
    """Without padding, as on GPUs; the class gets its own attention back after the test."""
    from transformers.models.qwen2_5_vl import modeling_qwen2_5_vl
    from transformers.models.qwen2_vl import modeling_qwen2_vl

    for module, name in ((modeling_qwen2_vl, "Qwen2VLAttention"), (modeling_qwen2_5_vl, "Qwen2_5_VLAttention")):
        attention = getattr(module, name)
        monkeypatch.setattr(attention, "forward", attention.forward)
    return patched_model(sharp_model, FLASH_ATTENTION_CPU, use_remove_padding=True)


def positions_of(processor, ids, inputs) -> torch.Tensor:
    """As verl's agent loop computes them for training; shape (4, 1, L)."""
    from verl.experimental.agent_loop.agent_loop import AgentLoopWorker

    worker, media = SimpleNamespace(processor=processor), dict(inputs)
    found = AgentLoopWorker._compute_position_ids(worker, ids, torch.ones_like(ids), media)
    return found.transpose(0, 1)


def counted(processor, ids, inputs) -> torch.Tensor:
    """Positions of a text of this length; shape (4, 1, L)."""
    return torch.arange(ids.shape[1]).expand(4, 1, -1)


@torch.no_grad()
def log_probs_of(model, processor, inputs, answer, positions=positions_of) -> torch.Tensor:
    ids = torch.cat([inputs["input_ids"], torch.tensor([answer])], dim=1)
    media = {key: inputs[key] for key in MEDIA if key in inputs}
    places = positions(processor, ids, inputs)
    mask = torch.ones_like(ids)
    logits = model(input_ids=ids, attention_mask=mask, position_ids=places, use_cache=False, **media).logits[0]
    steps = logits[-len(answer) - 1 : -1].log_softmax(-1)
    return steps.gather(1, torch.tensor(answer)[:, None])[:, 0]


@torch.no_grad()
def packed_differences(model, processor, found, restarted=True, ends=True) -> list[float]:
    """Like ``differences``, with all prompts and answers in one row, as verl's engine packs them."""
    rows, places, end = [], [], 0
    for inputs, answer, _ in found:
        rows.append(torch.cat([inputs["input_ids"], torch.tensor([answer])], dim=1))
        places.append(positions_of(processor, rows[-1], inputs).clone())
        if not restarted:
            places[-1][0] += end
        end += rows[-1].shape[1]
    media = {key: torch.cat([inputs[key] for inputs, _, _ in found if key in inputs]) for key in MEDIA}
    options = {"use_cache": False}
    if ends and "cu_seqlens" in signature(model.forward).parameters:
        # Layers without positions are told where a sequence ends.
        options["cu_seqlens"] = torch.tensor([0, *itertools.accumulate(row.shape[1] for row in rows)])
    ids, places = torch.cat(rows, dim=1), torch.cat(places, dim=-1)
    logits = model(input_ids=ids, attention_mask=None, position_ids=places, **options, **media).logits[0]
    worst, end = [], 0
    for row, (_, answer, rolled) in zip(rows, found, strict=True):
        end += row.shape[1]
        steps = logits[end - len(answer) - 1 : end - 1].log_softmax(-1)
        worst.append((steps.gather(1, torch.tensor(answer)[:, None])[:, 0] - rolled).abs().max().item())
    return worst


def differences(model, processor, found, **options) -> list[float]:
    """Largest difference of a token's log-probability, for each prompt."""
    return [
        (log_probs_of(model, processor, inputs, answer, **options) - rolled).abs().max().item()
        for inputs, answer, rolled in found
    ]


def test_rollout_and_trainer_agree_everywhere(sampled, trainer):
    processor, found = sampled
    worst = differences(trainer, processor, found)
    assert max(worst) < 1e-3, worst


def test_rollout_and_packed_trainer_agree_everywhere(sampled, packing_trainer):
    processor, found = sampled
    worst = packed_differences(packing_trainer, processor, found)
    assert max(worst) < 1e-3, worst


def test_the_comparison_sees_where_a_packed_sequence_begins(sampled, packing_trainer):
    processor, found = sampled
    worst = packed_differences(packing_trainer, processor, found, restarted=False)
    # The first is alone in its past; the others see what stands before them.
    assert min(worst[1:]) > 0.02, worst


@pytest.mark.parametrize("family", ["qwen3_5"], indirect=True)
def test_the_comparison_sees_where_a_delta_net_begins(sampled, packing_trainer):
    processor, found = sampled
    worst = packed_differences(packing_trainer, processor, found, ends=False)
    assert min(worst[1:]) > 0.02, worst


@pytest.mark.parametrize("family", ["qwen3_5"], indirect=True)
def test_the_comparison_sees_what_a_delta_net_remembers(sampled, trainer, monkeypatch):
    processor, found = sampled
    for layer in trainer.model.language_model.layers[:3]:
        monkeypatch.setattr(layer.linear_attn.dt_bias, "data", torch.full((2,), 4.0))
    smallest = differences(trainer, processor, found)
    assert min(smallest) > 0.02, smallest


def test_the_comparison_sees_positions(sampled, trainer):
    processor, found = sampled
    smallest = differences(trainer, processor, found, positions=counted)
    assert min(smallest) > 0.02, smallest


@pytest.mark.parametrize("family", ["qwen3_vl"], indirect=True)
def test_the_comparison_sees_deepstack(sampled, trainer, monkeypatch):
    """The features of the vision tower's inner layers, which both sides add to the language model's."""
    processor, found = sampled
    monkeypatch.setattr(trainer.model.visual, "deepstack_visual_indexes", [])
    smallest = differences(trainer, processor, found)
    assert min(smallest) > 0.02, smallest


def test_stock_positions(sampled, trainer, sharp_model, family):
    """verl 0.9.1 as it is, its own binding called without the clip's time step, is wrong for Qwen2.5-VL alone."""
    from verl.utils import hf_processor

    stock = hf_processor.__wrapped__(str(sharp_model))
    assert getattr(stock.get_rope_index, "func", None) is not mrope.get_rope_index
    _, found = sampled
    measured = differences(trainer, stock, found[: len(FPS)])
    assert min(measured) > 0.02 if family == "qwen2_5_vl" else max(measured) < 1e-3, measured


@torch.no_grad()
def test_new_weights_reach_every_layer(engine, sampled, sharp_model, messages):
    """As after a step of RL: every weight of the running engine is replaced, delta nets' and vision's too."""
    model, generator = patched_model(sharp_model, "sdpa", use_remove_padding=False), torch.Generator().manual_seed(1)
    parameters = dict(model.named_parameters())
    old = {name: parameter.clone() for name, parameter in parameters.items()}
    new = {name: value + 0.03 * torch.randn(value.shape, generator=generator) for name, value in old.items()}
    engine.apply_model(lambda served: served.load_weights(iter(new.items())) and None)
    # As verl does: what was computed with the old weights must go, features of the clips too.
    engine.reset_prefix_cache()
    engine.llm_engine.reset_encoder_cache()
    processor, _ = sampled
    found = sample(engine, processor, messages[-2:-1])

    def difference_but_for(kind: str | None) -> float:
        for name, parameter in parameters.items():
            parameter.copy_(old[name] if kind and name.endswith(kind) else new[name])
        return differences(model, processor, found)[0]

    assert difference_but_for(None) < 1e-3
    kinds = {name.rpartition(".layers.")[2].partition(".")[2] for name in old if ".layers." in name}
    stale = {kind: difference_but_for(kind) for kind in kinds}
    # A kind of weight that kept its old values would be noticed.
    assert min(stale.values()) > 5e-3, stale
