# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Inputs that tests and benchmarks draw for themselves: rows of a drawn world, and frames."""

from pathlib import Path

import numpy as np
from PIL import Image


def draw_rows(root: Path, clips_per_source: int) -> Path:
    """A folder in ``root`` with train.parquet and val.parquet of a drawn world."""
    from data_preprocess import medvidbench
    from data_preprocess.synthetic import clips

    file = clips.generate(root / "world", clips_per_source=clips_per_source, progress=False)
    medvidbench.main(["--json", str(file), "--frames-root", str(root / "world/frames"), "--out", str(root / "data")])
    return root / "data"


def draw_frame(path: Path | str, seed: int) -> str:
    """A frame of noise, 140 x 90 pixels."""
    rng = np.random.default_rng(seed)
    Image.fromarray(rng.integers(0, 255, (90, 140, 3), dtype=np.uint8)).save(path)
    return str(path)
