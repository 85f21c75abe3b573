# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""verl's loggers with this recipe's configuration and metrics: what lies on disk afterwards, and what must not."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from configuration import composed
from omegaconf import OmegaConf
from verl.utils.tracking import Tracking, ValidationGenerationsLogger

from recipe.medgrpo.trainer.step_metrics import ScoredAnswer, step_metrics

SCORE = {"raw": 0.25, "normalized": 0.5, "score": 0.5, "parsed": 1.0, "cut": 0.0}
PAIR = "medgrpo/CoPESD/tag/raw/mean"
SAMPLES = [["When is the cutting?", "1.0-3.0 seconds, said the policy.", 0.625]]
HEADER, BLOCK = 7, 2**15
KEY = "sk-very-secret-0123456789"


@pytest.fixture(scope="module")
def logged(tmp_path_factory) -> Path:
    """A folder after two steps and one validation; the judge's key is in the environment as in a run.

    One for all tests: wandb keeps the first folder that a process names.
    """
    folder = tmp_path_factory.mktemp("loggers")
    needed = ["data.train_files=t", "data.val_files=v", "actor_rollout_ref.model.path=m", "judge=openai"]
    config = composed(*needed, "medgrpo.reward.artifact=a", "trainer.logger=[console,wandb,tensorboard]")
    names = config.trainer.project_name, config.trainer.experiment_name
    answers = [ScoredAnswer(f"u{i}", "medvidbench/CoPESD/tag", SCORE, 9, 0.5) for i in range(4)]
    variables = {"WANDB_MODE": "offline", "WANDB_DIR": folder, "TENSORBOARD_DIR": folder / "tb", "OPENAI_API_KEY": KEY}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, str(value))
        plain = OmegaConf.to_container(config, resolve=True)
        tracking = Tracking(*names, list(config.trainer.logger), config=plain)
        for step in (1, 2):
            tracking.log(data=step_metrics(answers, asked=4), step=step)
        ValidationGenerationsLogger(*names).log(config.trainer.logger, SAMPLES, 2)
        tracking.finish()
    return folder


def records(folder: Path) -> bytes:
    """All that wandb recorded of the one run: its file without what frames the pieces of a record.

    The format is LevelDB's log: blocks of 32 KiB, and before each piece a checksum (4 bytes), its length (2), its kind.
    """
    [file] = (folder / "wandb").glob("offline-run-*/run-*.wandb")
    content, found, position = file.read_bytes(), b"", HEADER
    while position + HEADER <= len(content):
        left = BLOCK - position % BLOCK
        if left < HEADER:
            position += left
            continue
        length = int.from_bytes(content[position + 4 : position + 6], "little")
        found += content[position + HEADER : position + HEADER + length]
        position += HEADER + length
    return found


def contents(folder: Path) -> Iterator[bytes]:
    return (file.read_bytes() for file in folder.rglob("*") if file.is_file())


def test_wandb_offline_holds_the_metrics_of_each_pair_and_the_validation_table(logged):
    found = records(logged)
    assert b"CoPESD/tag/raw/mean" in found and b"val/generations" in found
    tables = [file.read_text() for file in logged.rglob("*.table.json")]
    assert any(SAMPLES[0][1] in table for table in tables)


def test_tensorboard_holds_them_too(logged):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(logged / "tb"))
    events.Reload()
    assert [(event.step, event.value) for event in events.Scalars(PAIR)] == [(1, 0.25), (2, 0.25)]
    assert SAMPLES[0][1].encode() in b"".join(contents(logged / "tb"))


def test_no_logger_keeps_a_secret(logged):
    # wandb's file is also searched as records: a text may be cut where a block of the file ends.
    files = [*contents(logged), records(logged)]
    assert not any(KEY.encode() in content for content in files)
    # The search finds what is there: a value of the configuration.
    assert any(b"gpt-4.1" in content for content in files)
