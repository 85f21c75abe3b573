# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""The documentation is true: the site builds, its commands exist, its Python runs, the files it names are there."""

import argparse
import ast
import contextlib
import functools
import importlib
import importlib.util
import io
import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import reward_score
from recipe.medgrpo.cli import build_parser
from reward_score.errors import BadGroundTruth

REPOSITORY = Path(__file__).resolve().parents[1]
DOCS = sorted((REPOSITORY / "docs").glob("*.md"))
PAGES = [*DOCS, REPOSITORY / "README.md", REPOSITORY / "CONTRIBUTING.md", REPOSITORY / "recipe/medgrpo/README.md"]
WRITE_A_REWARD = REPOSITORY / "docs/write_a_reward.md"
RELIABILITY = REPOSITORY / "docs/reliability.md"
CONFIG = REPOSITORY / "recipe/medgrpo/config"
OWN = ("data_preprocess", "recipe")

FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"(?<!`)`((?:[^`\n]|\n(?!\n))+)`(?!`)")
COMMAND = re.compile(r"(?:medgrpo|python -m [\w.]+) .*")
PATH = re.compile(r"\b(?:recipe|data_preprocess|reward_score|examples|tests|requirements|docs)/[\w./-]*\w\.\w+\b")
#: A reader's own file, which an example makes, is called my_*.
READERS_OWN = re.compile(r"\bmy_\w+")
RESULT = re.compile(r"#\s*(-?\d+(?:\.\d+)?)(\.\.\.)?\s*$")


def name_of(page: Path) -> str:
    return str(page.relative_to(REPOSITORY))


def commands(text: str) -> list[str]:
    """Command lines of a page: those of its code blocks that are no Python, and those between backquotes."""
    blocks = [body.replace("\\\n", " ") for language, body in FENCE.findall(text) if language != "python"]
    spans = [span.replace("\n", " ") for span in SPAN.findall(FENCE.sub("", text))]
    found = (COMMAND.search(line) for line in [*"\n".join(blocks).splitlines(), *spans])
    return [match[0] for match in found if match]


def words_of(command: str) -> list[str]:
    """Words up to the end of the first command of the line; brackets mean `optional` on a page."""
    words = []
    for word in shlex.split(re.sub(r"[\[\]]", " ", command), comments=True):
        if word in ("|", "&&", ">", ";"):
            break
        words.append(word.rstrip(";"))
        if word.endswith(";"):
            break
    return words


def fault(command: str) -> str | None:
    """What is wrong with a command; None if it names what exists."""
    program, *rest = words_of(command)
    if program == "python":
        return fault_of_module(rest[1], rest[2:])
    if rest[:2] == ["data", "convert"]:
        return fault_of_module(f"data_preprocess.{rest[2]}", rest[3:])
    return fault_of_words(medgrpo_parser(rest[0]), rest)


@functools.cache
def medgrpo_parser(command: str) -> argparse.ArgumentParser:
    return build_parser(command)


def fault_of_words(parser: argparse.ArgumentParser, words: list[str]) -> str | None:
    actions = next((a for a in parser._actions if isinstance(a, argparse._SubParsersAction)), None)
    for i, word in enumerate(words):
        if word.startswith("--"):
            option = parser._option_string_actions.get(word.partition("=")[0])
            if option is None:
                return f"no option {word}"
            value = words[i + 1] if i + 1 < len(words) else ""
            # A value in capitals stands for one of the reader's.
            if option.choices and value and not value.isupper() and value not in option.choices:
                return f"{word} {value}: one of {', '.join(map(str, option.choices))}"
        elif actions:
            return fault_of_words(actions.choices[word], words[i + 1 :]) if word in actions.choices else f"no {word}"
        elif unknown_choice(word):
            return f"no {word}"
    return None


def unknown_choice(word: str) -> bool:
    """Whether an override chooses a preset or a judge that does not exist."""
    group, equals, name = word.partition("=")
    return bool(equals) and group in ("preset", "judge") and not (CONFIG / group / f"{name}.yaml").exists()


