# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""This project's messages in the processes of a training: on stderr, and the warnings in a file of the run.

verl sets the root logger to its own level, ERROR in the trainer's process, which would swallow every warning of ours.
"""

import json
import logging
from pathlib import Path

#: Next to the checkpoints; one JSON object per line: time (seconds since 1970), level, step (or null) and message.
ALARMS = "alarms.jsonl"
PACKAGES = ("recipe.medgrpo", "reward_score", "data_preprocess")


class AlarmFile(logging.Handler):
    """Appends warnings and errors to ``alarms.jsonl`` in a folder, whoever else writes there."""

    def __init__(self, folder: Path) -> None:
        super().__init__(logging.WARNING)
        self.file = folder / ALARMS

    def emit(self, record: logging.LogRecord) -> None:
        message = {"level": record.levelname.lower(), "step": getattr(record, "step", None)}
        line = {"time": round(record.created, 3), **message, "message": record.getMessage()}
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            with self.file.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line, ensure_ascii=False) + "\n")
        except OSError:
            self.handleError(record)


def keep_messages(folder: Path) -> None:
    """Give this project's loggers a level and handlers of their own; ``folder`` is the checkpoints'."""
    screen = logging.StreamHandler()
    screen.setFormatter(logging.Formatter("%(levelname)s medgrpo %(asctime)s: %(message)s"))
    for package in PACKAGES:
        logger = logging.getLogger(package)
        logger.handlers, logger.propagate = [screen, AlarmFile(folder)], False
        logger.setLevel(logging.INFO)
