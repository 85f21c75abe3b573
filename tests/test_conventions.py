# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""verl's conventions, and this project's own, hold for every Python file of the repository."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
PACKAGES = ("recipe", "reward_score", "data_preprocess")
LONGEST_FILE = 400
HEADER = re.compile(r"# Copyright \d{4} .+\n# SPDX-License-Identifier: Apache-2\.0\n")
#: The rules of verl's own pyproject.toml (0.10 development branch), which its wheel does not carry.
VERL_SELECT = "E,F,UP,B,I,G"
VERL_IGNORE = "F405,F403,E731,B007,UP032,G004,UP045,UP035"
#: Which package may import which.
PACKAGE_ARROWS = {"data_preprocess": set(), "reward_score": set(), "recipe": {"data_preprocess", "reward_score"}}
#: Which room or module may import which of its package. A module that is not named here stands above
#: all of them: it may import any, and none that is named may import it.
ARROWS = {
    "data_preprocess": {
        "common": set(),
        "schema": set(),
        "parquet_writer": {"common", "schema"},
        "media": {"common"},
        "images": {"common", "media", "parquet_writer", "schema"},
        "video": {"common", "media", "schema"},
        "synthetic": {"common", "images", "media"},
        "build": {"common", "media", "video"},
    },
    "reward_score": {
        "errors": set(),
        "json_file": set(),
        "ground_truth": {"errors"},
        "sample": {"errors", "ground_truth"},
        "similarity": {"errors", "sample"},
        "judge": {"errors", "sample"},
        "tasks": {"errors", "ground_truth", "sample"},
        "normalization": {"errors", "json_file", "similarity"},
        "config": {"errors", "judge", "normalization", "tasks"},
        "reward": {"config", "judge", "normalization", "tasks"},
        "leaderboard": {"errors", "ground_truth", "json_file", "judge", "sample", "similarity", "tasks"},
    },
    "recipe.medgrpo": {
        "common": set(),
        "scoring": {"common"},
        "model_inputs": {"common"},
        "data_audit": {"common"},
        "captions": {"common"},
        "cpu": (low := {"common", "model_inputs", "scoring"}),
        "trainer": low,
        "preflight": {*low, "cpu", "trainer"},
        "evaluation": {*low, "cpu", "trainer"},
        "browse": {"common"},
        "export": {"common", "model_inputs"},
        "lmms_eval": {"export"},
        "replay": {*low, "evaluation"},
        "report": {*low, "cpu", "trainer", "evaluation", "preflight"},
        "study": {"common", "evaluation", "report"},
    },
}
#: Every subcommand's module has these two; recipe/medgrpo/cli.py says what they are.
COMMAND_PROTOCOL = {"add_arguments", "run", "main"}

FILES = sorted(
    file for folder in (*PACKAGES, "tests") for file in (REPOSITORY / folder).rglob("*.py") if file.stat().st_size
)


def name_of(file: Path) -> str:
    return str(file.relative_to(REPOSITORY))


def undocumented(source: str) -> list[str]:
    """Public classes and functions of a module without docstring; a function of one statement speaks for itself."""
    tree = ast.parse(source)
    missing = [] if ast.get_docstring(tree) else ["module"]
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            simple = not isinstance(node, ast.ClassDef) and len(node.body) == 1
            if not (simple or node.name in COMMAND_PROTOCOL or ast.get_docstring(node)):
                missing.append(node.name)
    return missing


