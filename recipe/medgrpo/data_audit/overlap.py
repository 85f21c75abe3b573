# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""What two Parquet files have in common: a test picture or question that was trained on is no test."""

from __future__ import annotations

import hashlib
import json
import re
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tqdm import tqdm

from data_preprocess.common.errors import InputError
from data_preprocess.schema import option_line
from recipe.medgrpo.data_audit.check import empty_fields, media_files, open_rows

_CONTENT_ID = re.compile(r"[0-9a-f]{16}")
_WORD = re.compile(r"\w+")


# Positions of a file's rows by image, by normalized question, and by both.
_Places = dict[str, dict[object, list[int]]]


def find_overlap(first: Path, second: Path) -> tuple[dict[str, tuple[int, int, int]], list[dict]]:
    """Images of equal content, questions of equal words, and rows of which both are equal.

    An image row is known by its ``image_id``, the hash of the published file, also where a resized copy is used.
    Frames, and images whose id is no hash, are known by the content of their files. Options are no part of a question
    here: the same one with its options in another order is no test either.

    Returns:
        Kind to (things in common, rows of the first file concerned, rows of the second); and the list of things.
    """
    one, two = _places(first), _places(second)
    counts, shared = {}, []
    for kind, label in (("images", "images"), ("questions", "questions"), ("both", "images with the same question")):
        common = sorted(one[kind].keys() & two[kind].keys())
        rows = [{row for key in common for row in side[kind][key]} for side in (one, two)]
        counts[label] = (len(common), *map(len, rows))
        for key in common:
            found = {"first": sorted(set(one[kind][key])), "second": sorted(set(two[kind][key]))}
            shared.append({"kind": kind, "key": key if isinstance(key, str) else list(key), **found})
    return counts, shared


def _places(path: Path) -> _Places:
    file, media = open_rows(path)
    rows = []
    for batch in file.iter_batches(1024, columns=[media, "extra_info"]):
        for row in batch.to_pylist():
            if hole := next(empty_fields(row, media), None):
                raise InputError(f"{path}, row {len(rows)}: {hole[0]} {hole[1]}. See all such rows: medgrpo data check")
            known = row["extra_info"].get("image_id") or ""
            paths = [name for item in row[media] for name in media_files(item)]
            files = [known] if _CONTENT_ID.fullmatch(known) else paths
            words = _WORD.findall(_bare_question(path, len(rows), row["extra_info"]).lower())
            rows.append((files, " ".join(words)))
    paths = sorted({name for files, _ in rows for name in files if not _CONTENT_ID.fullmatch(name)})
    with ThreadPoolExecutor(16) as pool:
        found = tqdm(pool.map(_digest, paths), total=len(paths), unit="file", disable=None)
        digests = dict(zip(paths, found, strict=True))
    places = {kind: defaultdict(list) for kind in ("images", "questions", "both")}
    for number, (files, question) in enumerate(rows):
        places["questions"][question].append(number)
        for name in dict.fromkeys(digests.get(name, name) for name in files):
            places["images"][name].append(number)
            places["both"][name, question].append(number)
    return places


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
