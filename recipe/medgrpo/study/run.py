# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Runs the cells of a study that have no result yet, one after another."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import time
from collections.abc import Collection
from pathlib import Path

from recipe.medgrpo.common.run_folder import RunDirError, read_json, write_json
from recipe.medgrpo.study.design import Cell, Study, StudyError
from recipe.medgrpo.study.results import RUNNER, collect

REPOSITORY = Path(__file__).parents[3]
#: What a result depends on.
CODE = ("recipe", "reward_score", "data_preprocess", "requirements", "*.sh", "*.yaml")


def run_missing(
    study: Study,
    script: Path,
    out: Path,
    results: Path,
    hours: float,
    only: Collection[str] = (),
    seeds: Collection[int] = (),
) -> list[Cell]:
    """Run cells (``only`` of these settings and ``seeds``, if given) that have no file in ``results``, and start none
    after so many hours.

    One that fails is left out, and the next one follows. Returns the cells that failed.
    """
    end, failed = time.monotonic() + 3600 * hours, []
    for cell in study.cells():
        unwanted = (only and cell.setting not in only) or (seeds and cell.seed not in seeds)
        if unwanted or (results / cell.file).exists():
            continue
        if time.monotonic() > end:
            print(f"{hours:g} hours are over: the same command goes on", flush=True)
            break
        print(f"{cell.setting}, seed {cell.seed}", flush=True)
        started, given = time.monotonic(), variables(study, cell, out)
        # SFT's own validation is the same for all settings of a world and seed.
        files = [results / one.file for one in study.alike(cell)]
        known = any(read_json(file, RUNNER)["before"] for file in files if file.exists())
        given["VAL_BEFORE"] = "false" if known else "true"
        command = ["bash", str(script), *study.settings[cell.setting].overrides]
        done = subprocess.run(command, env=os.environ | given)
        try:
            if done.returncode:
                raise StudyError(f"{script} ended with status {done.returncode}")
            found = collect(Path(given["RUN"]) / cell.setting, study.rl_steps)
        except (StudyError, RunDirError) as error:
            print(f"{cell.setting}, seed {cell.seed}: {error}", flush=True)
            failed.append(cell)
            continue
        facts = {**origin(), "seconds": round(time.monotonic() - started)}
        write_json(results / cell.file, {"setting": cell.setting, "seed": cell.seed, **facts, **found})
    return failed


def variables(study: Study, cell: Cell, out: Path) -> dict[str, str]:
    """What the script reads from its environment."""
    setting = study.settings[cell.setting]
    world, unlike = study.worlds[setting.world], {"scale": setting.scale, "shift": setting.shift}
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
        "UNLIKE": json.dumps(unlike) if any(unlike.values()) else "",
    }


def origin() -> dict[str, str]:
    """The repository's commit, with ``+`` if code differs from it (results and pages do not count), and the machine."""

    def git(*words: str) -> subprocess.CompletedProcess:
        return subprocess.run(["git", *words], cwd=REPOSITORY, capture_output=True, text=True)

    commit, changed = "unknown", False
    if shutil.which("git"):
        commit = git("rev-parse", "--short=12", "HEAD").stdout.strip() or commit
        changed = git("diff", "--quiet", "HEAD", "--", *CODE).returncode == 1
    return {"commit": commit + "+" * changed, "machine": f"{platform.machine()}, {os.cpu_count()} cores"}
