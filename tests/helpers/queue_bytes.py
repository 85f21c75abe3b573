# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Bytes that a training puts into TransferQueue's storage and gets out of it, counted where they are sent and received.

verl imports this module in all its processes where the environment is that of :func:`counting`; each message then
leaves a line in a file.
"""

import functools
import os
from pathlib import Path

from transfer_queue.utils.zmq_utils import ZMQMessage, ZMQRequestType, frame_nbytes

FILE = "MEDGRPO_TEST_QUEUE_BYTES"


def counting(file: Path) -> dict[str, str]:
    """The environment of a training whose bytes are to be written to ``file``."""
    path = f"{Path(__file__).parent}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    return {FILE: str(file), "PYTHONPATH": path, "VERL_USE_EXTERNAL_MODULES": "queue_bytes"}


def counted(file: Path) -> dict[str, int]:
    """Bytes ``put`` and ``got``."""
    found = {"put": 0, "got": 0}
    for line in file.read_text().splitlines():
        way, size = line.split()
        found[way] += int(size)
    return found


def _write(way: str, frames: list) -> None:
    with open(os.environ[FILE], "a") as file:
        file.write(f"{way} {sum(frame_nbytes(frame) for frame in frames)}\n")


def _install() -> None:
    serialize, deserialize = ZMQMessage.serialize, ZMQMessage.deserialize.__func__

    @functools.wraps(serialize)
    def serialize_and_count(self):
        frames = serialize(self)
        if self.request_type == ZMQRequestType.PUT_DATA:
            _write("put", frames)
        return frames

    @functools.wraps(deserialize)
    def deserialize_and_count(cls, frames):
        message = deserialize(cls, frames)
        if message.request_type == ZMQRequestType.GET_DATA_RESPONSE:
            _write("got", frames)
        return message

    ZMQMessage.serialize, ZMQMessage.deserialize = serialize_and_count, classmethod(deserialize_and_count)


if FILE in os.environ:
    _install()
