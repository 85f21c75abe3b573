# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Accuracy matrices over imaging modalities and question types: which model, trained on what, knows what.

Strict counts the single word in answer tags, as Med-R1's evaluation does, or the whole answer where it has no such tag
at all; lenient any readable choice. Intervals (95%) are percentile bootstraps over images, whose questions are not
independent. More: docs/papers.md.
"""

from __future__ import annotations

import argparse
import csv
import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from rich.console import Console

from data_preprocess.common.atomic_file import whole_file
from data_preprocess.images.labels import MODALITIES
from recipe.medgrpo.common.outputs import begins_with, check_outputs
from recipe.medgrpo.common.run_folder import EvalDir
from recipe.medgrpo.common.tables import compact_table
from recipe.medgrpo.evaluation.answers import AnswersError, read_results
from reward_score.tasks.answer_tags import CLOSE, OPEN, answer_word, unwrapped
from reward_score.tasks.registry import VQA_TASKS

EXTRACTIONS = ("strict", "lenient")
QUESTION_TYPES = {
    "Anatomy Identification": "AI",
    "Disease Diagnosis": "DD",
    "Lesion Grading": "LG",
    "Modality Recognition": "MR",
    "Other Biological Attributes": "OBA",
}
AXES = {"modality": list(MODALITIES.values()), "question_type": list(QUESTION_TYPES.values())}
#: Which questions count: number of options.
OPTIONS = {"all": lambda n: True, "2": lambda n: n == 2, "3+": lambda n: n >= 3}
RESAMPLES = 2000


class Question(NamedTuple):
    """One question and whether each sampled answer is right, by extraction; ``options`` 0: not multiple choice."""

    model: str
    modality: str
    question_type: str
    image: str
    options: int
    right: dict[str, tuple[bool, ...]]


class Cell(NamedTuple):
    """Accuracy in [0, 1] over ``n`` questions, with the ends of its 95% interval; NaN where undefined."""

    n: int = 0
    accuracy: float = math.nan
    low: float = math.nan
    high: float = math.nan

    @property
    def percent(self) -> str:
        return f"{100 * self.accuracy:.1f}" if self.n else "-"


Matrix = dict[tuple[str, str], Cell]
COLUMNS = ("axis", "model", "column", "extraction", "options", *Cell._fields)


def load(model: str, folder: Path) -> list[Question]:
    """Questions of the VQA tasks in an evaluation's results."""
    files = EvalDir(folder)
    results = [result for result in read_results(files) if result.get("task") in VQA_TASKS]
    if not results:
        tasks = ", ".join(VQA_TASKS)
        raise AnswersError(f"{files.results}: no question of the tasks {tasks}; evaluate on rows of an image set")
    return group(model, results, str(files.results))


def group(model: str, results: Iterable[dict[str, Any]], where: str) -> list[Question]:
    """Questions from the lines of ``results.jsonl``, samples together; ``where`` names the file in errors."""
    samples: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for result in results:
        samples[result["index"]].append(result)
    try:
        return [_question(model, own, f"{where} {index}") for index, own in samples.items()]
    except KeyError as error:
        raise AnswersError(f"{where}: the results lack {error}; run medgrpo evaluate again") from None


def _question(model: str, samples: Sequence[dict[str, Any]], where: str) -> Question:
    first = samples[0]
    kind = first["question_type"] or "?"
    return Question(
        model=model,
        modality=first["modality"] or first["source"],
        question_type=QUESTION_TYPES.get(kind, kind),
        # The same image in several evaluations of a model, say its seeds, is no new evidence.
        image=first["image_id"] or where,
        options=first["num_options"],
        right={
            "strict": tuple(map(_strict, samples)),
            "lenient": tuple(sample["accuracy_lenient"] == 1 for sample in samples),
        },
    )


