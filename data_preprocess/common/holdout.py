# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Which source videos are held out."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable

#: Members of families that several sources share: operations by their number in Cholec80 and Cholec120.
MEMBERS = {"cholec": {str(number) for number in (*range(1, 81), 92, 96, 103, 110, 111)}}


def validation_videos(videos: Iterable[tuple[str, str]], ratio: float, seed: int = 0) -> set[tuple[str, str]]:
    """Choose whole source videos for validation, so that no clip of a training video is ever evaluated.

    Within each source the videos are ordered by a hash of seed, source and video. The first ``ratio`` of them are
    taken, at least one and never all where a source has two or more. The order of the records has no influence. Of a
    family whose members are known (the patients of the three Cholec sets), all of them are ordered: a patient is on the
    same side in every file. MedGRPO splits 0.85/0.15 by source video.

    Args:
        videos: pairs (source, video id) or (family, member), repeated at will.
    """
    of_source: dict[str, set[str]] = defaultdict(set)
    for source, video in videos:
        of_source[source].add(video)
    chosen = set()
    for source, names in of_source.items():
        names = names | MEMBERS.get(source, set())
        count = round(ratio * len(names))
        if 0 < ratio < 1 and len(names) >= 2:
            count = min(max(count, 1), len(names) - 1)
        ordered = sorted(names, key=lambda name: hashlib.sha256(f"{seed}\0{source}\0{name}".encode()).digest())
        chosen.update((source, name) for name in ordered[:count])
    return chosen
