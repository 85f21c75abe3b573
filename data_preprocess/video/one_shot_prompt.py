# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""A system message with one example of the answer's form, for models that were not tuned on it.

The benchmark's parsers read nothing from free prose, so an untuned model scores 0 without one. The examples are made
up; only their form is the benchmark's.
"""

import random

_CVS = "Two structures: {}, Cystic plate: {}, Hepatocystic triangle: {}"
EXAMPLES = {
    "tag": ("When does the action 'cutting' take place?", "4.0-9.5, 21.0-26.0 seconds."),
    "stg": (
        "Where is the grasper, every 2 seconds from 3.0 to 7.0 seconds?",
        "3.0 seconds: [212, 96, 388, 241] 5.0 seconds: [220, 101, 397, 250] 7.0 seconds: [231, 99, 402, 246]",
    ),
    "vs": (
        "Summarize the clip in a short paragraph.",
        "The surgeon exposes the field with a grasper, dissects along the tissue plane and stops a small bleeding.",
    ),
    "rc": (
        "Describe what happens inside the bounding box at 2.0 seconds, over the interval from 2.0 to 12.0 seconds.",
        "A hook dissects the tissue along the edge while a grasper pulls it upwards.",
    ),
    "dvc": (
        "Describe every event with its start and end time.",
        "2.0-11.0 seconds: prepare the skin: The nurse wipes the skin with a swab.\n"
        "14.0-20.0 seconds: inject: The needle is inserted and the drug given slowly.",
    ),
    "nap": ("The steps are ['cutting', 'tying', 'suturing']. What comes next?", "tying"),
    "sa": (
        "Rate the six aspects of surgical skill from 1 to 5.",
        "Respect for tissue: 3/5, Suture/needle handling: 2/5, Time and motion: 3/5, Flow of operation: 4/5, "
        "Overall performance: 3/5, Quality of final product: 2/5",
    ),
    "cvs": ("Rate Strasberg's three criteria from 0 to 2.", _CVS),
}


def system_message(task: str, index: int) -> str:
    """The message for a task, "" for one without an example.

    The grades of the CVS example are drawn anew from ``index``: a fixed one draws the answers to it.
    """
    if task not in EXAMPLES:
        return ""
    question, answer = EXAMPLES[task]
    if task == "cvs":
        draw = random.Random(index)
        answer = answer.format(*(draw.randint(0, 2) for _ in range(3)))
    return (
        "Answer the question about the clip in exactly the form of this example, and add nothing else. The example is "
        f"about another clip.\nQuestion: {question}\nAnswer: {answer}"
    )