def _strict(result: dict[str, Any]) -> bool:
    text = result["response"]
    # Med-R1's evaluations without reasoning ask for no tags, or compare the raw output.
    untagged = OPEN not in text and CLOSE not in text
    if result["task"] == "mcq":
        return (text.strip() if untagged else answer_word(text)) == unwrapped(result["ground_truth"])
    return result["accuracy"] == 1 and (untagged or CLOSE in text.partition(OPEN)[2])


def cell(questions: Sequence[Question], extraction: str) -> Cell:
    """Accuracy over questions, each the mean of its samples, with a bootstrap interval over images."""
    if not questions:
        return Cell()
    sums: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
    for question in questions:
        sums[question.image][0] += float(np.mean(question.right[extraction]))
        sums[question.image][1] += 1
    right, count = np.array(list(sums.values())).T
    return Cell(len(questions), float(right.sum() / count.sum()), *_interval(right, count))


def _interval(right: np.ndarray, count: np.ndarray) -> tuple[float, float]:
    from scipy.stats import bootstrap

    if len(right) < 2:
        return math.nan, math.nan
    found = bootstrap(
        (right, count),
        lambda r, c, axis: r.sum(axis=axis) / c.sum(axis=axis),
        paired=True,
        vectorized=True,
        method="percentile",
        n_resamples=RESAMPLES,
        # Whole resamples of a large test set at one time would take gigabytes.
        batch=max(1, 2_000_000 // len(right)),
        rng=np.random.default_rng(0),
    ).confidence_interval
    return float(found.low), float(found.high)


def matrix(questions: Sequence[Question], axis: str, extraction: str, options: str = "all") -> Matrix:
    """(model, column) -> cell, models in their order, columns in the papers' order, then others by name."""
    by_cell: dict[tuple[str, str], list[Question]] = defaultdict(list)
    for question in questions:
        if OPTIONS[options](question.options):
            by_cell[question.model, getattr(question, axis)].append(question)
    found = {getattr(question, axis) for question in questions}
    columns = [name for name in AXES[axis] if name in found] + sorted(found - set(AXES[axis]))
    return {
        (model, column): cell(by_cell[model, column], extraction) for model in models(questions) for column in columns
    }


def models(questions: Sequence[Question]) -> list[str]:
    return list(dict.fromkeys(question.model for question in questions))


def summary(cells: Matrix) -> dict[str, float]:
    """Means over cells, as in Med-R1: all, in-domain (model named as its column), the others; NaN if there are none."""
    known = {key: one.accuracy for key, one in cells.items() if one.n}
    means = {
        "overall": list(known.values()),
        "in_domain": [value for (model, column), value in known.items() if model == column],
        "out_of_domain": [value for (model, column), value in known.items() if model != column],
    }
    return {name: float(np.mean(values)) if values else math.nan for name, values in means.items()}


def pass_at_k(questions: Sequence[Question], extraction: str) -> dict[int, float]:
    """k -> share of questions that one of k answers gets right, k = 1, 2, 4, ... up to the answers per question.

    The unbiased estimate from n answers of which c are right: 1 - C(n - c, k) / C(n, k).
    """
    from scipy.special import comb

    total, right = np.array([(len(q.right[extraction]), sum(q.right[extraction])) for q in questions]).T
    powers = (2**i for i in range(int(total.min()).bit_length()))
    return {k: float(np.mean(1 - comb(total - right, k) / comb(total, k))) for k in powers}


def write_csv(questions: Sequence[Question], path: Path) -> None:
    """All cells, long form: axis, model, column, extraction, options, n, accuracy, low, high."""
    with whole_file(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for axis, extraction, options in product(AXES, EXTRACTIONS, OPTIONS):
            for (model, column), (n, *shares) in matrix(questions, axis, extraction, options).items():
                numbers = ("" if math.isnan(share) else f"{share:.6f}" for share in shares)
                writer.writerow([axis, model, column, extraction, options, n, *numbers])


def plot(questions: Sequence[Question], path: Path) -> None:
    """Heat maps, one per axis and extraction: accuracy in percent, half the 95% interval below it."""
    from matplotlib.figure import Figure

    names = models(questions)
    figure = Figure(figsize=(13, 2 * (1.6 + 0.5 * len(names))), layout="constrained")
    panels = figure.subplots(2, 2, squeeze=False).ravel()
    for panel, (extraction, axis) in zip(panels, product(EXTRACTIONS, AXES), strict=True):
        cells = matrix(questions, axis, extraction)
        columns = list(dict.fromkeys(column for _, column in cells))
        values = np.array([[100 * cells[name, column].accuracy for column in columns] for name in names])
        image = panel.imshow(values, vmin=0, vmax=100, cmap="cividis", aspect="auto")
        panel.set_xticks(range(len(columns)), columns)
        panel.set_yticks(range(len(names)), names)
        panel.set_title(f"{axis.replace('_', ' ')}, {extraction}", loc="left", fontsize=10, fontweight="bold")
        for (y, name), (x, column) in product(enumerate(names), enumerate(columns)):
            one = cells[name, column]
            text = one.percent if math.isnan(one.low) else f"{one.percent}\n±{50 * (one.high - one.low):.1f}"
            color = "black" if values[y, x] > 55 else "white"
            panel.text(x, y, text, ha="center", va="center", fontsize=7, color=color)
        figure.colorbar(image, ax=panel, label="accuracy, %")
    with whole_file(path) as temporary:
        figure.savefig(temporary, dpi=130, format="png")


def show(questions: Sequence[Question], console: Console) -> None:
    """All matrices as tables, in percent, with their means, the two-option questions apart, and Pass@k."""
    for axis, extraction in product(AXES, EXTRACTIONS):
        cells = matrix(questions, axis, extraction)
        columns = list(dict.fromkeys(column for _, column in cells))
        table = compact_table(f"{axis.replace('_', ' ')}, {extraction}, %", ("model",), (*columns, "mean"))
        for model in models(questions):
            own = {(model, column): cells[model, column] for column in columns}
            table.add_row(model, *(one.percent for one in own.values()), f"{100 * summary(own)['overall']:.1f}")
        means = ", ".join(f"{k.replace('_', ' ')} {100 * v:.2f}" for k, v in summary(cells).items() if v == v)
        console.print(table, means, "")
    title = "questions by options, and Pass@k, %"
    table = compact_table(title, ("model", "extraction"), ("all", "95%", "2", "3+", "pass@k"))
    for model, extraction in product(models(questions), EXTRACTIONS):
        own = [question for question in questions if question.model == model]
        parts = ([question for question in own if counted(question.options)] for counted in OPTIONS.values())
        total, *rest = (cell(part, extraction) for part in parts)
        interval = f"{100 * total.low:.1f}-{100 * total.high:.1f}" if total.low == total.low else "-"
        shown = (f"{one.percent} ({one.n})" if one.n else "-" for one in rest)
        passes = " ".join(f"@{k} {100 * value:.1f}" for k, value in pass_at_k(own, extraction).items())
        table.add_row(model, extraction, f"{total.percent} ({total.n})", interval, *shown, passes)
    console.print(table)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    words = "evaluations, one name per model (say CT=eval/ct)"
    parser.add_argument("--run", nargs="+", required=True, metavar="NAME=FOLDER", help=words)
    parser.add_argument("--out", type=Path, required=True, help="folder for matrices.csv and matrices.png")


def run(args: argparse.Namespace) -> int:
    questions = []
    for argument in args.run:
        name, equals, folder = argument.partition("=")
        if not (name and equals and folder):
            raise AnswersError(f"--run {argument}: expected NAME=FOLDER, say CT=eval/ct")
        questions += load(name, Path(folder))
    table, picture = (args.out / f"matrices.{kind}" for kind in ("csv", "png"))
    check_outputs(table, begins_with(",".join(COLUMNS).encode()), [picture])
    args.out.mkdir(parents=True, exist_ok=True)
    plot(questions, picture)
    write_csv(questions, table)
    console = Console()
    show(questions, console)
    console.print(f"{table}, {picture}", soft_wrap=True)
    return 0
