# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""A task-balanced subset of built records, and how records are distributed, next to the paper's figures.

    python -m data_preprocess.build.balance FILE.json ... --out FILE.json --total 51505

``medgrpo data balance`` does the same, and draws the histograms.
"""

import argparse
import hashlib
import math
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

from data_preprocess.common.atomic_file import whole_file
from data_preprocess.common.cli_types import at_least
from data_preprocess.common.errors import InputError, RecordError
from data_preprocess.common.json_stream import parse, scan
from data_preprocess.common.run_summary import run_to_status
from data_preprocess.video.record import Record, parse_record


class Band(NamedTuple):
    """Values from ``low`` to ``high``, and the paper's share of them among its 531,850 records, where it is known."""

    label: str
    low: float
    high: float
    paper: float | None


#: What the project page shows. Of several bands that hold a value the first one counts.
BANDS = {
    "words of the answer": (
        Band("at most 5", 0, 5, 0.281),
        Band("6 to 20", 6, 20, 0.201),
        Band("more than 20", 21, math.inf, 0.518),
    ),
    "seconds of the clip": (
        Band("below 20", 0, 19.99, 0.0),
        Band("20 to 400", 19.99, 400, None),
        Band("401 to 1800", 400, 1800, None),
        Band("more than 1800", 1800, math.inf, 0.0),
    ),
    "fps": (
        # Those of less than 7% are read off the page's bars: about 4,000, 2,000, 31,000 and 2,500 records.
        *(Band(str(fps), fps - 0.01, fps + 0.01, share) for fps, share in (
            (0.1, 0.008), (0.2, 0.004), (0.25, 0.058), (0.5, 0.633), (1.0, 0.22), (2.0, 0.075), (3.0, 0.005))),
        Band("other", 0, math.inf, 0.0),
    ),
}  # fmt: skip


@dataclass
class Balanced:
    """All records and the chosen ones by (source, task), and how often the chosen ones have each value of BANDS."""

    built: Counter = field(default_factory=Counter)
    chosen: Counter = field(default_factory=Counter)
    values: dict[str, Counter] = field(default_factory=lambda: {name: Counter() for name in BANDS})

    def bands(self, name: str) -> list[tuple[Band, int]]:
        """The bands of one of BANDS, and how many of the chosen records lie in each."""
        counts = Counter()
        for value, count in self.values[name].items():
            counts[next(band for band in BANDS[name] if band.low <= value <= band.high)] += count
        return [(band, counts[band]) for band in BANDS[name]]


def entries(files: Sequence[Path]) -> Iterator[tuple[bytes, Record]]:
    """Text and content of each record."""
    for path in files:
        with path.open("rb") as file:
            for place, (start, end) in enumerate(span for stretch in scan(path) for span in stretch):
                file.seek(start)
                text = file.read(end - start)
                try:
                    yield text, parse_record(parse(text))
                except RecordError as error:
                    raise InputError(f"{path}, record {place}: {error}") from error


def values_of(record: Record) -> dict[str, float]:
    """The place of a record in each histogram."""
    seconds = (len(record.frames) - 1) / record.fps
    return {"words of the answer": len(record.answer.split()), "seconds of the clip": seconds, "fps": record.fps}


def quotas(counts: Counter, total: int) -> Counter:
    """Records of each (source, task): tasks share alike, within a task its sources; what one lacks the others get."""
    by_task: dict[str, Counter] = defaultdict(Counter)
    for (source, task), count in counts.items():
        by_task[task][source, task] = count
    shares = _shared(Counter({task: own.total() for task, own in by_task.items()}), total)
    return sum((_shared(own, shares[task]) for task, own in by_task.items()), Counter())


def _shared(counts: Counter, total: int) -> Counter:
    """The smallest first, each no more than it has and than an equal share of what is left."""
    shares, left = Counter(), min(total, counts.total())
    ordered = sorted(counts.items(), key=lambda item: (item[1], item[0]))
    for place, (name, count) in enumerate(ordered):
        shares[name] = min(count, left // (len(ordered) - place))
        left -= shares[name]
    return shares


def balance(files: Sequence[Path], out: Path, total: int, seed: int) -> Balanced:
    """Write the subset; the same seed takes a smaller one from within a larger one. Files are read as streams, twice.

    Raises:
        InputError: a file is no array of records with answers, or is to be overwritten.
    """
    if out.resolve() in {path.resolve() for path in files}:
        raise InputError(f"--out {out} is one of the files to choose from. Give another one")
    if out.is_dir():
        raise InputError(f"--out {out} is a folder. Give the JSON file of the subset")
    places: dict[tuple[str, str], list[tuple[bytes, int]]] = defaultdict(list)
    for number, (text, record) in enumerate(entries(files)):
        key = hashlib.blake2b(f"{seed} ".encode() + text, digest_size=8).digest()
        places[record.source, record.task].append((key, number))
    found = Balanced(Counter({pair: len(numbers) for pair, numbers in places.items()}))
    found.chosen = quotas(found.built, total)
    chosen = {number for pair, count in found.chosen.items() for _, number in sorted(places[pair])[:count]}
    out.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(out) as temporary, temporary.open("wb") as file:
        separator = b"[\n"
        for number, (text, record) in enumerate(entries(files)):
            if number in chosen:
                file.write(separator + text)
                separator = b",\n"
                for name, value in values_of(record).items():
                    found.values[name][value] += 1
        file.write(b"[]\n" if separator == b"[\n" else b"\n]\n")
    return found


def add_arguments(cli: argparse.ArgumentParser) -> None:
    cli.add_argument("files", type=Path, nargs="+", help="JSON files of records")
    cli.add_argument("--out", type=Path, required=True, help="JSON file of the subset")
    cli.add_argument("--total", type=at_least(1), default=51505, help="records to choose (51505, as in the paper)")
    cli.add_argument("--seed", type=int, default=0, help="chooses them (0)")


def choose(args: argparse.Namespace) -> Balanced:
    """Write the subset, and tell what it is made of."""
    found = balance(args.files, args.out, args.total, args.seed)
    console = Console(markup=False, emoji=False)
    table = Table("source", "task", "built", "chosen")
    for pair in sorted(found.built):
        table.add_row(*pair, f"{found.built[pair]:,}", f"{found.chosen[pair]:,}")
    table.add_section()
    table.add_row("all", "", f"{found.built.total():,}", f"{found.chosen.total():,}")
    console.print(table)
    for name in BANDS:
        table = Table(name, "records", "share", "paper")
        for band, count in found.bands(name):
            paper = "?" if band.paper is None else f"{band.paper:.1%}"
            table.add_row(band.label, f"{count:,}", f"{count / max(1, found.chosen.total()):.1%}", paper)
        console.print(table)
    console.print(f"written: {args.out}", soft_wrap=True)
    return found


def main(argv: Sequence[str] | None = None) -> int:
    cli = argparse.ArgumentParser(prog="python -m data_preprocess.build.balance", description=__doc__.split("\n")[0])
    add_arguments(cli)
    args = cli.parse_args(argv)
    return run_to_status(lambda: choose(args) and 0, args.out)


if __name__ == "__main__":
    sys.exit(main())
