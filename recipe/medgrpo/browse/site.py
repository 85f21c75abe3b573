# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Writes the page: one index that filters, and a file for each step that is loaded when a person looks into it.

Everything is a script that sets a variable: a page that was opened from disk may not read other files, but may load
scripts. 1,000 steps of 384 answers have an index of a few MB.
"""

from __future__ import annotations

import shutil
from itertools import groupby
from pathlib import Path
from typing import Any

import orjson
from omegaconf import DictConfig, OmegaConf

from recipe.medgrpo.browse import rollouts
from recipe.medgrpo.browse.rollouts import Group, Prompt, Prompts
from recipe.medgrpo.common.run_folder import RunDir

TEMPLATES = Path(__file__).with_name("templates")
#: Letters of a question in the list.
SHORT = 110


def write(run: RunDir, config: DictConfig, data: Path, out: Path) -> tuple[int, int]:
    """Write index.html and what it loads; returns the numbers of steps and of answers."""
    (out / "steps").mkdir(parents=True, exist_ok=True)
    for file in (out / "steps").glob("*.js"):
        file.unlink()
    index = _Index()
    for step, groups in groupby(rollouts.read(run, Prompts(data), standardized(config)), lambda group: group.step):
        details = []
        for group in groups:
            index.add(group)
            details.append(_detail(group))
        _script(out / "steps" / f"{step}.js", f"STEPS[{step}]", details)
    report = run.report if run.report.is_file() else None
    index.values |= {
        "run": run.root.resolve().name,
        "report": report and Path("..", "report", report.name).as_posix() if out.parent == run.root else None,
    }
    _script(out / "index.js", "RUN", index.values)
    for file in TEMPLATES.iterdir():
        shutil.copyfile(file, out / file.name)
    return len({step for step in index.values["step"]}), sum(map(len, index.values["rewards"]))


def standardized(config: DictConfig) -> bool | None:
    """Whether GRPO divides by the group's deviation; None for other advantages, which dumps do not allow to compute."""
    if OmegaConf.select(config, "algorithm.adv_estimator") != "grpo":
        return None
    return bool(OmegaConf.select(config, "algorithm.norm_adv_by_std_in_grpo", default=True))


class _Index:
    """One entry for each group, column by column. Rewards are whole thousandths; prompts and pairs are numbered."""

    def __init__(self) -> None:
        columns: dict[str, list] = {"step": [], "place": [], "pair": [], "prompt": [], "rewards": [], "unparsed": []}
        self.values: dict[str, Any] = {**columns, "pairs": [], "questions": []}
        self._pairs: dict[tuple[str, str], int] = {}
        self._prompts: dict[tuple, int] = {}

    def add(self, group: Group) -> None:
        values, prompt = self.values, group.prompt
        pair = (prompt.source, prompt.task) if prompt else ("unknown", "unknown")
        if pair not in self._pairs:
            self._pairs[pair] = len(self._pairs)
            values["pairs"].append(pair)
        key = ("row", prompt.index) if prompt else (group.input, group.truth)
        if key not in self._prompts:
            self._prompts[key] = len(self._prompts)
            values["questions"].append((prompt.question if prompt else group.input)[:SHORT])
        same_step = values["step"] and values["step"][-1] == group.step
        values["place"].append(values["place"][-1] + 1 if same_step else 0)
        values["step"].append(group.step)
        values["pair"].append(self._pairs[pair])
        values["prompt"].append(self._prompts[key])
        values["rewards"].append([round(1000 * answer.reward) for answer in group.answers])
        values["unparsed"].append(sum(answer.parsed is False for answer in group.answers))


def _detail(group: Group) -> dict[str, Any]:
    prompt = group.prompt
    task = prompt.task if prompt else ""
    detail: dict[str, Any] = {
        "question": prompt.question if prompt else group.input,
        "truth": _text(task, group.truth),
        "answers": [
            {
                **_text(task, answer.text),
                "reward": answer.reward,
                "advantage": answer.advantage,
                "parsed": answer.parsed,
                "parts": answer.parts,
            }
            for answer in group.answers
        ],
    }
    return detail | _clip(prompt) if prompt else detail


def _clip(prompt: Prompt) -> dict[str, Any]:
    frames = [Path(frame).absolute().as_uri() for frame in prompt.frames]
    width, height = prompt.size
    return {"frames": frames, "fps": prompt.fps, "width": width, "height": height}


def _text(task: str, text: str) -> dict[str, Any]:
    return {"text": text, "spans": rollouts.spans(task, text), "boxes": rollouts.boxes(task, text)}


def _script(file: Path, name: str, value: Any) -> None:
    # Legal JSON with "</script" in a text ends no script here: the file is no part of a page.
    file.write_bytes(f"{name} = ".encode() + orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY) + b";\n")
