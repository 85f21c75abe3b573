# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Draws the README's pictures from a finished run: python docs/make_pictures.py RUN [EASY HARD] (needs chromium).

``docs/pictures/normalization.png``: raw TAG rewards of two sources as calibration measured them, the same normalized,
and what training makes of both. ``docs/pictures/report.png``: the top of the run's report.
"""

import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

import reward_score
from recipe.medgrpo.common.plot_style import canvas, source_styles
from recipe.medgrpo.common.run_folder import RunDir
from recipe.medgrpo.report.run_data import read_metrics, series

PICTURES = Path(__file__).resolve().parent / "pictures"
TASK = "tag"
SMOOTH = 6  # steps


def distributions(axes, run: RunDir, sources, styles) -> None:
    """Share of answers up to a reward, raw on the left and normalized on the right."""
    artifact = reward_score.Artifact.load(run.normalization)
    normalizer = reward_score.Normalizer(artifact, "logistic", 3.0)
    for source in sources:
        values = np.asarray(artifact.entries[f"{source}|{TASK}|raw"].quantiles)
        normalized = [normalizer(value, source, TASK, "raw") for value in values]
        for axis, rewards in zip(axes, (values, normalized), strict=True):
            share = np.linspace(0, 1, len(values))
            axis.plot(rewards, share, color=styles[source]["color"], label=source, linewidth=2)
            axis.plot(np.median(rewards), 0.5, color=styles[source]["color"], marker=styles[source]["marker"])
    for axis, title in zip(axes, ("raw reward (tIoU) of the SFT model", "normalized reward"), strict=True):
        axis.set(title=title, xlim=(-0.02, 1.02), xlabel="reward", ylabel="share of answers up to it")


def training(axis, run: RunDir, sources, styles) -> None:
    metrics = read_metrics(run.metrics_files())
    kernel = np.ones(SMOOTH) / SMOOTH
    for source in sources:
        for name, line in (("raw", ":"), ("reward", "-")):
            steps, values = series(metrics, f"medgrpo/{source}/{TASK}/{name}/mean")
            smooth = np.convolve(values, kernel, mode="valid")
            axis.plot(steps[SMOOTH - 1 :], smooth, color=styles[source]["color"], linestyle=line, linewidth=2)
    axis.set(title="in RL: reward (raw dotted)", xlabel=f"step (mean of {SMOOTH})", ylabel="mean")


def screenshot(page: Path, picture: Path) -> None:
    command = ["chromium", "--headless", "--no-sandbox", "--hide-scrollbars", "--window-size=1100,900"]
    subprocess.run([*command, f"--screenshot={picture}", page.resolve().as_uri()], check=True, capture_output=True)
    Image.open(picture).convert("P", palette=Image.Palette.ADAPTIVE, colors=128).save(picture, optimize=True)


def main(folder: str, *sources: str) -> None:
    run, sources = RunDir(Path(folder)), sources or ("CoPESD", "NurViD")
    styles = source_styles(sources)
    with canvas(10, 2.9, PICTURES / "normalization.png") as figure:
        axes = figure.subplots(1, 3)
        distributions(axes[:2], run, sources, styles)
        training(axes[2], run, sources, styles)
        axes[0].legend(loc="lower right")
    screenshot(run.report, PICTURES / "report.png")


if __name__ == "__main__":
    main(*sys.argv[1:])
