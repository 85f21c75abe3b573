# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Accuracy matrices over imaging modalities and question types: which model, trained on what, knows what.

One line per model (``--run NAME=FOLDER`` of ``medgrpo evaluate``; a name may have several folders), one column per
modality (Med-R1's 8x8) or question type (5x5). Strict counts the single word in answer tags, as Med-R1's evaluation
does, or the whole answer where it has no such tag at all; lenient any readable choice. Two-option questions, which luck
answers half of the time, are also counted apart. Confidence intervals (95%) are percentile bootstraps over images,
whose questions are not independent.
"""

from __future__ import annotations

import argparse
import csv
import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from data_preprocess.common.atomic_file import whole_file
from data_preprocess.images.labels import MODALITIES
from recipe.medgrpo.common.run_folder import EvalDir, read_jsonl
from recipe.medgrpo.common.tables import compact_table
from recipe.medgrpo.evaluation.answers import AnswersError
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


@dataclass(frozen=True)
class Item:
    """One question and whether each sampled answer is right, by extraction; ``options`` 0: not multiple choice."""

    model: str
    modality: str
    question_type: str
    image: str
    options: int
    right: dict[str, tuple[bool, ...]]


@dataclass(frozen=True)
class Cell:
    """Accuracy in [0, 1] over ``n`` questions, with the ends of its 95% interval; NaN where undefined."""

    n: int
    accuracy: float
    low: float
    high: float


def load(model: str, folder: Path) -> list[Item]:
    """Questions of the VQA tasks in an evaluation's results.

    Raises:
        AnswersError: the results lack a column, or hold no such question.
    """
    file = EvalDir(folder).results
    records = [record for record in read_jsonl(file, "medgrpo evaluate") if record.get("task") in VQA_TASKS]
    if not records:
        raise AnswersError(f"{file}: no question of the tasks {', '.join(VQA_TASKS)}; evaluate on rows of an image set")
    return group(model, records, str(file))


def group(model: str, records: Iterable[dict[str, Any]], where: str) -> list[Item]:
    """Questions from the lines of ``results.jsonl``, samples together; ``where`` names the file in errors."""
    samples: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for record in records:
        samples[record["index"]].append(record)
    items = []
    for index, own in samples.items():
        first = own[0]
        try:
            kind = first["question_type"] or "?"
            items.append(
                Item(
                    model=model,
                    modality=first["modality"] or first["source"],
                    question_type=QUESTION_TYPES.get(kind, kind),
                    # The same image in several evaluations of a model, say its seeds, is no new evidence.
                    image=first["image_id"] or f"{where} {index}",
                    options=first["num_options"],
                    right={
                        "strict": tuple(_strict(record) for record in own),
                        "lenient": tuple(record["accuracy_lenient"] == 1 for record in own),
                    },
                )
            )
        except KeyError as error:
            raise AnswersError(f"{where}: row {index} lacks {error}; run medgrpo evaluate again") from None
    return items


def _strict(record: dict[str, Any]) -> bool:
    text = record["response"]
    # Med-R1's evaluations without reasoning ask for no tags, or compare the raw output.
    untagged = OPEN not in text and CLOSE not in text
    if record["task"] == "mcq":
        return (text.strip() if untagged else answer_word(text)) == unwrapped(record["ground_truth"])
    return record["accuracy"] == 1 and (untagged or CLOSE in text.partition(OPEN)[2])


def cell(items: Sequence[Item], extraction: str) -> Cell:
    """Accuracy over questions, each the mean of its samples, with a bootstrap interval over images."""
    if not items:
        return Cell(0, math.nan, math.nan, math.nan)
    sums: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
    for item in items:
        sums[item.image][0] += float(np.mean(item.right[extraction]))
        sums[item.image][1] += 1
    right, count = np.array(list(sums.values())).T
    low, high = _interval(right, count)
    return Cell(len(items), float(right.sum() / count.sum()), low, high)


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


def matrix(items: Sequence[Item], axis: str, extraction: str, options: str = "all") -> dict[tuple[str, str], Cell]:
    """(model, column) -> cell, models in their order, columns in the papers' order, then others by name."""
    counted = OPTIONS[options]
    by_cell: dict[tuple[str, str], list[Item]] = defaultdict(list)
    for item in items:
        if counted(item.options):
            by_cell[item.model, getattr(item, axis)].append(item)
    models = dict.fromkeys(item.model for item in items)
    found = {getattr(item, axis) for item in items}
    columns = [name for name in AXES[axis] if name in found] + sorted(found - set(AXES[axis]))
    return {(model, column): cell(by_cell[model, column], extraction) for model in models for column in columns}


def summary(cells: dict[tuple[str, str], Cell]) -> dict[str, float]:
    """Means over cells, as in Med-R1: all, in-domain (model named as its column), the others; NaN if there are none."""

    def mean(chosen: list[float]) -> float:
        return float(np.mean(chosen)) if chosen else math.nan

    known = {key: one.accuracy for key, one in cells.items() if one.n}
    inside = [value for (model, column), value in known.items() if model == column]
    outside = [value for (model, column), value in known.items() if model != column]
    return {"overall": mean(list(known.values())), "in_domain": mean(inside), "out_of_domain": mean(outside)}


def pass_at_k(items: Sequence[Item], extraction: str) -> dict[int, float]:
    """k -> share of questions that one of k answers gets right, k = 1, 2, 4, ... up to the answers per question.

    The unbiased estimate from n answers of which c are right: 1 - C(n - c, k) / C(n, k).
    """
    from scipy.special import comb

    n = min(len(item.right[extraction]) for item in items)
    result, k = {}, 1
    while k <= n:
        total, right = np.array([(len(i.right[extraction]), sum(i.right[extraction])) for i in items]).T
        result[k] = float(np.mean(1 - comb(total - right, k) / comb(total, k)))
        k *= 2
    return result


def write_csv(items: Sequence[Item], path: Path) -> None:
    """All cells, long form: axis, model, column, extraction, options, n, accuracy, low, high."""
    with whole_file(path) as scratch, scratch.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["axis", "model", "column", "extraction", "options", "n", "accuracy", "low", "high"])
        for axis in AXES:
            for extraction in EXTRACTIONS:
                for options in OPTIONS:
                    for (model, column), one in matrix(items, axis, extraction, options).items():
                        numbers = ("" if math.isnan(x) else f"{x:.6f}" for x in (one.accuracy, one.low, one.high))
                        writer.writerow([axis, model, column, extraction, options, one.n, *numbers])


