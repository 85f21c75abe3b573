# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Answers a question with transformers, fed as in training: FPS QUESTION FRAME [FRAME ...], or QUESTION IMAGE if the
model was trained on images alone.

Needs torch, transformers, qwen-vl-utils and the files of this folder. Greedy answers are those of `medgrpo generate`.
"""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import torch
from qwen_vl_utils import process_vision_info
from transformers import AutoModelForImageTextToText, AutoProcessor

FOLDER = Path(__file__).resolve().parent
SETTINGS = json.loads((FOLDER / "medgrpo.json").read_text(encoding="utf-8"))
sys.path.insert(0, str(FOLDER))
from mrope import get_rope_index  # noqa: E402  (next to this file: the positions that the model was trained with)


def load(dtype="auto"):
    """Model and processor."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    processor = AutoProcessor.from_pretrained(FOLDER)
    model = AutoModelForImageTextToText.from_pretrained(FOLDER, dtype=dtype).eval().to(device)
    own = SimpleNamespace(config=model.config)

    def positions(
        input_ids, attention_mask=None, image_grid_thw=None, video_grid_thw=None, second_per_grid_ts=None, **_
    ):
        inputs = (input_ids, attention_mask, image_grid_thw, video_grid_thw)
        found = get_rope_index(own, *(value if value is None else value.cpu() for value in inputs), second_per_grid_ts)
        return tuple(value.to(input_ids.device) for value in found)

    # transformers rounds the seconds of a frame pair down to whole ones; vLLM and this model's training do not.
    model.model.get_rope_index = positions
    return model, processor


def media(kind, value, fps=None):
    """A part of a message: ``video`` (paths of frames and their true rate) or ``image`` (a path)."""
    limits = SETTINGS["media"].get(f"{kind}s", {}).get("limits", {})
    times = {"sample_fps": fps, "raw_fps": fps} if kind == "video" else {}
    return {"type": kind, kind: value, **times, **limits}


@torch.no_grad()
def respond(model, processor, messages, max_tokens=SETTINGS["max_tokens"]):
    """The model's greedy answer to messages whose media are those of `media`."""
    text = processor.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
    patch = processor.image_processor.patch_size
    images, videos = process_vision_info(messages, return_video_metadata=True, image_patch_size=patch)
    videos, times = zip(*videos, strict=True) if videos else (None, None)
    inputs = processor(
        text=[text],
        images=images,
        videos=videos and list(videos),
        video_metadata=times and list(times),
        # qwen_vl_utils has brought the frames to their size.
        do_resize=False,
        return_tensors="pt",
    ).to(model.device)
    greedy = {"do_sample": False, "temperature": None, "top_k": None, "top_p": None}
    tokens = model.generate(**inputs, max_new_tokens=max_tokens, **greedy)
    return processor.batch_decode(tokens[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)[0]


def answer(model, processor, part, question, **options):
    """The answer to one question about one medium, in the wording of training."""
    content = [part, {"type": "text", "text": SETTINGS["template"].replace("{question}", question.strip())}]
    return respond(model, processor, [{"role": "user", "content": content}], **options)


def given(words):
    """Medium and question of a command line."""
    if "videos" in SETTINGS["media"]:
        return media("video", words[2:], float(words[0])), words[1]
    return media("image", words[1]), words[0]


if __name__ == "__main__":
    print(answer(*load(), *given(sys.argv[1:])))
