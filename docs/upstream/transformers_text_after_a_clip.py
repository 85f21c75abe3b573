# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""transformers: the text after a Qwen2.5-VL clip that is longer than wide starts below the clip's last positions.

A clip of 4 steps of 2 seconds is at the temporal positions 4, 8, 12, 16; the text after it must start at 17.
"""

import sys

import torch
from transformers import Qwen2_5_VLConfig, __version__
from transformers.models.qwen2_5_vl import Qwen2_5_VLModel

VIDEO = 1002
config = Qwen2_5_VLConfig(
    image_token_id=1001,
    video_token_id=VIDEO,
    text_config={"num_hidden_layers": 1},
    vision_config={"tokens_per_second": 2, "depth": 1},
)
with torch.device("meta"):
    model = Qwen2_5_VLModel(config)
grid = torch.tensor([[4, 4, 4]])
ids = torch.tensor([[1, 2, 3, 4] + [VIDEO] * 16 + [5, 6]])
positions, _ = model.get_rope_index(
    ids, mm_token_type_ids=(ids == VIDEO).int() * 2, video_grid_thw=grid, second_per_grid_ts=torch.tensor([2.0])
)
last, text = int(positions[:, 0, 4:20].max()), int(positions[0, 0, 20])
print(f"transformers {__version__}: the clip ends at position {last}, the text after it starts at {text}")
sys.exit(text <= last)
