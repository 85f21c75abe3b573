# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Which task a qa_type is, and the one spelling of each source."""

import pytest

from data_preprocess.schema import TASKS
from data_preprocess.video.medvidbench_names import SOURCES, canonical_source, task_of


@pytest.mark.parametrize("name", SOURCES)
def test_sources_keep_their_name(name):
    assert canonical_source(name) == name
    assert canonical_source(name.lower()) == name
    assert canonical_source(name.replace("-", "_")) == name


def test_an_unseen_source_is_kept():
    assert canonical_source("My Hospital-7") == "My Hospital-7"


@pytest.mark.parametrize(
    ("qa_type", "task"),
    [
        ("tal", "tag"),
        ("stg", "stg"),
        ("dense_captioning_gpt", "dvc"),
        ("dense_captioning_gemini", "dvc"),
        ("next_action", "nap"),
        ("cvs_assessment", "cvs"),
        ("video_summary_gpt", "vs"),
        ("video_summary_gemini", "vs"),
        ("region_caption_gpt", "rc"),
        ("region_caption_gemini", "rc"),
        ("skill_assessment", "sa"),
        ("dc", "dvc"),
        ("TAL", "tag"),
        ("Organ counting", "organ_counting"),
    ],
)
def test_task_of_qa_type(qa_type, task):
    assert task_of(qa_type) == task
    assert task in TASKS or "_" in task
