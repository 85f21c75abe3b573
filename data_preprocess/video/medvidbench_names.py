# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Names of the released data: which task a ``qa_type`` is, and the one spelling of each source."""

import re
from difflib import get_close_matches
from functools import lru_cache

from data_preprocess.schema import TASKS

# `qa_type` of the released data and the other spellings that the benchmark's evaluators accept (MedVidBench card).
TASK_OF_QA_TYPE = {
    **{task: task for task in TASKS},
    "tal": "tag",
    "video_summary": "vs",
    "region_caption": "rc",
    "dense_captioning": "dvc",
    "dense_caption": "dvc",
    "dc": "dvc",
    "next_action": "nap",
    "skill_assessment": "sa",
    "cvs_assessment": "cvs",
}
# Which model wrote the reference caption; the task is the same.
CAPTION_AUTHORS = ("_gpt", "_gemini")

SOURCES = ("AVOS", "CholecT50", "CholecTrack20", "Cholec80-CVS", "CoPESD", "EgoSurgery", "JIGSAWS", "NurViD")
_SOURCE_OF_LETTERS = {re.sub(r"[^a-z0-9]", "", name.lower()): name for name in SOURCES}


def canonical_source(name: str) -> str:
    """The one spelling of a known source (``Cholec80_CVS``, ``jigsaws``, ...); an unknown name is returned as it is."""
    return _SOURCE_OF_LETTERS.get(re.sub(r"[^a-z0-9]", "", name.lower()), name)


@lru_cache
def nearest(name: str, known: tuple[str, ...] = tuple(TASK_OF_QA_TYPE)) -> str:
    """A guess at what was meant, as " (did you mean ...?)"; "" without one."""
    found = get_close_matches(name.strip().lower(), known, n=1)
    return f" (did you mean {found[0]!r}?)" if found else ""


def task_of(qa_type: str) -> str:
    """Task of a ``qa_type``; one that nobody has met keeps its name, and reward code then says so."""
    plain = qa_type.strip().lower()
    for author in CAPTION_AUTHORS:
        plain = plain.removesuffix(author)
    return TASK_OF_QA_TYPE.get(plain) or re.sub(r"[^a-z0-9_]+", "_", qa_type.strip().lower())
