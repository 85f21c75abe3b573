# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Terminal tables that fit 80 columns, which is what a log or a pipe gets."""

from collections.abc import Sequence

from rich import box
from rich.table import Table


def compact_table(title: str, left: Sequence[str], right: Sequence[str]) -> Table:
    """An empty table with columns aligned ``left`` (names), then ``right`` (numbers); cells never wrap."""
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, show_edge=False, padding=0)
    for names, justify in ((left, "left"), (right, "right")):
        for name in names:
            table.add_column(name, no_wrap=True, justify=justify)
    return table
