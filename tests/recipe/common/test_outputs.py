# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""What a command may write onto, through the console script."""

from console import medgrpo


def test_two_outputs_are_never_one_file(world, model, tmp_path):
    calibrate = "calibrate", "--model", model, "--data", world.train, "--out", tmp_path / "page.png"
    report = "report", tmp_path, "--out", tmp_path / "page.json"
    for argv in (calibrate, report):
        done = medgrpo(*argv, check=False)
        assert done.returncode == 2 and f"{argv[-1]} would be two files" in done.stderr
        assert "Traceback" not in done.stderr and not argv[-1].exists()
