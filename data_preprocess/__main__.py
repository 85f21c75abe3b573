# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""``python -m data_preprocess``: lists the commands of this package."""

import ast
from pathlib import Path

_HERE = Path(__file__).parent


def commands() -> dict[str, str]:
    """Name of each module that is a command (``slake``, ``synthetic.imaging``) -> what it does. None is imported."""
    found = {}
    for file in sorted(_HERE.rglob("*.py")):
        source = file.read_text(encoding="utf-8")
        name = ".".join(file.relative_to(_HERE).with_suffix("").parts).removesuffix(".__main__")
        if file.name == "__main__.py" or ("def main(argv" in source and '__name__ == "__main__"' in source):
            found[name] = (ast.get_docstring(ast.parse(source)) or "").partition("\n")[0]
    return {name: summary for name, summary in found.items() if name != "__main__"}


def converters() -> list[str]:
    """Names of the commands that read a published data set: the modules next to this one."""
    return [name for name in commands() if (_HERE / f"{name}.py").exists()]


if __name__ == "__main__":
    for command, summary in commands().items():
        print(f"python -m data_preprocess.{command:<18}  {summary}")
