# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""What two Parquet files have in common: a test picture or question that was trained on is no test."""

from __future__ import annotations

import hashlib
import json
import re
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from tqdm import tqdm

from data_preprocess.common.atomic_file import whole_file
from data_preprocess.common.errors import InputError
from data_preprocess.schema import option_line
from recipe.medgrpo.data_audit.check import empty_fields, media_files, open_rows

_CONTENT_ID = re.compile(r"[0-9a-f]{16}")
_WORD = re.compile(r"\w+")


@dataclass
class Contents:
    """Positions of a file's rows by image, by normalized question, and by both."""

    images: dict = field(default_factory=lambda: defaultdict(list))
    questions: dict = field(default_factory=lambda: defaultdict(list))
    both: dict = field(default_factory=lambda: defaultdict(list))


@dataclass
class Overlap:
    """``counts``: kind -> (things in common, rows of the first file concerned, rows of the second)."""

    counts: dict[str, tuple[int, int, int]]
    shared: list[dict]

    def write(self, path: Path) -> None:
        """One JSON object per line; a whole file or none."""
        with whole_file(path) as temporary:
            lines = (json.dumps(entry, ensure_ascii=False) + "\n" for entry in self.shared)
            temporary.write_text("".join(lines), encoding="utf-8")


def find_overlap(first: Path, second: Path) -> Overlap:
    """Images of equal content, questions of equal words, and rows of which both are equal.

    An image row is known by its ``image_id``, the hash of the published file, also where a resized copy is used;
    frames, and images whose id is no hash, by the content of their files.

    Options are no part of a question here: the same one with its options in another order is no test either.

    Raises:
        InputError: a file is not of this project, a row has holes, or a picture cannot be read.
    """
    one, two = _contents(first), _contents(second)
    counts, shared = {}, []
    for kind, label in (("images", "images"), ("questions", "questions"), ("both", "images with the same question")):
        here, there = getattr(one, kind), getattr(two, kind)
        common = sorted(here.keys() & there.keys())
        rows = [{row for key in common for row in side[key]} for side in (here, there)]
        counts[label] = (len(common), *map(len, rows))
        for key in common:
            found = {"first": sorted(set(here[key])), "second": sorted(set(there[key]))}
            shared.append({"kind": kind, "key": key if isinstance(key, str) else list(key), **found})
    return Overlap(counts, shared)


def normalized(question: str) -> str:
    return " ".join(_WORD.findall(question.lower()))


def _contents(path: Path) -> Contents:
    file, media = open_rows(path)
    rows = []
    for batch in file.iter_batches(1024, columns=[media, "extra_info"]):
        for row in batch.to_pylist():
            if hole := next(empty_fields(row, media), None):
                raise InputError(f"{path}, row {len(rows)}: {hole[0]} {hole[1]}. See all such rows: medgrpo data check")
            known = row["extra_info"].get("image_id") or ""
            paths = [name for item in row[media] for name in media_files(item)]
            files = [known] if _CONTENT_ID.fullmatch(known) else paths
            rows.append((files, normalized(_bare_question(path, len(rows), row["extra_info"]))))
    paths = sorted({name for files, _ in rows for name in files if not _CONTENT_ID.fullmatch(name)})
    with ThreadPoolExecutor(16) as pool:
        digests = dict(
            zip(paths, tqdm(pool.map(_digest, paths), total=len(paths), unit="file", disable=None), strict=True)
        )
    contents = Contents()
    for number, (files, question) in enumerate(rows):
        contents.questions[question].append(number)
        for name in dict.fromkeys(digests.get(name, name) for name in files):
            contents.images[name].append(number)
            contents.both[name, question].append(number)
    return contents


def _bare_question(path: Path, number: int, info: dict) -> str:
    question = info["question"] or ""
    try:
        return question.removesuffix(option_line(json.loads(info.get("options") or "[]")))
    except (ValueError, TypeError):
        raise InputError(
            f"{path}, row {number}: extra_info.options is {info['options']!r}, no JSON list. Write the file with "
            "data_preprocess"
        ) from None


def _digest(path: str) -> str:
    try:
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()[:16]
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}): images are compared by their content") from error
