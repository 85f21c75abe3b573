# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""A small random Qwen2-VL, Qwen2.5-VL, Qwen3-VL or Qwen3.5 with its own tokenizer, for runs without GPU or download.

Real architecture, real processor, real file formats: transformers, verl and vLLM load it like the 7B model. With
``--like`` it has a released model's widths and vocabulary, and only fewer layers: what tries a GPU.
"""

import argparse
import json
from pathlib import Path

import pyarrow.parquet as pq

from data_preprocess.common.atomic_file import whole_file
from recipe.medgrpo.common.outputs import check_new_folder
from recipe.medgrpo.model_inputs.prompt_templates import TEMPLATES

#: Family -> prefix of its classes in transformers.
FAMILIES = {"qwen2_5_vl": "Qwen2_5_VL", "qwen2_vl": "Qwen2VL", "qwen3_vl": "Qwen3VL", "qwen3_5": "Qwen3_5"}
#: Families whose clips have their times written between the frames. They share Qwen3-VL's processor.
TIMES_AS_TEXT = ("qwen3_vl", "qwen3_5")
NAMES = ("endoftext", "im_start", "im_end", "vision_start", "vision_end", "vision_pad", "image_pad", "video_pad")
SPECIAL_TOKENS = tuple(f"<|{name}|>" for name in NAMES)
#: Widths of released models of the family qwen2_5_vl (their config.json): of language model and vision tower.
LIKE = {
    "qwen2.5-vl-7b": (
        {"vocab_size": 152064, "hidden_size": 3584, "intermediate_size": 18944, "num_attention_heads": 28,
         "num_key_value_heads": 4, "max_position_embeddings": 128000, "tie_word_embeddings": False,
         "initializer_range": 0.02,
         "rope_parameters": {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [16, 24, 24]}},
        {"hidden_size": 1280, "intermediate_size": 3420, "num_heads": 16, "out_hidden_size": 3584,
         "initializer_range": 0.02},
    )
}  # fmt: skip
# About 1 / sqrt(width): Qwen's 0.02, meant for wide layers, learns at half the speed here.
INITIALIZER_RANGE = 0.06
# Qwen's turn format; the system turn is left out because its tokens would be a third of a small prompt.
CHAT_TEMPLATE = (
    "{%- for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{%- if message['content'] is string %}{{ message['content'] }}"
    "{%- else %}{%- for part in message['content'] %}"
    "{%- if part['type'] == 'image' %}<|vision_start|><|image_pad|><|vision_end|>"
    "{%- elif part['type'] == 'video' %}<|vision_start|><|video_pad|><|vision_end|>"
    "{%- else %}{{ part['text'] }}{%- endif %}{%- endfor %}{%- endif %}<|im_end|>\n"
    "{%- endfor %}{%- if add_generation_prompt %}<|im_start|>assistant\n{%- endif %}"
)


def build_tokenizer(texts: list[str], vocab_size: int, size: int):
    """A byte-level BPE tokenizer, every digit a token as in Qwen's, with unused tokens up to ``size``."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import Qwen2TokenizerFast

    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=vocab_size, initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    backend.train_from_iterator(texts, trainer)
    if fill := max(0, size - len(SPECIAL_TOKENS) - backend.get_vocab_size()):
        model = json.loads(backend.to_str())["model"]
        vocab = model["vocab"] | {f"<unused {n}>": len(model["vocab"]) + n for n in range(fill)}
        backend.model = models.BPE(vocab=vocab, merges=[tuple(merge) for merge in model["merges"]])
    backend.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL_TOKENS])
    names = {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"}
    return Qwen2TokenizerFast(tokenizer_object=backend, model_max_length=32768, chat_template=CHAT_TEMPLATE, **names)


def patch_size(family: str) -> int:
    """Side of a patch, in pixels; data_preprocess must be told (``--patch``)."""
    return 16 if family in TIMES_AS_TEXT else 14


def _vision_config(family: str, hidden_size: int) -> dict:
    common = {"depth": 2, "num_heads": hidden_size // 64, "patch_size": patch_size(family), "spatial_merge_size": 2}
    common |= {"temporal_patch_size": 2, "initializer_range": INITIALIZER_RANGE}
    if family == "qwen2_vl":
        # Here `hidden_size` is the width of the language model, to which the tower's own is mapped.
        return common | {"embed_dim": hidden_size, "hidden_size": hidden_size, "mlp_ratio": 2}
    common |= {"hidden_size": hidden_size, "intermediate_size": 2 * hidden_size, "out_hidden_size": hidden_size}
    if family in TIMES_AS_TEXT:
        # A grid of 16 x 16 learned places. In Qwen3-VL the tower's first layer, too, is added to the language model's.
        deepstack = {"deepstack_visual_indexes": [0]} if family == "qwen3_vl" else {}
        return common | {"num_position_embeddings": 256} | deepstack
    return common | {"tokens_per_second": 2, "window_size": 112, "fullatt_block_indexes": [1]}


def _attention_config(family: str, hidden_size: int) -> dict:
    """How positions enter the heads of 64; for Qwen3.5 also the delta-net layers, three to each layer of attention."""
    rope = {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [8, 12, 12]}
    if family not in TIMES_AS_TEXT:
        return {"rope_parameters": rope}
    # M-RoPE's axes alternate here.
    rope |= {"mrope_section": [12, 10, 10], "mrope_interleaved": True}
    if family == "qwen3_vl":
        return {"rope_parameters": rope, "head_dim": 64}
    # A quarter of each head, 8 frequencies, turns with the position.
    rope |= {"mrope_section": [3, 3, 2], "partial_rotary_factor": 0.25}
    heads = {"linear_key_head_dim": 64, "linear_num_key_heads": hidden_size // 128}
    heads |= {"linear_value_head_dim": 64, "linear_num_value_heads": hidden_size // 64}
    return {"rope_parameters": rope, "head_dim": 64, **heads}


def build(out: Path, data: Path, *, vocab_size: int = 1024, hidden_size: int = 128, layers: int = 4, seed: int = 0,
          family: str = "qwen2_5_vl", like: str | None = None) -> tuple[int, int]:  # fmt: skip
    """Write config, weights (float32; bfloat16 with ``like``), tokenizer and processor to ``out``.

    Args:
        data: Parquet whose ``messages`` the tokenizer is trained on.
        vocab_size: target size before the special tokens; the model's vocabulary is exactly the tokenizer's, because
            verl masks ids that the tokenizer lacks in the rollout but not in the trainer.
        hidden_size: multiple of 128: vLLM's CPU attention has no kernel for heads smaller than 32, and 64 is used.
        like: one of LIKE, whose widths and vocabulary count then; the vision tower has as many ``layers``.

    Returns:
        Numbers of parameters and of tokens.
    """
    import torch
    import transformers

    config_class, model_class = (
        getattr(transformers, FAMILIES[family] + name) for name in ("Config", "ForConditionalGeneration")
    )
    # All have the image processor of the first.
    if family in TIMES_AS_TEXT:
        processor_class, video_class = transformers.Qwen3VLProcessor, transformers.Qwen3VLVideoProcessor
    else:
        processor_class = getattr(transformers, FAMILIES[family] + "Processor")
        video_class = transformers.Qwen2VLVideoProcessor
    rows = pq.read_table(data, columns=["messages"])["messages"].to_pylist()
    texts = [turn["content"].replace("<video>", "").replace("<image>", "") for turns in rows for turn in turns]
    # Question templates would otherwise cost a token per letter.
    texts += TEMPLATES.values() if family == "qwen2_vl" else []
    text_widths, vision_widths = LIKE[like] if like else ({}, {})
    tokenizer = build_tokenizer(texts, vocab_size, text_widths.get("vocab_size", 0))
    ids = {name: tokenizer.convert_tokens_to_ids(f"<|{name}|>") for name in NAMES}
    text_config = {
        "hidden_size": hidden_size,
        "intermediate_size": 3 * hidden_size,
        "num_hidden_layers": layers,
        "num_attention_heads": hidden_size // 64,
        "num_key_value_heads": hidden_size // 128,
        "max_position_embeddings": 32768,
        "tie_word_embeddings": True,
        "initializer_range": INITIALIZER_RANGE,
        "bos_token_id": ids["endoftext"],
        "eos_token_id": ids["im_end"],
        "pad_token_id": ids["endoftext"],
    }
    text_config |= _attention_config(family, hidden_size)
    text_config |= text_widths | {"vocab_size": len(tokenizer)}
    vision_config = _vision_config(family, hidden_size)
    if like:
        vision_config |= vision_widths | {"depth": layers, "fullatt_block_indexes": [layers - 1]}
    config = config_class(
        text_config=text_config,
        vision_config=vision_config,
        image_token_id=ids["image_pad"],
        video_token_id=ids["video_pad"],
        vision_start_token_id=ids["vision_start"],
        vision_end_token_id=ids["vision_end"],
        tie_word_embeddings=text_config["tie_word_embeddings"],
        initializer_range=text_config["initializer_range"],
    )
    torch.manual_seed(seed)
    model = model_class(config).to(torch.bfloat16 if like else torch.float32)
    for name, parameter in model.named_parameters():
        if name.endswith("dt_bias"):
            # transformers starts with delta-net layers that forget all but the last token; trained ones do not.
            parameter.data.fill_(-4.0)
    model.generation_config.eos_token_id = [ids["im_end"], ids["endoftext"]]
    model.generation_config.pad_token_id = ids["endoftext"]
    model.save_pretrained(out)
    image_processor = transformers.Qwen2VLImageProcessor(patch_size=patch_size(family))
    processor = processor_class(image_processor, tokenizer, video_class(), chat_template=CHAT_TEMPLATE)
    processor.save_pretrained(out)
    return model.num_parameters(), len(tokenizer)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, required=True, help="folder to write; must be new or empty")
    parser.add_argument("--data", type=Path, required=True, help="Parquet whose texts train the tokenizer")
    parser.add_argument("--family", choices=list(FAMILIES), default="qwen2_5_vl")
    parser.add_argument("--vocab-size", type=int, default=1024, help="tokens before the special ones")
    parser.add_argument("--hidden-size", type=int, default=128, help="multiple of 128")
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument(
        "--like", choices=list(LIKE), help="widths and vocabulary of this model; a GPU's memory is wanted"
    )
    parser.add_argument("--seed", type=int, default=0)


def run(args: argparse.Namespace) -> int:
    if args.hidden_size % 128:
        raise SystemExit(f"--hidden-size {args.hidden_size}: use a multiple of 128 (heads of 64, two per key head)")
    options = {name: getattr(args, name) for name in ("vocab_size", "hidden_size", "layers", "seed", "family", "like")}
    check_new_folder(args.out)
    args.out.absolute().parent.mkdir(parents=True, exist_ok=True)
    with whole_file(args.out.absolute()) as folder:
        parameters, vocab = build(folder, args.data, **options)
    print(f"{args.out}: {args.family} with {parameters / 1e6:.2f} M parameters, {vocab} tokens")
    return 0
