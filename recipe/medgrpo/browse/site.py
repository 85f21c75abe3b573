# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Makes a page to look through a run's answers: filter, see frames, spans and boxes, follow a prompt over the steps.

One index filters; a file for each step is loaded when a person looks into it. Everything is a script that sets a
variable: a page that was opened from disk may not read other files, but may load scripts. 1,000 steps of 384 answers
have an index of a few MB.
"""

from __future__ import annotations

import argparse
import shutil
from itertools import chain, groupby, islice
from pathlib import Path
from typing import Any

import orjson
from omegaconf import DictConfig, OmegaConf

from recipe.medgrpo.browse import rollouts
from recipe.medgrpo.browse.rollouts import Group, Prompts
from recipe.medgrpo.common.outputs import begins_with, check_outputs
from recipe.medgrpo.common.run_folder import RunDir

TEMPLATES = Path(__file__).with_name("templates")
#: How its page begins: a folder with another one is somebody else's.
OWN = rb"<!doctype html>\s*<!-- Copyright 2026 Individual Contributor: verl-medgrpo authors"
#: Letters of a question in the list.
SHORT = 110


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run_dir", metavar="RUN", type=Path, help="run directory")
    parser.add_argument("--out", type=Path, help="folder to write (default: RUN/browse)")
    parser.add_argument("--data", type=Path, help="rows it was trained on (default: the run's)")


def run(args: argparse.Namespace) -> int:
    run_dir = RunDir(args.run_dir)
    config = OmegaConf.load(run_dir.config) if run_dir.config.is_file() else OmegaConf.create()
    out = args.out or run_dir.browse.parent
    steps, answers = write(run_dir, config, args.data or run_dir.training_rows(config), out)
    print(f"{out / 'index.html'}: {answers} answers of {steps} steps; open it in a browser")
    return 0


def write(run: RunDir, config: DictConfig, data: Path, out: Path) -> tuple[int, int]:
    """Write index.html and what it loads; returns the numbers of steps and of answers."""
    page, folder = out / "index.html", out / "steps"
    others = [*(out / name for name in ("index.js", "browse.js", "browse.css")), *folder.glob("*.js")]
    check_outputs(page, begins_with(OWN), others, [data])
    groups = rollouts.read(run, Prompts(data), standardized(config))
    # What is wrong with the run shows before anything is written.
    begun = list(islice(groups, 1))
    folder.mkdir(parents=True, exist_ok=True)
    for file in folder.glob("*.js"):
        file.unlink()
    for file in TEMPLATES.iterdir():
        shutil.copyfile(file, out / file.name)
    index, steps = _Index(), 0
    for step, own in groupby(chain(begun, groups), lambda group: group.step):
        details = []
        for place, group in enumerate(own):
            index.add(group, place)
            details.append(_detail(group))
        _script(folder / f"{step}.js", f"STEPS[{step}]", details)
        steps += 1
    linked = run.report.is_file() and out.parent == run.root
    index.values |= {"run": run.root.resolve().name, "report": f"../report/{run.report.name}" if linked else None}
    _script(out / "index.js", "RUN", index.values)
    return steps, sum(map(len, index.values["rewards"]))


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
        self._prompts: dict[tuple, int] = {}

    def add(self, group: Group, place: int) -> None:
        """Add the group, which stands at this place of its step's file."""
        values, prompt = self.values, group.prompt
        pair = (prompt.source, prompt.task) if prompt else ("unknown", "unknown")
        if pair not in values["pairs"]:
            values["pairs"].append(pair)
        key = ("row", prompt.index) if prompt else (group.input, group.truth)
        if key not in self._prompts:
            self._prompts[key] = len(self._prompts)
            values["questions"].append((prompt.question if prompt else group.input)[:SHORT])
        values["place"].append(place)
        values["step"].append(group.step)
        values["pair"].append(values["pairs"].index(pair))
        values["prompt"].append(self._prompts[key])
        values["rewards"].append([round(1000 * answer.reward) for answer in group.answers])
        values["unparsed"].append(sum(answer.parsed is False for answer in group.answers))


def _detail(group: Group) -> dict[str, Any]:
    prompt = group.prompt
    task = prompt.task if prompt else ""
    detail: dict[str, Any] = {
        "question": prompt.question if prompt else group.input,
        "truth": _text(task, group.truth),
        "answers": [answer._asdict() | _text(task, answer.text) for answer in group.answers],
    }
    if prompt:
        frames, (width, height) = [Path(frame).absolute().as_uri() for frame in prompt.frames], prompt.size
        detail |= {"frames": frames, "fps": prompt.fps, "width": width, "height": height}
    return detail


def _text(task: str, text: str) -> dict[str, Any]:
    return {"text": text, "spans": rollouts.spans(task, text), "boxes": rollouts.boxes(task, text)}


def _script(file: Path, name: str, value: Any) -> None:
    # Legal JSON with "</script" in a text ends no script here: the file is no part of a page.
    file.write_bytes(f"{name} = ".encode() + orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY) + b";\n")
