# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Run one stage of a pipeline: its output into a log, its progress on the screen, nothing twice.

A stage that has ended is not run again unless its command, or a stage before it, has changed; then its old output is
removed first, if it was the stage's own. One that was interrupted resumes by its own means (verl's checkpoints). Paths
within the run folder count as relative to it: a folder that was moved or copied is still the same run.
"""

import argparse
import contextlib
import hashlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from recipe.medgrpo.common.processes import MARK, end_all, lock, mark_of
from recipe.medgrpo.common.run_folder import RunDir, RunDirError, read_json, write_json

#: Figures of verl's logs that a person watches, with their short names; a line of 80 columns holds them.
SHOWN = {
    "train/loss": "loss",
    "critic/score/mean": "reward",
    "training/rollout_actor_probs_pearson_corr": "rollout-trainer r",
}
TAIL = 30
#: Bytes of a metrics file that are read for its last record; one has about 20,000.
METRICS_TAIL = 2**18
#: Seconds that an interrupted command has to end by itself; torchrun alone gives its workers 30.
GRACE = float(os.environ.get("MEDGRPO_GRACE_S", 40))
REPOSITORY = Path(__file__).resolve().parents[2]


def latest(metrics: Path | None) -> tuple[int, str]:
    """Last step in verl's file log, and its figures as text; (0, "") before the first."""
    if not metrics or not metrics.exists():
        return 0, ""
    with metrics.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - METRICS_TAIL))
        # What follows the last line break is still being written.
        lines = file.read().split(b"\n")[:-1]
    for line in reversed(lines):
        with contextlib.suppress(ValueError, KeyError, TypeError):
            record = json.loads(line)
            step, data = record["step"], record["data"]
            # NaN is logged as null.
            figures = {short: data[name] for name, short in SHOWN.items() if data.get(name) is not None}
            return step, "  ".join(f"{short} {value:.3f}" for short, value in figures.items())
    return 0, ""


def execute(command: list[str], log: Path, label: str, metrics: Path | None, total: int | None, held: int) -> int:
    """Run ``command`` with its output in ``log``; it inherits, and is named in, the lock file ``held``."""
    columns = [TextColumn("{task.description}"), BarColumn(bar_width=16), MofNCompleteColumn(), TimeElapsedColumn()]
    if total is None:
        del columns[1:3]
    columns.append(TextColumn("{task.fields[figures]}"))
    # Ray and vLLM name their processes, which would otherwise overwrite the environment that the mark is read from.
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", "SPT_NOENV": "1"}
    if metrics:
        metrics.parent.mkdir(parents=True, exist_ok=True)
        environment["VERL_FILE_LOGGER_PATH"] = str(metrics)
    with log.open("ab") as output, Progress(*columns, console=Console()) as progress:
        task = progress.add_task(label, total=total, figures="")
        streams = {"stdin": subprocess.DEVNULL, "stdout": output, "stderr": subprocess.STDOUT}
        process = subprocess.Popen(command, env=environment, pass_fds=(held,), **streams)
        os.write(held, f"process {process.pid} on {socket.gethostname()}, {command[0]}\n".encode())
        try:
            status = None
            while status is None:
                time.sleep(0.5)
                status = process.poll()
                step, figures = latest(metrics)
                progress.update(task, completed=step, figures=figures)
        except BaseException:
            _stop(process)
            raise
    return status


def _stop(process: subprocess.Popen) -> None:
    """End a command; at once if the user interrupts again, or if it does not do so by itself."""
    process.terminate()
    try:
        process.wait(GRACE)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        process.kill()
        process.wait()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--run", type=Path, required=True, dest="root", help="run directory")
    parser.add_argument("--name", required=True, help="name of the stage; its log is RUN/logs/NAME.log")
    parser.add_argument("--after", help="the stage whose output this one reads")
    parser.add_argument(
        "--output", type=Path, nargs="*", default=[], help="what the command writes; removed before a changed one runs"
    )
    parser.add_argument(
        "--rooted", action="store_true", help="its output names places in the run directory: again if that has moved"
    )
    parser.add_argument("--costly", type=Path, help="a changed command is refused once this folder holds a checkpoint")
    parser.add_argument(
        "--accept", action="store_true", help="run a changed command all the same, on the checkpoint that is there"
    )
    parser.add_argument("--metrics", type=Path, help="folder of checkpoints and of verl's file log, which is followed")
    parser.add_argument("--total", type=int, help="steps in all")
    parser.add_argument("command_line", nargs="+", metavar="COMMAND", help="what to run, after --")


def run(args: argparse.Namespace) -> int:
    path = args.root / "logs" / f"{args.name}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    held = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    # The command holds it too, so a trainer that outlives a killed stage keeps a second one away.
    if not lock(held, path):
        raise SystemExit(
            f"stage {args.name} still runs: {path.read_text().strip() or 'it has just been started'}; wait until it "
            "has ended, or end that process and those it started"
        )
    os.ftruncate(held, 0)
    try:
        return _run(args, held)
    finally:
        os.close(held)


def _record(root: Path, name: str | None) -> dict[str, Any]:
    """What is known of a stage; without a record, or with a broken one, nothing, and an output is somebody else's."""
    file = RunDir(root).stage_record(name)
    nothing = {"key": None, "done": False, "seconds": 0.0, "outputs": []}
    with contextlib.suppress(RunDirError):
        record = read_json(file, "this command")
        if isinstance(record, dict) and record.keys() >= nothing.keys():
            return record
    return nothing


