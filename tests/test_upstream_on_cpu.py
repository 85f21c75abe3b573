# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""The reproductions of docs/upstream: each shows its fault in the installed verl, vLLM and transformers without us.

A script that ends with 0 says that upstream is fixed: docs/upstream.md names the patch that can then go.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(os.environ.get("VERL_PLATFORM") != "cpu", reason="VERL_PLATFORM=cpu is not set")

REPOSITORY = Path(__file__).resolve().parents[1]
PAGE = (REPOSITORY / "docs/upstream.md").read_text()
SCRIPTS = sorted((REPOSITORY / "docs/upstream").glob("*.py"))
# One interpreter without plugins imports verl once; every script then runs in a process forked from it.
RUN_ALL = """
import json, os, runpy, sys, traceback
import verl.experimental.agent_loop.agent_loop, verl.trainer.ppo.v1.trainer_base
import verl.workers.engine.fsdp.transformer_impl
results = {}
for script in sys.argv[1:]:
    reader, writer = os.pipe()
    if not os.fork():
        os.dup2(writer, 1)
        os.dup2(writer, 2)
        try:
            runpy.run_path(script, run_name="__main__")
            code = 0
        except SystemExit as end:
            code = int(end.code or 0)
        except BaseException:
            traceback.print_exc()
            code = 2
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    os.close(writer)
    with os.fdopen(reader) as output:
        text = output.read()
    results[os.path.basename(script)] = os.waitstatus_to_exitcode(os.wait()[1]), text
ours = sorted(name for name in sys.modules if name.startswith("recipe"))
print(json.dumps({"ours": ours, "results": results}))
"""


@pytest.fixture(scope="module")
def run() -> dict:
    stock = {"VERL_USE_EXTERNAL_PLUGINS": "none", "VERL_PLATFORM": "", "VLLM_PLUGINS": "", "CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, "-c", RUN_ALL, *map(str, SCRIPTS)]
    done = subprocess.run(command, env={**os.environ, **stock}, capture_output=True, text=True, timeout=1200)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_no_plugin_is_active(run):
    assert run["ours"] == [], "this recipe was loaded, so the scripts do not show verl as it is"


@pytest.mark.parametrize("script", [script.name for script in SCRIPTS])
def test_the_fault_is_still_there(run, script):
    code, output = run["results"][script]
    assert code != 0, f"fixed upstream: the patch that docs/upstream.md names for {script} can go. {output}"
    assert code == 1, output


def test_the_page_names_every_reproduction():
    assert [script.name for script in SCRIPTS if f"upstream/{script.name}" not in PAGE] == []


def test_the_page_names_every_patch():
    plugin = (REPOSITORY / "recipe/medgrpo/plugin.py").read_text()
    patches = set(re.findall(r"patches\.(\w+)", plugin)) - {"on_cpu", "py"}
    assert len(patches) > 10
    assert [patch for patch in patches if f"`{patch}`" not in PAGE] == []


def test_the_tests_that_the_page_names_exist():
    named = set(re.findall(r"`(test_\w+)`", PAGE))
    written = "\n".join(file.read_text() for file in (REPOSITORY / "tests").rglob("test_*.py"))
    assert len(named) > 10
    assert [test for test in sorted(named) if f"def {test}(" not in written] == []
