# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Runs the cells of a study that have no result yet, one after another."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import time
from pathlib import Path

from recipe.medgrpo.common.run_folder import write_json
from recipe.medgrpo.study.design import Cell, Study, StudyError
from recipe.medgrpo.study.results import collect


def run_missing(
    study: Study, script: Path, out: Path, results: Path, hours: float, only: set[str] | None = None
) -> list[Cell]:
    """Run cells without a result, until the time is over; one that fails is left out, and the next one follows.

    Args:
        script: runs one cell; its variables come from the design.
        out: folder of the runs, which may be removed afterwards.
        results: folder of the result files.
        hours: after which no further cell is started.
        only: settings to run; None: all.

    Returns:
        The cells that failed.
    """
    end, failed = time.monotonic() + 3600 * hours, []
    for cell in study.cells():
        if (results / cell.file).exists() or (only and cell.setting not in only):
            continue
        if time.monotonic() > end:
            print(f"{hours:g} hours are over: the same command goes on", flush=True)
            break
        print(f"{cell.setting}, seed {cell.seed}", flush=True)
        started = time.monotonic()
        done = subprocess.run(
            ["bash", str(script), *overrides(study, cell)], env=os.environ | variables(study, cell, out)
        )
        try:
            if done.returncode:
                raise StudyError(f"{script} ended with status {done.returncode}")
            found = collect(Path(variables(study, cell, out)["RUN"]) / cell.setting, study.rl_steps)
        except StudyError as error:
            print(f"{cell.setting}, seed {cell.seed}: {error}", flush=True)
            failed.append(cell)
            continue
        facts = {"commit": _commit(), "machine": _machine(), "seconds": round(time.monotonic() - started)}
        write_json(results / cell.file, {"setting": cell.setting, "seed": cell.seed, **facts, **found})
    return failed


def variables(study: Study, cell: Cell, out: Path) -> dict[str, str]:
    """What the script reads from its environment."""
    setting = study.settings[cell.setting]
    world = study.worlds[setting.world]
    return {
        "RUN": str(out / f"{setting.world}.{cell.seed}"),
        "SETTING": cell.setting,
        "SEED": str(cell.seed),
        "SOURCES": " ".join(world.sources),
        "CLIPS": str(world.clips),
        "TWINS": "1" if world.twins else "",
        "TASKS": " ".join(world.tasks),
        "RL_TASKS": " ".join(setting.tasks),
        "POSITION_FPS": "" if world.position_fps is None else f"{world.position_fps:g}",
        "SFT_STEPS": str(world.sft_steps),
        "RL_STEPS": str(study.rl_steps),
        "UNLIKE": json.dumps({"scale": setting.scale, "shift": setting.shift})
        if setting.scale or setting.shift
        else "",
    }


def overrides(study: Study, cell: Cell) -> tuple[str, ...]:
    """Of the RL stage."""
    return study.settings[cell.setting].overrides


def _commit() -> str:
    """The repository's commit, with ``+`` if files differ from it."""
    here = Path(__file__).parent
    done = subprocess.run(
        ["git", "describe", "--always", "--abbrev=12", "--dirty=+", "--exclude=*"],
        cwd=here,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip() or "unknown"


def _machine() -> str:
    return f"{platform.machine()}, {os.cpu_count()} cores"
