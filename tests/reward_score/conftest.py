# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
import json

import pytest
from hypothesis import settings

from reward_score import ScoreConfig, Scorer, make_sample
from reward_score.similarity import SentenceEncoder

# The same examples in every run: a red test must stay red until it is fixed.
settings.register_profile("reward_score", derandomize=True, deadline=None, database=None)
settings.load_profile("reward_score")

REFERENCES = {
    "tag": "22.0-78.0, 89.0-94.0 seconds.",
    "stg": "1.0 seconds: [235.08, 261.2, 561.58, 1005.62] 5.0 seconds: [274.26, 261.2, 561.58, 1005.62]",
    "vs": "The surgeon retracts the gallbladder with a grasper while the hook dissects the cystic duct.",
    "rc": "The clipper applies a clip to the cystic artery.",
    "dvc": "36.0-49.0 seconds: place an underpad: The nurse spreads a drape under the arm.\n"
    "50.0-70.5 seconds: disinfect skin: The nurse wipes the skin with a cotton swab.",
    "nap": "tying",
    "sa": "Respect for tissue: 2/5, Suture/needle handling: 1/5, Time and motion: 1/5, Flow of operation: 2/5, "
    "Overall performance: 1/5, Quality of final product: 3/5",
    "cvs": "Two structures: 2, Cystic plate: 1, Hepatocystic triangle: 0",
    "mcq": "C",
    "closed": "yes",
    "open": "left kidney",
}
QUESTION = "The procedure includes the following step list: ['cutting', 'tying', 'suturing']. What comes next?"


@pytest.fixture(scope="session")
def encoder():
    """The real all-MiniLM-L6-v2, loaded once."""
    return SentenceEncoder()


@pytest.fixture(scope="session")
def references():
    """One reference answer in the official format per task."""
    return dict(REFERENCES)


@pytest.fixture(scope="session")
def scorer(encoder):
    """Scores any task, without normalization."""
    return Scorer(ScoreConfig(reward_tasks="all", similarity=encoder))


@pytest.fixture(scope="session")
def score(scorer):
    """score(task, answer, reference=None, struc_info=None, fps=1.0) -> dict."""

    def run(task, answer, reference=None, struc_info=None, fps=1.0, source="AVOS"):
        extra = {"fps": fps, "question": QUESTION}
        if struc_info is not None:
            extra["struc_info"] = json.dumps(struc_info)
        reference = REFERENCES[task] if reference is None else reference
        return scorer.score([make_sample(f"medvidbench/{source}/{task}", answer, reference, extra)])[0]

    return run
