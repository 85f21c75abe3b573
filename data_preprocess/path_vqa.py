# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""PathVQA -> train.parquet and test.parquet for verl.

    python -m data_preprocess.path_vqa --root DIR --out DIR

Reads the hub's Parquet files. An answer is closed if it is yes or no. The published test set is kept with
``--split-unit published`` (it has a validation part, val.parquet); the default draws whole images.
"""

import sys
from collections.abc import Sequence

from data_preprocess.common.errors import InputError
from data_preprocess.images import convert
from data_preprocess.images.convert import Reading
from data_preprocess.images.hub_parquet import read_parquet

BENCHMARK = "pathvqa"
HUB = "flaviagiammarino/path-vqa"


def read(reading: Reading) -> None:
    if not read_parquet(reading, "pathology"):
        raise InputError(f"{reading.root} holds no train-*.parquet: give the folder of the hub's files with --root")


def main(argv: Sequence[str] | None = None) -> int:
    cli = convert.parser("data_preprocess.path_vqa", __doc__, HUB, ["data/*.parquet"])
    return convert.run(BENCHMARK, read, cli, argv)


if __name__ == "__main__":
    sys.exit(main())
