# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""A task-balanced subset of built records, and how records are distributed, next to the paper's figures.

python -m data_preprocess.build.balance FILE.json ... --out FILE.json --total 51505
"""

import argparse
import hashlib
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from data_preprocess.common.atomic_file import whole_file
from data_preprocess.common.cli_types import at_least
from data_preprocess.common.json_stream import parse, scan
from data_preprocess.common.run_summary import run_to_status
from data_preprocess.video.record import qa_task, source_name

#: What the project page shows of all 531,850 records, as shares where it has any.
PAPER = {
    "words of the answer": {"at most 5": 0.281, "6 to 20": 0.201, "more than 20": 0.518},
    "seconds of the clip": {"below 20": 0.0, "20 to 400": None, "401 to 1800": None, "more than 1800": 0.0},
    "fps": {"0.5": 0.633, "1.0": 0.22, "2.0": 0.075, "other": 0.072},
}


def entries(files: Sequence[Path]) -> Iterator[tuple[bytes, dict]]:
    """Text and content of each record."""
    for path in files:
        with path.open("rb") as file:
            for stretch in scan(path):
                for start, end in stretch:
                    file.seek(start)
                    text = file.read(end - start)
                    yield text, parse(text)


def bins_of(record: dict) -> dict[str, str]:
    """The place of a record in each histogram."""
    words = len(record["conversations"][-1]["value"].split())
    fps = float(record["metadata"]["fps"])
    seconds = (len(record["video"]) - 1) / fps
    length = "at most 5" if words <= 5 else "6 to 20" if words <= 20 else "more than 20"
    clip = "below 20" if seconds < 20 else "20 to 400" if seconds <= 400 else "401 to 1800"
    rate = next((name for name in ("0.5", "1.0", "2.0") if float(name) == fps), "other")
    return {"words of the answer": length, "seconds of the clip": clip if seconds <= 1800 else "more than 1800",
            "fps": rate}  # fmt: skip


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


def balance(files: Sequence[Path], out: Path, total: int, seed: int) -> tuple[Counter, dict[str, Counter], Counter]:
    """Write the subset; the same seed takes a smaller one from within a larger one. Files are read as streams, twice.

    Returns:
        All records by (source, task), histograms of the chosen ones, chosen records by (source, task).
    """
    places: dict[tuple[str, str], list[tuple[bytes, int]]] = defaultdict(list)
    for number, (text, record) in enumerate(entries(files)):
        key = hashlib.blake2b(f"{seed} ".encode() + text, digest_size=8).digest()
        places[source_name(record), qa_task(record)].append((key, number))
    counts = Counter({pair: len(numbers) for pair, numbers in places.items()})
    chosen_counts = quotas(counts, total)
    chosen = {number for pair, count in chosen_counts.items() for _, number in sorted(places[pair])[:count]}
    histograms: dict[str, Counter] = defaultdict(Counter)
    with whole_file(out) as temporary, temporary.open("wb") as file:
        separator = b"[\n"
        for number, (text, record) in enumerate(entries(files)):
            if number in chosen:
                file.write(separator + text)
                separator = b",\n"
                for name, place in bins_of(record).items():
                    histograms[name][place] += 1
        file.write(b"\n]\n")
    return counts, histograms, chosen_counts


def add_arguments(cli: argparse.ArgumentParser) -> None:
    cli.add_argument("files", type=Path, nargs="+", help="JSON files of records")
    cli.add_argument("--out", type=Path, required=True, help="JSON file of the subset")
    cli.add_argument("--total", type=at_least(1), default=51505, help="records to choose (51505, as in the paper)")
    cli.add_argument("--seed", type=int, default=0, help="chooses them (0)")


def run(args: argparse.Namespace) -> int:
    counts, histograms, chosen = balance(args.files, args.out, args.total, args.seed)
    console = Console(markup=False, emoji=False)
    table = Table("source", "task", "built", "chosen")
    for pair in sorted(counts):
        table.add_row(*pair, f"{counts[pair]:,}", f"{chosen[pair]:,}")
    table.add_section()
    table.add_row("all", "", f"{counts.total():,}", f"{chosen.total():,}")
    console.print(table)
    for name, paper in PAPER.items():
        table = Table(name, "records", "share", "paper")
        for place, share in paper.items():
            count = histograms[name][place]
            paper_share = "?" if share is None else f"{share:.1%}"
            table.add_row(place, f"{count:,}", f"{count / max(1, chosen.total()):.1%}", paper_share)
        console.print(table)
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    cli = argparse.ArgumentParser(prog="python -m data_preprocess.build.balance", description=__doc__.split("\n")[0])
    add_arguments(cli)
    args = cli.parse_args(argv)
    return run_to_status(lambda: run(args), args.out)


if __name__ == "__main__":
    sys.exit(main())