def _relative(text: str, root: Path) -> str:
    """``text`` with the run's and this repository's paths replaced by names, wherever the two lie."""
    for name, folder in (("RUN", root.absolute()), ("RUN", root.resolve()), ("REPOSITORY", REPOSITORY)):
        # Hydra's values have apostrophes escaped.
        for path in {str(folder), str(folder).replace("'", "\\'")}:
            text = re.sub(re.escape(path) + r"(?=[/'\"\],}]|$)", f"<{name}>", text)
    return text


def _checkpoint(folder: Path | None) -> int | None:
    """The step of the last checkpoint in a folder of verl's; None if there is none."""
    file = folder / "latest_checkpointed_iteration.txt" if folder else None
    try:
        return int(file.read_text()) if file else None
    except (FileNotFoundError, NotADirectoryError):
        return None
    except ValueError:
        return 0


def _refusal(args: argparse.Namespace, old: dict[str, Any], key: str) -> str | None:
    """Why the stage must not run on what it finds; None if it may."""
    for folder in filter(None, [args.costly, args.metrics, *args.output]):
        # A start that failed before its first checkpoint has left nothing to protect, only logs and its configuration.
        if args.accept or _checkpoint(folder) is None:
            continue
        if old["key"] is None:
            record = RunDir(args.root).stage_record(args.name)
            return (
                f"{folder} holds a checkpoint, but {record} does not say whose: move that folder away to start anew, "
                "leave the stage out, or go on from the checkpoint (--accept, ACCEPT_CHANGE=1)"
            )
        if old["key"] != key and folder == args.costly:
            return (
                f"its command, or a stage before it, is not the one that wrote {args.costly}; give the former "
                "settings, move that folder away to start anew, or go on from it (--accept, ACCEPT_CHANGE=1)"
            )
    return None


def _run(args: argparse.Namespace, held: int) -> int:
    before, old = _record(args.root, args.after), _record(args.root, args.name)
    if args.after and not before["done"]:
        raise SystemExit(f"stage {args.name}: {args.after} has not ended; run that stage first")
    # How many engines share the answers changes none of them.
    apart = [word for last, word in pairwise(["", *args.command_line]) if "--engines" not in (last, word)]
    words = [_relative(word, args.root) for word in apart]
    key = hashlib.sha256(json.dumps([words, before["key"] or ""]).encode()).hexdigest()
    root = str(args.root.resolve())
    moved = args.rooted and old["key"] is not None and old.get("root") != root
    # The first output stands for all: a user who removes it wants it made again.
    if old["key"] == key and old["done"] and not moved and all(output.exists() for output in args.output[:1]):
        return _done_before(args, old)
    if refusal := _refusal(args, old, key):
        raise SystemExit(f"stage {args.name}: {refusal}")
    mark = os.environ[MARK] = mark_of(args.root, args.name)
    if left := end_all(mark):
        named = ", ".join(f"{pid} ({command})" for pid, command in left.items())
        print(f"stage {args.name}: ended what its last start had left running: {named}", flush=True)
    outputs = {_relative(str(output.absolute()), args.root): output for output in args.output}
    spent = old["seconds"]
    if old["key"] != key or moved:
        for output in (path for name, path in outputs.items() if name in old["outputs"]):
            shutil.rmtree(output) if output.is_dir() else output.unlink(missing_ok=True)
        spent = 0.0
    state = {"key": key, "done": False, "seconds": spent, "outputs": sorted({*outputs, *old["outputs"]}), "root": root}
    record = RunDir(args.root).stage_record(args.name)
    write_json(record, state)
    if args.total and (old["key"] == key or args.accept) and (_checkpoint(args.metrics) or 0) >= args.total:
        # It was stopped between its last checkpoint and its end; verl's SFT would train a step more than asked for.
        write_json(record, state | {"done": True})
        return _done_before(args, old)
    return _start(args, held, state, mark)


def _done_before(args: argparse.Namespace, old: dict[str, Any]) -> int:
    if args.costly and _checkpoint(args.costly) is None:
        record = RunDir(args.root).stage_record(args.name)
        raise SystemExit(f"stage {args.name}: {record} says that it has ended, but {args.costly} holds no checkpoint; "
                         "put it back, or remove that record to do the stage again")  # fmt: skip
    Console().print(f"{args.name:10s} done before ({old['seconds']:.0f} s)", highlight=False)
    return 0


def _start(args: argparse.Namespace, held: int, state: dict[str, Any], mark: str) -> int:
    log, start = args.root / "logs" / f"{args.name}.log", time.monotonic()
    # verl truncates the file it logs to, so each start of the trainer gets one of its own.
    metrics = args.metrics / f"metrics.{time.time_ns()}.jsonl" if args.metrics else None
    status = 1
    try:
        status = execute(args.command_line, log, f"{args.name:10s}", metrics, args.total, held)
    finally:
        # Also after a good end: Ray's workers live a moment longer, with the memory that the next stage needs.
        end_all(mark)
        seconds = state["seconds"] + time.monotonic() - start
        write_json(RunDir(args.root).stage_record(args.name), state | {"done": status == 0, "seconds": seconds})
    if status:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-TAIL:]
        print(*lines, f"stage {args.name} failed with status {status}; the whole log: {log}", sep="\n", file=sys.stderr)
    return status


def _terminated(*_) -> None:
    raise KeyboardInterrupt


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_arguments(parser)
    args = parser.parse_args()
    # Batch systems end a job so; what the stage started must end with it.
    signal.signal(signal.SIGTERM, _terminated)
    try:
        return run(args)
    except KeyboardInterrupt:
        print("interrupted; the same command resumes", file=sys.stderr)
        return 130
    except OSError as error:
        # A command that does not exist, or a folder that cannot be written to.
        print(f"stage {args.name}: {error.filename or args.root}: {error.strerror}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
