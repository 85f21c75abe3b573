# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Whether RL learns on the drawn clips: greedy answers to held-out rows of each arm, for the page.

    python -m recipe.medgrpo.study.learning --study examples/studies/learning/one_source --page docs/evidence.md

After ``--run`` come finished runs, whose folders are called ``seed<N>``: a result is taken of each, and joins what
other runs from the same SFT model have given. Without one the page is written from the results that are there. The
study's part of the page is the one whose mark names its folder.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from itertools import cycle
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import Field, model_validator

from recipe.medgrpo.common.plot_style import MUTED, canvas, task_name
from recipe.medgrpo.common.run_folder import RunDir, RunDirError, read_json, write_json
from recipe.medgrpo.report import run_data
from recipe.medgrpo.study.design import SFT, Strict, StudyError
from recipe.medgrpo.study.page import origins, write_between
from recipe.medgrpo.study.run import origin

MADE_BY = "python -m recipe.medgrpo.study.learning"
#: Tasks whose curves are drawn, and of which the page says what answers are worth to other rows.
DRAWN = ("tag", "stg")


class Expected(Strict):
    """That one arm's raw scores are above another's, in every seed and task, by so many standard errors."""

    claim: str
    arm: str
    against: str
    tasks: tuple[str, ...]
    above: float


