# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""A judge and an encoder that were used before a fork work in the child and in the parent."""

import os
import subprocess
import sys

PROGRAM = """
import os, sys, time
import reward_score
from reward_score import CaptionPair, ScoreConfig, Scorer, make_sample
from reward_score.similarity import SentenceEncoder
import numpy as np

class Light(SentenceEncoder):
    def embed(self, texts):
        return np.array([[1.0, len(text) % 7] for text in texts]) / 10

options = {"base_url": sys.argv[1], "cache": sys.argv[2], "deadline": 30, "concurrency": 2}
scorer = Scorer(ScoreConfig(similarity=Light(), judge=options, reward_tasks="all", vqa={"weights": {"alignment": 1.0}}))

def score(name):
    row = make_sample("m/AVOS/rc", name, "The grasper retracts the gallbladder.", None)
    return scorer.score([row])[0]["judge"]

assert score("before") == 0.75
children = []
for i in range(2):
    child = os.fork()
    if not child:
        code = 1
        try:
            thought = make_sample("m/CT/mcq", f"<think>bone {os.getpid()}</think>C", "C", None)
            assert [score(f"child {i}"), score("before")] == [0.75, 0.75]
            assert scorer.score([thought])[0]["alignment"] == 1
            code = 0
        finally:
            os._exit(code)
    children.append(child)
assert score("parent") == 0.75
ends = [os.waitpid(child, 0)[1] for child in children]
assert score("afterwards") == 0.75
print(ends, scorer.judge.cache.pop_errors())
"""


def test_a_judge_used_before_a_fork_works_in_the_child(server, tmp_path, key):
    argv = [sys.executable, "-W", "error::ResourceWarning", "-c", PROGRAM, server.url, str(tmp_path / "judge.sqlite")]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=240, env={**os.environ, "PYTHONWARNINGS": ""})
    assert done.returncode == 0, done.stderr
    assert done.stdout == "[0, 0] 0\n"
    asked = [request["messages"][1]["content"] for request in server.requests]
    # "before" came from the cache file in both children.
    assert sum('"before"' in text for text in asked) == 1 and len(asked) == 7
