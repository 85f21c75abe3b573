# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""The only list of tasks, and how a module from elsewhere joins it."""

import os
import sys
from importlib import import_module
from types import ModuleType

from reward_score.errors import BadOption, UnknownTask
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
_COMPONENTS = frozenset({"raw", "similarity", "judge"})


def task_module(task: str) -> ModuleType:
    """The module that scores a task."""
    if task not in TASKS:
        raise UnknownTask(f"task {task!r} is unknown; known: {', '.join(TASKS)}")
    return TASKS[task]


def add_task(module_name: str) -> str:
    """Add a module of the user's (option `extra_tasks`), also of the working folder, to this process's table of tasks.

    Returns:
        The task's name, the last part of the module's.

    Raises:
        BadOption: the module cannot be imported, is no task, or takes another task's name.
    """
    task = module_name.rpartition(".")[2]
    if (folder := os.getcwd()) not in sys.path:
        # A console script's own search path lacks the working folder.
        sys.path.append(folder)
    try:
        module = import_module(module_name)
    except Exception as error:
        raise BadOption(
            f"extra_tasks: cannot import {module_name!r} ({type(error).__name__}: {error}); install it, put its folder "
            f"on PYTHONPATH, or start in it (here: {folder})"
        ) from error
    if not callable(getattr(module, "rate", None)) or not _COMPONENTS.issuperset(getattr(module, "COMPONENTS", "?")):
        raise BadOption(
            f"extra_tasks: {module_name!r} is no task: it needs a function `rate` and a tuple `COMPONENTS` of "
            f"{', '.join(sorted(_COMPONENTS))}"
        )
    if TASKS.setdefault(task, module) is not module:
        raise BadOption(
            f"extra_tasks: there is a task {task!r} already ({TASKS[task].__name__}); rename {module_name!r}"
        )
    return task
