# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""The study's part of a page: predictions, effects and verdicts, made from the design and the result files alone."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from recipe.medgrpo.study.design import SFT, Cell, Prediction, Study, StudyError
from recipe.medgrpo.study.intervals import Effect, verdict
from recipe.medgrpo.study.picture import draw
from recipe.medgrpo.study.results import effect_of, gain

PICTURE = "pictures/normalization_study.png"
#: What writes the study's part; it stands in the mark above it.
MADE_BY = "python -m recipe.medgrpo.study page"
END = "<!-- end -->"


def write_page(page: Path, study: Study, results: Mapping[Cell, Mapping[str, Any]]) -> None:
    """Write the study's part of the page, and its picture next to it."""
    if results:
        draw(study, results, page.parent / PICTURE)
    write_between(page, MADE_BY, section(study, results))


def write_between(page: Path, made_by: str, lines: Iterable[str]) -> None:
    """Replace what stands between the mark of ``made_by`` and the next end."""
    begin, text = f"<!-- begin: made by {made_by} -->", page.read_text(encoding="utf-8")
    if text.count(begin) != 1 or END not in text.split(begin)[1]:
        raise StudyError(f"{page} needs the line {begin}, and {END} below it")
    head, rest = text.split(begin)
    body = "\n".join(lines)
    page.write_text(f"{head}{begin}\n\n{body}\n{END}{rest.split(END, 1)[1]}", encoding="utf-8")


def origins(results: Collection[Mapping[str, Any]], seconds: float) -> str:
    """The line that says where results come from."""
    commits = sorted({commit for result in results for commit in result["commit"].split(", ")})
    machines = sorted({result["machine"] for result in results})
    return f"Commits {', '.join(commits)}; {'; '.join(machines)}; {seconds / 3600:.1f} hours."


def section(study: Study, results: Mapping[Cell, Mapping[str, Any]]) -> Iterator[str]:
    """Lines of Markdown."""
    cells = list(study.cells())
    yield f"{len(results)} of {len(cells)} cells have run ({len(study.settings)} settings, {len(study.seeds)} seeds)."
    yield ""
    for question, text in study.questions.items():
        yield f"**{question}: {text}**"
        yield ""
        yield "| prediction | outcome, difference of | bound | effect, 95% interval | verdict |"
        yield "| --- | --- | --- | --- | --- |"
        for one in study.predictions:
            if one.question == question:
                yield _line(one, effect_of(study, results, one))
        yield ""
        yield from _gains(study, results, question)
    if results:
        yield f"![Effects, their intervals and what was predicted]({PICTURE})"
        yield ""
    if missing := [cell for cell in cells if cell not in results]:
        yield f"Missing: {_ranges(study, missing)}."
        yield ""
    if results:
        yield origins(results.values(), sum(result["seconds"] for result in results.values()))
        yield ""


def _line(prediction: Prediction, found: Effect | None) -> str:
    number = "-"
    if found is not None:
        interval = f"{found.wide[0]:+.3f} to {found.wide[1]:+.3f}"
        number = f"{found.point:+.3f} ({interval}), {found.seeds} {_seeds(found.seeds)}"
    compared = f"{prediction.outcome}: `{prediction.setting}` - `{prediction.against}`"
    claim = f"{prediction.claim} ({prediction.expect})"
    return f"| {claim} | {compared} | {prediction.bound:g} | {number} | {verdict(prediction, found)} |"


def _gains(study: Study, results: Mapping[Cell, Mapping[str, Any]], question: str) -> Iterator[str]:
    """What each setting of a question gained over SFT, in all that its outcomes are made of."""
    own = [one for one in study.predictions if one.question == question]
    settings = dict.fromkeys(name for one in own for name in (one.setting, one.against) if name != SFT)
    terms = dict.fromkeys((term.pair, term.key) for one in own for term in study.outcomes[one.outcome])
    rows = {name: [gain(study, results, name, *term) for term in terms] for name in settings}
    rows = {name: found for name, found in rows.items() if all(found)}
    if not rows:
        return
    yield "After RL less before, interquartile means:"
    yield ""
    yield f"| setting | seeds | {' | '.join(f'{pair}, {key}' for pair, key in terms)} |"
    yield f"| --- | ---: |{' ---: |' * len(terms)}"
    for name, found in rows.items():
        yield f"| `{name}` | {found[0].seeds} | {' | '.join(f'{one.point:+.3f}' for one in found)} |"
    yield ""


def _ranges(study: Study, cells: list[Cell]) -> str:
    seeds = {name: [str(cell.seed) for cell in cells if cell.setting == name] for name in study.settings}
    whole = [str(seed) for seed in study.seeds]
    words = {
        name: "all seeds" if own == whole else f"{_seeds(len(own))} {', '.join(own)}" for name, own in seeds.items()
    }
    return "; ".join(f"`{name}` ({words[name]})" for name, own in seeds.items() if own)


def _seeds(number: int) -> str:
    return "seed" if number == 1 else "seeds"