def imported(source: str) -> set[str]:
    """All that a module imports, at its top or within functions; ``from a import b`` counts as ``a.b``."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def upward(module: str, source: str) -> list[str]:
    """What a module imports against the arrows."""
    home, wrong = module.split(".")[0], []
    for name in sorted(imported(source)):
        package = name.split(".")[0]
        if package in PACKAGE_ARROWS and package != home and package not in PACKAGE_ARROWS[home]:
            wrong.append(name)
        for prefix, rooms in ARROWS.items():
            if module.startswith(f"{prefix}.") and name.startswith(f"{prefix}."):
                own, other = (full.removeprefix(f"{prefix}.").split(".")[0] for full in (module, name))
                if own in rooms and other not in rooms[own] | {own}:
                    wrong.append(name)
    return wrong


def test_there_are_files():
    assert len(FILES) > 100


def test_every_file_has_the_licence_header():
    assert [name_of(file) for file in FILES if not HEADER.match(file.read_text())] == []


def test_no_file_is_longer_than_a_person_reads():
    assert [name_of(file) for file in FILES if len(file.read_text().splitlines()) > LONGEST_FILE] == []


def test_public_names_are_documented():
    found = {
        name_of(file): missing
        for file in FILES
        if name_of(file).startswith(PACKAGES)
        if not (file.name == "__init__.py" and file.read_text().count("\n") <= 2)
        if (missing := undocumented(file.read_text()))
    }
    assert found == {}


def test_the_check_finds_what_is_undocumented():
    assert undocumented('"""Doc."""\ndef f():\n    x = 1\n    return x\nclass _C: pass\nclass C: pass\n') == ["f", "C"]


def test_imports_follow_the_arrows():
    found = {
        name_of(file): wrong
        for file in FILES
        if name_of(file).startswith(PACKAGES)
        if (
            wrong := upward(
                name_of(file).removesuffix(".py").removesuffix("/__init__").replace("/", "."), file.read_text()
            )
        )
    }
    assert found == {}


def test_the_table_of_arrows_names_what_exists_and_has_no_circle():
    for package, rooms in ARROWS.items():
        folder, placed = REPOSITORY / package.replace(".", "/"), set()
        for room, below in rooms.items():
            assert (folder / room).is_dir() or (folder / f"{room}.py").is_file(), room
            assert below <= placed, f"{room}: name first what it may import"
            placed.add(room)
        assert {path.parent.name for path in folder.glob("*/__init__.py")} - {"config"} <= placed


@pytest.mark.parametrize(
    ("module", "source", "wrong"),
    [
        ("reward_score.tasks.tag", "from reward_score import scorer", ["reward_score.scorer"]),
        ("reward_score.tasks.tag", "import data_preprocess.schema", ["data_preprocess.schema"]),
        ("reward_score.tasks.tag", "from reward_score.errors import RewardError", []),
        ("recipe.medgrpo.trainer.sampler", "def f():\n  from recipe.medgrpo import cli", ["recipe.medgrpo.cli"]),
        ("recipe.medgrpo.cli", "import recipe.medgrpo.report.page, reward_score.scorer", []),
    ],
)
def test_an_arrow_upward_is_found(module, source, wrong):
    assert upward(module, source) == wrong


@pytest.mark.parametrize(
    "arguments",
    [
        ["check"],
        ["format", "--check"],
        # As in verl, alone with its rules; only the first-party packages are named as this repository's own.
        ["check", "--isolated", "--line-length=120", "--target-version=py310", f"--select={VERL_SELECT}"]
        + [f"--ignore={VERL_IGNORE}", f"--config=lint.isort.known-first-party={list(PACKAGES)!r}"],
    ],
    ids=["our rules", "format", "verl's rules"],
)
def test_ruff(arguments):
    command = [sys.executable, "-m", "ruff", *arguments, "--no-cache", *PACKAGES, "tests", "setup.py"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_spelling():
    """As the pre-commit hook does, with the same configuration (pyproject.toml)."""
    done = subprocess.run(
        [sys.executable, "-m", "codespell_lib"], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_pre_commit_checks_with_the_versions_of_the_tests():
    text = (REPOSITORY / ".pre-commit-config.yaml").read_text()
    found = dict(re.findall(r"repo: \S+/(\w+)\S*\n +rev: v(\S+)", text))
    pinned = dict(re.findall(r"^([\w-]+)==(\S+)", (REPOSITORY / "requirements/cpu.txt").read_text(), re.MULTILINE))
    assert found == {name: pinned[name] for name in ("ruff", "codespell")}


def test_the_recipe_requires_the_verl_that_setup_installs():
    required = dict(
        line.split("=", 1)
        for line in (REPOSITORY / "recipe/medgrpo/REQUIRED_VERL.txt").read_text().splitlines()
        if line and not line.startswith("#")
    )
    pin = (REPOSITORY / "REQUIRED_VERL.txt").read_text().strip()
    assert required["PIP_INSTALL"] == f"pip install {pin}"
    assert required["VERL_VERSION"] == pin.removeprefix("verl==")


def test_the_recipes_readme_has_verl_recipes_sections():
    readme = (REPOSITORY / "recipe/medgrpo/README.md").read_text()
    for section in ("Installation", "Training", "Evaluation", "Citation"):
        assert f"\n## {section}\n" in readme