def fault_of_module(module: str, words: list[str]) -> str | None:
    if READERS_OWN.search(module):
        return None
    top, _, inner = module.partition(".")
    spec = importlib.util.find_spec(top)
    if spec is None:
        return f"no package {top}"
    places = [Path(root, *inner.split(".") if inner else ()) for root in spec.submodule_search_locations or ()]
    files = [f for place in places for f in (place.with_suffix(".py"), place / "__main__.py") if f.exists()]
    if not files:
        return f"no module {module}"
    known = own_options(module) if top in OWN else foreign_options(files[0])
    for word in words:
        if word.startswith("--") and word.partition("=")[0] not in known:
            return f"no option {word}"
        if unknown_choice(word):
            return f"no {word}"
    return None


@functools.cache
def own_options(module: str) -> set[str]:
    """Options in the help of one of our commands; a Hydra program has Hydra's."""
    loaded = importlib.import_module(module) if "main_medgrpo" not in module else None
    if loaded is None:
        return {"--config-name", "--cfg"}
    if not hasattr(loaded, "main"):
        loaded = importlib.import_module(f"{module}.__main__")
    with contextlib.redirect_stdout(io.StringIO()) as printed, pytest.raises(SystemExit):
        loaded.main(["--help"])
    return set(re.findall(r"--[\w-]+", printed.getvalue()))


@functools.cache
def foreign_options(file: Path) -> set[str]:
    """Texts that look like options in the source of a program, which may be slow to import."""
    sources = file.parent.glob("*.py") if file.name == "__main__.py" else [file]
    nodes = (node for source in sources for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))))
    return {n.value for n in nodes if isinstance(n, ast.Constant) and str(n.value).startswith("--")}


def build_site(folder: Path, out: Path) -> subprocess.CompletedProcess:
    # Not --quiet: it hides warnings from --strict as well.
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(out)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


def test_the_site_builds_strictly(tmp_path):
    """Every page is in the navigation; every link and anchor leads somewhere."""
    done = build_site(REPOSITORY, tmp_path / "site")
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "site" / "index.html").exists()


def test_a_broken_link_or_anchor_or_a_lost_page_ends_the_build(tmp_path):
    shutil.copy(REPOSITORY / "mkdocs.yml", tmp_path)
    shutil.copytree(REPOSITORY / "docs", tmp_path / "docs")
    (tmp_path / "docs" / "lost.md").write_text("[a](data.md#nowhere) [b](nothing.md) [c](../README.md)")
    done = build_site(tmp_path, tmp_path / "site")
    assert done.returncode != 0
    for wrong in ("- lost.md", "'#nowhere'", "'nothing.md'", "'../README.md'"):
        assert wrong in done.stderr


def test_the_index_leads_to_every_page():
    index = (REPOSITORY / "docs/index.md").read_text(encoding="utf-8")
    linked = set(re.findall(r"\]\(([\w.]+)\)", index))
    assert {page.name for page in DOCS} - {"index.md"} <= linked


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_exist(page):
    found = {command: fault(command) for command in commands(page.read_text(encoding="utf-8"))}
    assert {command: wrong for command, wrong in found.items() if wrong} == {}


@pytest.mark.parametrize(
    ("command", "wrong"),
    [
        ("medgrpo evaluate --model MODEL --data DATA --out OUT", None),
        ("medgrpo evaluat --model MODEL", "no evaluat"),
        ("medgrpo evaluate --modell MODEL", "no option --modell"),
        ("medgrpo data verify train.parquet", "no verify"),
        ("medgrpo data convert slake --root DIR --languag en", "no option --languag"),
        ("medgrpo score judge=nobody", "no judge=nobody"),
        ("python -m data_preprocess.medvidbench --jsn FILE", "no option --jsn"),
        ("python -m data_preprocess.nothing", "no module data_preprocess.nothing"),
        ("python -m recipe.medgrpo.main_medgrpo preset=nothing", "no preset=nothing"),
        ("python -m verl.model_merger merge --local_dir DIR", None),
        ("python -m verl.model_merger merge --dir DIR", "no option --dir"),
    ],
)
def test_a_wrong_command_is_found(command, wrong):
    assert commands(f"```bash\n{command}  # why\n```") == [f"{command}  # why"]
    assert fault(command) == wrong


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_files_that_are_named_exist(page):
    named = {path for path in PATH.findall(page.read_text(encoding="utf-8")) if not READERS_OWN.search(path)}
    assert [path for path in sorted(named) if not (REPOSITORY / path).exists()] == []


