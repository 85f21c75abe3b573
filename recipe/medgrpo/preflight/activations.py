# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""What autograd keeps between forward and backward, measured on the real architecture without its weights.

The model is built on torch's meta device, where tensors have shapes and no memory; a hook counts what is saved. With
gradient checkpointing these are the inputs of each layer; the layer that is being recomputed is counted on its own.
"""

from collections.abc import Callable
from functools import partial

import torch

from recipe.medgrpo.preflight.errors import usable

#: The measurement's attention, which keeps what flash-attn keeps. ("flash" in its name would have transformers look
#: for a kernel.)
ATTENTION = "measured_on_meta"


def _attention(module, query, key, value, attention_mask, scaling=None, is_causal=None, **unused):
    """Torch's kernel of the same algorithm, in transformers' form: (1, heads, tokens, width)."""
    repeats = query.shape[1] // key.shape[1]
    key, value = (states.repeat_interleave(repeats, dim=1) for states in (key, value))
    attend = torch.ops.aten._scaled_dot_product_flash_attention
    return attend(query, key, value, 0.0, bool(is_causal), scale=scaling)[0].transpose(1, 2), None


class _DeltaNet(torch.autograd.Function):
    """Keeps what the kernel of flash-linear-attention 0.6.0 keeps: its inputs and, per token and head, 64 numbers."""

    @staticmethod
    def forward(ctx, query, key, value, decay, beta):
        ctx.save_for_backward(query, key, value, decay, beta, value.new_empty(*value.shape[:3], 64))
        return torch.empty_like(value)


def _delta_net(query, key, value, g, beta, **unused):
    return _DeltaNet.apply(query, key, value, g, beta), None


def meta_model(path: str):
    """The vision-language model of a ``config.json``, in bfloat16, without weights.

    Qwen3.5's delta-net layers are measured as with flash-linear-attention, installed or not.
    """
    from transformers import AttentionInterface, AutoConfig, AutoModelForImageTextToText
    from transformers.models.qwen3_5 import modeling_qwen3_5

    # A kernel that asks for a GPU.
    modeling_qwen3_5.FusedRMSNormGated = None
    AttentionInterface.register(ATTENTION, _attention)
    with usable(path), torch.device("meta"):
        config = AutoConfig.from_pretrained(path, attn_implementation=ATTENTION)
        model = AutoModelForImageTextToText.from_config(config, dtype=torch.bfloat16)
    for module in model.modules():
        if isinstance(module, modeling_qwen3_5.Qwen3_5GatedDeltaNet):
            module.chunk_gated_delta_rule, module.causal_conv1d_fn = _delta_net, None
    return model


def saved_bytes(model: torch.nn.Module, forward: Callable[[], torch.Tensor]) -> tuple[torch.Tensor, int]:
    """What ``forward`` returns, and the bytes that its graph keeps in addition to parameters."""
    parameters = {parameter.untyped_storage()._cdata for parameter in model.parameters()}
    seen = {}

    def pack(tensor):
        storage = tensor.untyped_storage()
        if storage._cdata not in parameters:
            # The tensor stays alive with its storage: a freed address may come back as another tensor's.
            seen[storage._cdata] = (storage.nbytes(), tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        result = forward()
    return result, sum(size for size, _ in seen.values())


def gathered_bytes(model) -> int:
    """Bytes of whole weights that FSDP holds at a time, in bfloat16: all outside of layers, and two layers at most."""
    text, tower = model.model.language_model.layers, model.model.visual.blocks
    sizes = [sum(parameter.numel() for parameter in layer.parameters()) for layer in (*text, *tower)]
    total = sum(parameter.numel() for parameter in model.parameters())
    return 2 * (total - sum(sizes) + 2 * max(sizes))


def activation_bytes(model, tokens: int, patches: int, checkpointing: bool = True) -> dict[str, int]:
    """Bytes of one micro-batch of ``tokens`` in the language model, without padding, and ``patches`` in the tower.

    Returns:
        ``language model`` and ``vision tower``: inputs of all layers. ``layer``: the largest layer while it is
        recomputed. ``logits``: one copy in bfloat16.
    """
    model.train().gradient_checkpointing_disable()
    text, tower = model.model.language_model, model.model.visual
    width = text.config.hidden_size
    options = {"dtype": torch.bfloat16, "device": "meta"}
    embeddings = torch.empty(1, tokens, width, requires_grad=True, **options)
    places = torch.zeros(4, 1, tokens, dtype=torch.long, device="meta")
    cos, sin = text.rotary_emb(embeddings, places[1:])

    def run_layer(layer):
        return layer(embeddings, attention_mask=None, position_embeddings=(cos, sin), position_ids=places[0])

    def run_text():
        states = embeddings
        for layer in text.layers:
            states = layer(states, attention_mask=None, position_embeddings=(cos, sin), position_ids=places[0])
            states = states[0] if isinstance(states, tuple) else states
        return text.norm(states)

    def run_block():
        return tower.blocks[0](*block_inputs, position_embeddings=rotary)

    def run_tower():
        states = tower.patch_embed(pixels)
        for block in tower.blocks:
            states = block(states, cu_seqlens=ends, position_embeddings=rotary)
        return tower.merger(states)

    shape = tower.config
    pixels = torch.empty(patches, shape.in_channels * shape.temporal_patch_size * shape.patch_size**2, **options)
    tower_width = tower.blocks[0].norm1.weight.shape[0]
    rotary = tuple(torch.empty(patches, tower_width // shape.num_heads, **options) for _ in range(2))
    # Its values are read, so it is a real tensor.
    ends = torch.tensor([0, patches], dtype=torch.int32)
    block_inputs = (torch.empty(patches, tower_width, requires_grad=True, **options), ends)
    # Qwen3.5's first and last layer are of the two kinds that it has.
    layer = max(saved_bytes(model, partial(run_layer, text.layers[index]))[1] for index in (0, -1))
    _, block = saved_bytes(model, run_block)
    if checkpointing:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    _, language = saved_bytes(model, run_text)
    _, vision = saved_bytes(model, run_tower)
    return {
        "language model": language,
        "vision tower": vision,
        "layer": max(layer, block),
        "logits": 2 * tokens * text.config.vocab_size,
    }
