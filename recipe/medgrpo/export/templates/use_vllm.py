# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Asks a vLLM server with this model about a clip: FPS QUESTION FRAME [FRAME ...]

The server runs with this recipe installed and switched on, or a clip's rate does not reach the model (README.md).
OPENAI_BASE_URL names it. Needs openai, qwen-vl-utils and medgrpo.json of this folder.
"""

import base64
import io
import json
import sys
from pathlib import Path

from openai import OpenAI
from PIL import Image
from qwen_vl_utils import fetch_video

SETTINGS = json.loads(Path(__file__).with_name("medgrpo.json").read_text(encoding="utf-8"))


def request(frames, fps, question, max_tokens=SETTINGS["max_tokens"]):
    """Arguments of ``chat.completions.create``: frames at the size of training, without loss, with their true rate."""
    part = {"video": frames, "sample_fps": fps, "raw_fps": fps, **SETTINGS["media"]["videos"]["limits"]}
    clip = fetch_video(part, image_patch_size=SETTINGS["patch_size"])
    # vLLM calls a list of pictures video/jpeg, whatever their format.
    url = "data:video/jpeg;base64," + ",".join(_png(frame) for frame in clip.byte().permute(0, 2, 3, 1).numpy())
    asked = SETTINGS["template"].replace("{question}", question.strip())
    content = [{"type": "video_url", "video_url": {"url": url}}, {"type": "text", "text": asked}]
    return {
        "messages": [{"role": "user", "content": content}],
        "max_completion_tokens": max_tokens,
        "temperature": 0,
        "extra_body": {
            "media_io_kwargs": {"video": {"fps": fps, "num_frames": -1}},
            "mm_processor_kwargs": {"do_resize": False},
        },
    }


def _png(frame):
    buffer = io.BytesIO()
    Image.fromarray(frame).save(buffer, format="PNG")
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def answer(client, frames, fps, question, **options):
    """The served model's answer."""
    model = client.models.list().data[0].id
    done = client.chat.completions.create(model=model, **request(frames, fps, question, **options))
    return done.choices[0].message.content


if __name__ == "__main__":
    print(answer(OpenAI(api_key="none"), sys.argv[3:], float(sys.argv[1]), sys.argv[2]))
