# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""The only list of tasks."""

from types import ModuleType

from reward_score.errors import UnknownTask
from reward_score.tasks import caption, cvs, dvc, multiple_choice, nap, open_answer, sa, stg, tag

TASKS: dict[str, ModuleType] = {
    "tag": tag,
    "stg": stg,
    "vs": caption,
    "rc": caption,
    "dvc": dvc,
    "nap": nap,
    "sa": sa,
    "cvs": cvs,
    "mcq": multiple_choice,
    "closed": open_answer,
    "open": open_answer,
}
#: Tasks whose reward is a weighted sum that is not normalized: `reward_score.tasks.vqa_reward`.
VQA_TASKS = ("mcq", "closed", "open")


def task_module(task: str) -> ModuleType:
    """The module that scores a task."""
    if task not in TASKS:
        raise UnknownTask(f"task {task!r} is unknown; known: {', '.join(TASKS)}")
    return TASKS[task]