def plot(items: Sequence[Item], path: Path) -> None:
    """Heat maps, one per axis and extraction: accuracy in percent, half the 95% interval below it."""
    from matplotlib.figure import Figure

    models = len({item.model for item in items})
    figure = Figure(figsize=(13, 2 * (1.6 + 0.5 * models)), layout="constrained")
    panels = figure.subplots(2, 2, squeeze=False)
    for row, extraction in zip(panels, EXTRACTIONS, strict=True):
        for panel, axis in zip(row, AXES, strict=True):
            cells = matrix(items, axis, extraction)
            names, columns = (list(dict.fromkeys(key[i] for key in cells)) for i in (0, 1))
            values = np.array([[100 * cells[name, column].accuracy for column in columns] for name in names])
            image = panel.imshow(values, vmin=0, vmax=100, cmap="cividis", aspect="auto")
            panel.set_xticks(range(len(columns)), columns)
            panel.set_yticks(range(len(names)), names)
            panel.set_title(f"{axis.replace('_', ' ')}, {extraction}", loc="left", fontsize=10, fontweight="bold")
            for y, name in enumerate(names):
                for x, column in enumerate(columns):
                    one = cells[name, column]
                    text = f"{100 * one.accuracy:.1f}" if one.n else "-"
                    if not math.isnan(one.low):
                        text += f"\n±{50 * (one.high - one.low):.1f}"
                    color = "black" if values[y, x] > 55 else "white"
                    panel.text(x, y, text, ha="center", va="center", fontsize=7, color=color)
            figure.colorbar(image, ax=panel, label="accuracy, %")
    with whole_file(path) as scratch:
        figure.savefig(scratch, dpi=130, format="png")


def show(items: Sequence[Item], console: Console) -> None:
    """All matrices as tables, in percent, with their means, the two-option questions apart, and Pass@k."""
    for axis in AXES:
        for extraction in EXTRACTIONS:
            cells = matrix(items, axis, extraction)
            columns = list(dict.fromkeys(column for _, column in cells))
            table = compact_table(f"{axis.replace('_', ' ')}, {extraction}, %", ("model",), (*columns, "mean"))
            for model in dict.fromkeys(model for model, _ in cells):
                own = [cells[model, column] for column in columns]
                mean = summary({(model, column): cells[model, column] for column in columns})["overall"]
                table.add_row(
                    model, *(f"{100 * one.accuracy:.1f}" if one.n else "-" for one in own), f"{100 * mean:.1f}"
                )
            console.print(table)
            means = summary(cells)
            console.print(", ".join(f"{k.replace('_', ' ')} {100 * v:.2f}" for k, v in means.items() if v == v), "")
    table = compact_table(
        "questions by options, and Pass@k, %", ("model", "extraction"), ("all", "95%", "2", "3+", "pass@k")
    )
    for model in dict.fromkeys(item.model for item in items):
        own = [item for item in items if item.model == model]
        for extraction in EXTRACTIONS:
            total, *parts = (
                cell([item for item in own if counted(item.options)], extraction) for counted in OPTIONS.values()
            )
            passes = " ".join(f"@{k} {100 * value:.1f}" for k, value in pass_at_k(own, extraction).items())
            shown = (f"{100 * one.accuracy:.1f} ({one.n})" if one.n else "-" for one in parts)
            interval = f"{100 * total.low:.1f}-{100 * total.high:.1f}" if total.low == total.low else "-"
            table.add_row(model, extraction, f"{100 * total.accuracy:.1f} ({total.n})", interval, *shown, passes)
    console.print(table)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--run",
        nargs="+",
        required=True,
        metavar="NAME=FOLDER",
        help="evaluations, one name per model (say CT=eval/ct)",
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for matrices.csv and matrices.png")


def run(args: argparse.Namespace) -> int:
    items = []
    for argument in args.run:
        name, equals, folder = argument.partition("=")
        if not (name and equals and folder):
            raise AnswersError(f"--run {argument}: expected NAME=FOLDER, say CT=eval/ct")
        items += load(name, Path(folder))
    args.out.mkdir(parents=True, exist_ok=True)
    write_csv(items, args.out / "matrices.csv")
    plot(items, args.out / "matrices.png")
    console = Console()
    show(items, console)
    console.print(f"{args.out / 'matrices.csv'}, {args.out / 'matrices.png'}", soft_wrap=True)
    return 0
