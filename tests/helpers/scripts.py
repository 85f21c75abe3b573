# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""The run scripts, and stand-ins for the programs that they start."""

import os
import stat
from pathlib import Path

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
RL, SFT, QWEN3 = (f"run_{name}.sh" for name in ("medgrpo_qwen2_5vl_7b", "sft_qwen2_5vl_7b", "medgrpo_qwen3vl_4b"))
QWEN3_5 = "run_medgrpo_qwen3_5_4b.sh"
#: MedGRPO's, of which two start the first with values of their own.
MEDGRPO = (RL, QWEN3, QWEN3_5)
MEDR1, ZHU = "run_medr1_qwen2vl_2b.sh", "run_medical_vqa_drgrpo_qwen2vl_2b.sh"
#: The variable that names the folder which a script writes.
FOLDER = {path.name: "RUN" for path in EXAMPLES.glob("run_medgrpo_*.sh")} | dict.fromkeys((SFT, MEDR1, ZHU), "OUT")
CLEAN = {"PATH": "/usr/bin:/bin", "HOME": os.environ.get("HOME", "/")}


def executable(path: Path, text: str) -> None:
    """Write a bash script that can be started."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/bash\n" + text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