@functools.cache
def known_tests() -> set[str]:
    """Names of all test functions."""
    files = (REPOSITORY / "tests").rglob("test_*.py")
    return {name for file in files for name in re.findall(r"^def (test_\w+)", file.read_text(encoding="utf-8"), re.M)}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_tests_that_are_named_exist(page):
    named = set(re.findall(r"`(test_\w+)`", page.read_text(encoding="utf-8")))
    assert named - known_tests() == set()


def test_every_fault_of_the_page_on_reliability_has_a_test():
    lines = [line for line in RELIABILITY.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    faults = [line for line in lines if not line.startswith(("| fault ", "| --- "))]
    assert len(faults) > 40 and [line for line in faults if "`test_" not in line] == []


@pytest.mark.parametrize("page", [page for page in PAGES if page not in DOCS], ids=name_of)
def test_links_of_pages_outside_the_site(page):
    linked = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8"))
    assert [link for link in linked if not (page.parent / link).exists()] == []


def blocks_of(page: Path) -> list[str]:
    return [body for language, body in FENCE.findall(page.read_text(encoding="utf-8")) if language == "python"]


@pytest.fixture
def with_files(tmp_path, monkeypatch):
    """In a folder with the files that the pages' Python reads: a ground truth and predictions of one TAG record."""
    content = json.loads((REPOSITORY / "tests/data/leaderboard_vectors.json").read_text(encoding="utf-8"))
    record = content["tal"]["records"][0]
    turns = [{"from": "human", "value": record["question"]}, {"from": "gpt", "value": record["answer"]}]
    (tmp_path / "ground_truth.json").write_text(json.dumps([record | {"conversations": turns}]))
    (tmp_path / "predictions.json").write_text(json.dumps([{**record, "prediction": record["answer"]}]))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def own_task(with_files, tmp_path, monkeypatch):
    """The file of write_a_reward.md in the working folder, as a module that no other test knows."""
    (tmp_path / "tools.py").write_text(blocks_of(WRITE_A_REWARD)[0])
    monkeypatch.syspath_prepend(tmp_path)
    yield
    reward_score.TASKS.pop("tools", None)
    sys.modules.pop("tools", None)


@pytest.mark.parametrize("page", [page for page in DOCS if blocks_of(page)], ids=name_of)
def test_python_runs(page, own_task):
    """All Python blocks of a page, one after another; a line that ends with `# 0.93...` has that value."""
    names = {"__name__": page.stem}
    for source in blocks_of(page):
        for node in ast.parse(source).body:
            segment = ast.Module([node], [])
            if not isinstance(node, ast.Expr):
                exec(compile(segment, page.name, "exec"), names)
                continue
            value = eval(compile(ast.Expression(node.value), page.name, "eval"), names)
            if expected := RESULT.search(source.splitlines()[node.end_lineno - 1]):
                number, cut = expected.groups()
                assert str(value).startswith(number) if cut else value == pytest.approx(float(number)), node.lineno


def test_a_task_is_one_file_and_one_line(own_task):
    """write_a_reward.md's task scores, and resists its own exploits."""
    tools = importlib.import_module("tools")

    def score(task, answer, reference):
        return reward_score.compute_score(f"my_set/ward/{task}", answer, reference, extra_tasks=[task])

    tests: dict[str, Any] = {}
    exec(blocks_of(WRITE_A_REWARD)[-1], tests)
    tests["test_tools"](score)
    assert len(tests["EXPLOITS"]) > 3
    assert tools.parse("Hook and grasper") == ["hook", "grasper"]
    assert score("tools", "hook, grasper.", "grasper, hook")["score"] == 1
    assert score("tools", "Grasper and hook", "grasper, hook")["score"] == 0.5
    with pytest.raises(BadGroundTruth, match="my_set/ward/tools: the reference names no instrument"):
        score("tools", "hook", " ")


def test_the_page_of_rewards_has_an_example():
    assert any("compute_score(" in block for block in blocks_of(REPOSITORY / "docs/rewards.md"))
