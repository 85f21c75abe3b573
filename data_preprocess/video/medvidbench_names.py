# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Names of the released data: which task a ``qa_type`` is, and the one spelling of each source."""

import re

# `qa_type` of the released data and the other spellings that the benchmark's evaluators accept (MedVidBench card).
TASK_OF_QA_TYPE = {
    "tal": "tag",
    "tag": "tag",
    "stg": "stg",
    "video_summary": "vs",
    "vs": "vs",
    "region_caption": "rc",
    "rc": "rc",
    "dense_captioning": "dvc",
    "dense_caption": "dvc",
    "dc": "dvc",
    "dvc": "dvc",
    "next_action": "nap",
    "nap": "nap",
    "skill_assessment": "sa",
    "sa": "sa",
    "cvs_assessment": "cvs",
    "cvs": "cvs",
}
# Which model wrote the reference caption; the task is the same.
CAPTION_AUTHORS = ("_gpt", "_gemini")

SOURCES = ("AVOS", "CholecT50", "CholecTrack20", "Cholec80-CVS", "CoPESD", "EgoSurgery", "JIGSAWS", "NurViD")
_SOURCE_OF_LETTERS = {re.sub(r"[^a-z0-9]", "", name.lower()): name for name in SOURCES}


def canonical_source(name: str) -> str:
    """The one spelling of a known source (``Cholec80_CVS``, ``jigsaws``, ...); an unknown name is returned as it is."""
    return _SOURCE_OF_LETTERS.get(re.sub(r"[^a-z0-9]", "", name.lower()), name)


def task_of(qa_type: str) -> str | None:
    """Task of a ``qa_type`` with ``_gpt``/``_gemini`` variants merged, or None for one never seen."""
    plain = qa_type.strip().lower()
    for author in CAPTION_AUTHORS:
        plain = plain.removesuffix(author)
    return TASK_OF_QA_TYPE.get(plain)
