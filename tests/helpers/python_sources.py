# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""A package read as text: which names it has, and which arguments they take. Nothing of it is imported or run."""

import ast
import functools
import hashlib
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path


def wheel(package: str, lock: Path) -> Path:
    """The wheel of ``package`` that a lock file pins; fetched once, by pip, which checks its hash.

    It is kept in $MEDGRPO_WHEELS, otherwise in the user's cache folder.
    """
    pin = re.search(rf"^{package}==.*(?:\n +--hash=.*)+\n", lock.read_text(), re.MULTILINE).group()
    default = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "verl-medgrpo/wheels"
    folder = Path(os.environ.get("MEDGRPO_WHEELS") or default)
    folder.mkdir(parents=True, exist_ok=True)

    def kept() -> list[Path]:
        return [file for file in folder.glob("*.whl") if hashlib.sha256(file.read_bytes()).hexdigest() in pin]

    if not kept():
        (folder / "requirements.txt").write_text(pin)
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
        command += ["--only-binary=:all:", f"--dest={folder}", "--requirement", str(folder / "requirements.txt")]
        subprocess.run(command, check=True)
    return kept()[0]


def files_of(wheel: Path) -> dict[str, bytes]:
    """Path within the wheel -> content, of its Python files."""
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist() if name.endswith(".py")}


def statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements of a module or class, those within if, try and with among them."""
    for node in body:
        yield node
        for part in ("body", "orelse", "finalbody", "handlers"):
            if isinstance(node, ast.If | ast.Try | ast.With | ast.ExceptHandler):
                yield from statements(getattr(node, part, []))


def literal_keys(node: ast.AST) -> set[str]:
    """The words that are keys of a dict literal in ``node``, or keywords of a call in it."""
    keys = {key.value for each in ast.walk(node) if isinstance(each, ast.Dict) for key in each.keys if key}
    return keys | {each.arg for each in ast.walk(node) if isinstance(each, ast.keyword) and each.arg}


class Sources:
    """Python files by their path in a package's parent folder.

    Example:
        >>> sources = Sources({"p/__init__.py": b"from p.a import f", "p/a.py": b"def f(x, *, y=1): pass"})
        >>> sources.arguments(sources.find("p", "f")[1])
        ({'x', 'y'}, False)
    """

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self.files = files
        self._tree = functools.cache(ast.parse)

    def tree(self, module: str) -> ast.Module | None:
        path = module.replace(".", "/")
        content = self.files.get(f"{path}.py", self.files.get(f"{path}/__init__.py"))
        return None if content is None else self._tree(content)

    def find(self, module: str, name: str) -> tuple[str, ast.AST] | None:
        """Module and statement that define ``module.name``, through re-exports; None if there is no such name."""
        tree = self.tree(module)
        if tree is None:
            return None
        for node in statements(tree.body):
            match node:
                case ast.ClassDef(name=found) | ast.FunctionDef(name=found) | ast.AsyncFunctionDef(name=found):
                    if found == name:
                        return module, node
                case ast.Assign(targets=targets) if name in {getattr(target, "id", None) for target in targets}:
                    return module, node
                case ast.AnnAssign(target=ast.Name(id=found)) if found == name:
                    return module, node
                case ast.ImportFrom() | ast.Import():
                    for alias in node.names:
                        if (alias.asname or alias.name) == name:
                            return self._follow(module, node, alias)
        submodule = self.tree(f"{module}.{name}")
        return (f"{module}.{name}", submodule) if submodule else None

    def _follow(self, module: str, node: ast.ImportFrom | ast.Import, alias: ast.alias) -> tuple[str, ast.AST] | None:
        """What an import brings; the import itself if that lies outside of these files."""
        source = "" if isinstance(node, ast.Import) else node.module or ""
        if isinstance(node, ast.ImportFrom) and node.level:
            here = module if f"{module.replace('.', '/')}/__init__.py" in self.files else module.rpartition(".")[0]
            parts = here.split(".")
            source = ".".join(parts[: len(parts) - node.level + 1] + ([source] if source else []))
        inside = source.split(".")[0] == module.split(".")[0]
        if not inside:
            return module, node
        submodule = self.tree(f"{source}.{alias.name}")
        if submodule:
            return f"{source}.{alias.name}", submodule
        return self.find(source, alias.name) if source != module else None

    def bases(self, module: str, cls: ast.ClassDef) -> list[tuple[str, ast.ClassDef]]:
        """The classes that a class names as its bases, as far as these files define them."""
        names = [base.value if isinstance(base, ast.Subscript) else base for base in cls.bases]
        found = [self.find(module, name.id) for name in names if isinstance(name, ast.Name)]
        return [home for home in found if home and isinstance(home[1], ast.ClassDef)]

    def members(self, module: str, cls: ast.ClassDef) -> dict[str, ast.AST]:
        """Methods and annotated fields of a class, inherited ones included."""
        found = {}
        for base in reversed(self.bases(module, cls)):
            found |= self.members(*base)
        for node in statements(cls.body):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                found[node.name] = node
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                found[node.target.id] = node
        return found

    def arguments_of(self, module: str, cls: ast.ClassDef, method: str) -> tuple[set[str], bool]:
        """Likewise of a method; one that takes any others hands them to that of its base."""
        names, any_other = set(), True
        own = next((node for node in statements(cls.body) if getattr(node, "name", None) == method), None)
        if own:
            names, any_other = self.arguments(own)
        for base in self.bases(module, cls) if any_other else ():
            more, any_other = self.arguments_of(*base, method)
            names |= more
            if not any_other:
                break
        return names, any_other

    @staticmethod
    def arguments(function: ast.FunctionDef) -> tuple[set[str], bool]:
        """Names that a function takes as keywords, and whether it takes any others as well."""
        args = function.args
        return {arg.arg for arg in args.args + args.kwonlyargs} - {"self", "cls"}, args.kwarg is not None
