# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""``requirements/setup_cpu.sh`` with a stand-in for Python: once for two commands, again if interrupted, never on
somebody else's environment.
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "requirements/setup_cpu.sh"
#: ``-m venv FOLDER`` makes a folder with this stand-in as its interpreter; slow enough for a second command to meet it.
PYTHON = """#!/bin/bash
case "$*" in
  "-m venv "*)
    echo begin >> "$CALLS"
    mkdir -p "$3/bin"
    touch "$3/half"
    [ -z "${FAIL:-}" ] || exit 1
    sleep 1
    cp "$0" "$3/bin/python"
    printf '#!/bin/bash\\n[ ! -e "%s/broken" ]\\n' "$3" > "$3/bin/uv"
    chmod +x "$3/bin/uv"
    echo end >> "$CALLS";;
esac
"""


@pytest.fixture
def clone(tmp_path):
    """A clone's set-up script and what it reads; ``start()`` sources it in a shell."""
    repository = tmp_path / "clone"
    (repository / "requirements").mkdir(parents=True)
    shutil.copy(SCRIPT, repository / "requirements")
    for name in ("requirements/cpu.txt", "setup.py", "REQUIRED_VERL.txt"):
        (repository / name).write_text(name)
    python = tmp_path / "bin/python3.11"
    python.parent.mkdir()
    python.write_text(PYTHON)
    python.chmod(0o755)
    environment = {"PATH": f"{python.parent}:/usr/bin:/bin", "HOME": os.environ.get("HOME", "/")}
    environment["CALLS"] = str(tmp_path / "calls")

    def start(**variables):
        script = f"source '{repository}/requirements/setup_cpu.sh' && echo active: $(command -v python)"
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen(["bash", "-c", script], env=environment | variables, **streams)

    start.venv = repository / ".venv"
    start.calls = lambda: (tmp_path / "calls").read_text().split() if (tmp_path / "calls").exists() else []
    return start


def finished(process):
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def test_two_first_commands_make_one_environment(clone):
    for status, out, err in map(finished, [clone(), clone()]):
        assert status == 0 and f"active: {clone.venv}/bin/python" in out, err
    assert clone.calls() == ["begin", "end"]
    assert finished(clone())[0] == 0 and clone.calls() == ["begin", "end"]


def test_an_interrupted_set_up_is_made_anew(clone):
    assert finished(clone(FAIL="1"))[0] == 1
    (clone.venv / "broken").touch()
    status, _, err = finished(clone())
    assert status == 0, err
    assert clone.calls() == ["begin", "begin", "end"] and not (clone.venv / "broken").exists()


def test_a_link_to_another_clones_environment_is_not_emptied(clone, tmp_path):
    other = tmp_path / "other/.venv"
    (other / "bin").mkdir(parents=True)
    (other / "medgrpo.stamp").write_text("another clone's")
    clone.venv.symlink_to(other)
    status, _, err = finished(clone())
    assert status == 1 and "is a link to" in err and "remove the link" in err
    assert (other / "bin").is_dir() and clone.calls() == []


def test_somebody_elses_environment_stays(clone):
    (clone.venv / "bin").mkdir(parents=True)
    status, _, err = finished(clone())
    assert status == 1 and "is not this script's" in err and "move it away" in err
    assert (clone.venv / "bin").is_dir() and clone.calls() == []
    (clone.venv / "bin").rmdir()
    assert finished(clone())[0] == 0, "an empty folder is nobody's"