class Learning(Strict):
    """The study's design; ``load`` reads it."""

    seeds: tuple[int, ...]
    arms: dict[str, str]
    predictions: Annotated[tuple[Expected, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _arms_are_known(self) -> Learning:
        if unknown := {arm for pair in self.compared() for arm in pair} - set(self.arms):
            raise ValueError(f"predictions name arms that do not exist: {', '.join(sorted(unknown))}")
        return self

    def compared(self) -> list[tuple[str, str]]:
        """(arm, against): what the page has a table of."""
        return list(dict.fromkeys((one.arm, one.against) for one in self.predictions))


def collect(study: Learning, run: RunDir) -> dict[str, Any]:
    """A seed's result: paired differences of raw scores by task, curves of verl's validation by arm, and times.

    The SFT model must have been evaluated; arms may be missing.
    """
    ran = [arm for arm in study.arms if arm == SFT or run.evaluation(arm).summary.is_file()]
    sides = {arm: run_data.read_evaluation(run.evaluation(arm)) for arm in ran}
    differences = {
        f"{arm} - {against}": {
            line.task: [line.n, *(round(x, 5) for x in line.raw[:4])]
            for line in run_data.compare(sides[against], sides[arm])
            if line.group == "task"
        }
        for arm, against in study.compared()
        if {arm, against} <= sides.keys()
    }
    curves = {arm: curve for arm in ran if (curve := validation(run, arm))}
    seconds = {stage: round(value) for stage, value in run.timings().items()}
    answers = {}
    for arm, side in sides.items():
        if (looked := side.summary.get("other_rows")) is None:
            raise RunDirError(f"{run.evaluation(arm).summary}: other_rows missing; run medgrpo evaluate again")
        answers[arm] = {task: [looked[task][key] for key in ("own", "other", "different")] for task in DRAWN}
    return {**origin(), "seconds": seconds, "differences": differences, "curves": curves, "answers": answers}


def merged(file: Path, found: dict[str, Any]) -> dict[str, Any]:
    """``found``, and what ``file`` has of arms that another run has trained from the same SFT model.

    Raises StudyError if the SFT model is another and arms would be lost.
    """
    earlier = read_json(file, MADE_BY)
    if earlier["answers"][SFT] != found["answers"][SFT]:
        if missing := [arm for arm in earlier["answers"] if arm not in found["answers"]]:
            raise StudyError(f"{file} has arms of another SFT model; run {', '.join(missing)} here too, or remove it")
        return found
    both = {key: {**earlier[key], **found[key]} for key in ("seconds", "differences", "curves", "answers")}
    if both.items() <= earlier.items():
        return earlier
    return {**found, **both, "commit": ", ".join(dict.fromkeys([*earlier["commit"].split(", "), found["commit"]]))}


def validation(run: RunDir, arm: str) -> dict[str, list[list[float]]]:
    """[step, raw score] of verl's validation for each drawn task, means over sources; empty without validation."""
    series = run_data.pair_series(run_data.read_metrics(run.metrics_files(arm)), run_data.VALIDATED)
    curve = {}
    for task in DRAWN if series else ():
        sources = [values for (_, of_task), values in series.items() if of_task == task]
        means = np.mean([values["raw"] for values in sources], axis=0)
        curve[task] = [[int(step), round(float(mean), 5)] for step, mean in zip(sources[0]["step"], means, strict=True)]
    return curve


def validated(results: dict[int, dict[str, Any]]) -> bool:
    """Whether there is a curve to draw."""
    return any(result["curves"] for result in results.values())


def picture(folder: Path) -> str:
    """Where the picture of the study in ``folder`` lies, next to the page."""
    return f"pictures/learning_{folder.name}.png"


def section(folder: Path, study: Learning, results: dict[int, dict[str, Any]]) -> Iterator[str]:
    """Lines of Markdown."""
    yield f"{len(results)} of {len(study.seeds)} seeds have run."
    yield ""
    yield "| prediction, for every seed | arms | verdict |"
    yield "| --- | --- | --- |"
    for one in study.predictions:
        yield f"| {one.claim} | `{one.arm}` - `{one.against}` | {verdict(study, results, one)} |"
    yield ""
    for arm, against in study.compared() if results else ():
        pair = f"{arm} - {against}"
        tables = {
            seed: result["differences"][pair] for seed, result in results.items() if pair in result["differences"]
        }
        if not tables:
            continue
        yield f"Raw score, `{arm}` ({study.arms[arm]}) less `{against}` ({study.arms[against]}), ± one standard error:"
        yield ""
        yield f"| task | rows | {' | '.join(f'seed {seed}' for seed in tables)} |"
        yield f"| --- | ---: |{' ---: |' * len(tables)}"
        for task in next(iter(tables.values())):
            found = [table[task] for table in tables.values()]
            rows = " to ".join(str(n) for n in sorted({min(found)[0], max(found)[0]}))
            cells = (f"{old:.3f} {delta:+.3f} ± {error:.3f}" for _, old, _, delta, error in found)
            yield f"| {task.upper()} | {rows} | {' | '.join(cells)} |"
        yield ""
    for task in DRAWN if results else ():
        yield f"{task.upper()}: raw score; that of the same answers for other rows; number of different answers:"
        yield from by_arm(
            study, results, "answers", lambda answers, task=task: "{:.3f}; {:.3f}; {}".format(*answers[task])
        )
    if results:
        yield "Minutes of training, RL's validation included:"
        yield from by_arm(study, results, "seconds", lambda seconds: f"{seconds / 60:.0f}")
        if validated(results):
            yield f"![Raw scores of held-out rows by step of RL]({picture(folder)})"
            yield ""
        yield origins(results.values(), sum(sum(result["seconds"].values()) for result in results.values()))
        yield ""


def by_arm(study: Learning, results: dict[int, dict[str, Any]], key: str, cell: Callable[[Any], str]) -> Iterator[str]:
    """A table of what each result has under ``key`` for each arm."""
    yield ""
    yield f"| arm | {' | '.join(f'seed {seed}' for seed in results)} |"
    yield f"| --- |{' ---: |' * len(results)}"
    for arm in study.arms:
        found = (result[key].get(arm) for result in results.values())
        yield f"| `{arm}` | {' | '.join('-' if values is None else cell(values) for values in found)} |"
    yield ""


def verdict(study: Learning, results: dict[int, dict[str, Any]], one: Expected) -> str:
    """In how many seeds each task is as expected."""
    pair = f"{one.arm} - {one.against}"
    tables = [result["differences"][pair] for result in results.values() if pair in result["differences"]]
    if not tables:
        return "missing"
    words, counts = [], []
    for task in one.tasks:
        lines = [table[task] for table in tables]
        # Where no answer changed there is no error, and no fall either.
        right = sum(delta > one.above * error or delta == 0 > one.above for *_, delta, error in lines)
        counts.append(right)
        words.append(f"{task.upper()} {right} of {len(tables)}")
    if min(counts) < len(tables):  # Whatever the other seeds give.
        found = "not as predicted"
    else:
        found = "as predicted" if len(tables) == len(study.seeds) else "missing"
    return f"{found} ({', '.join(words)})"


def draw(results: dict[int, dict[str, Any]], path: Path) -> None:
    """Greedy raw scores of held-out rows by RL's step: a colour for each seed, a style for each arm."""
    with canvas(8, 2.8, path) as figure:
        for axes, task in zip(figure.subplots(1, len(DRAWN)), DRAWN, strict=True):
            for colour, (seed, result) in zip(cycle(MUTED), results.items(), strict=False):
                for style, (arm, curve) in zip(cycle(("-", "--", ":", "-.")), result["curves"].items(), strict=False):
                    steps, scores = zip(*curve[task], strict=True)
                    axes.plot(steps, scores, style, color=colour, marker="o", markersize=3, label=f"{arm}, seed {seed}")
            axes.set(title=task_name(task), xlabel="step of RL", ylabel="raw score, held-out rows")
        figure.axes[0].legend(fontsize=7)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog=MADE_BY, description=__doc__.split(":")[0])
    parser.add_argument("--study", type=Path, required=True, help="folder of study.yaml and results")
    parser.add_argument("--page", type=Path, required=True, help="Markdown file with the two marks")
    parser.add_argument("--run", type=Path, nargs="+", default=(), help="finished runs, seed0 and so on")
    args = parser.parse_args(argv)
    try:
        study = Learning.load(args.study / "study.yaml")
        if unknown := {run.name for run in args.run} - {f"seed{seed}" for seed in study.seeds}:
            raise StudyError(f"--run {' '.join(sorted(unknown))}: the seeds are {', '.join(map(str, study.seeds))}")
        for run in args.run:
            file, found = args.study / "results" / f"{run.name}.json", collect(study, RunDir(run))
            write_json(file, merged(file, found) if file.exists() else found)
        files = {seed: args.study / "results" / f"seed{seed}.json" for seed in study.seeds}
        results = {seed: read_json(file, MADE_BY) for seed, file in files.items() if file.exists()}
        if validated(results):
            draw(results, args.page.parent / picture(args.study))
        write_between(args.page, f"{MADE_BY}: {args.study.name}", section(args.study, study, results))
        return 0
    except (StudyError, RunDirError, OSError) as error:
        print(error, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
