# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Run one stage of a pipeline: its output into a log, its progress on the screen, nothing twice.

A stage that has ended is not run again unless its command, or a stage before it, has changed; then its old output is
removed first, if it was the stage's own. One that was interrupted is started again and resumes by its own means (verl's
checkpoints), once nothing of the interrupted start runs any more.
"""

import argparse
import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from recipe.medgrpo.common.run_folder import RunDir, read_json, write_json

#: Figures of verl's logs that a person watches, with their short names; a line of 80 columns holds them.
SHOWN = {
    "train/loss": "loss",
    "critic/score/mean": "reward",
    "training/rollout_actor_probs_pearson_corr": "rollout-trainer r",
}
TAIL = 30
#: Bytes of a metrics file that are read for its last record; one has about 20,000.
METRICS_TAIL = 2**18


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


def lock(path: Path, name: str) -> int:
    """Hold the stage's lock; returns a file descriptor for the command to inherit.

    The command and what it starts hold it too, so a trainer that outlives a killed stage keeps a second one away.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise SystemExit(
            f"stage {name} still runs: {path.read_text().strip() or 'it has just been started'}; wait until it has "
            "ended, or end that process and those it started"
        ) from None
    except OSError as error:
        print(f"stage {name}: {path} cannot be locked ({error}): start it only once", file=sys.stderr)
    os.ftruncate(descriptor, 0)
    return descriptor


def execute(command: list[str], log: Path, label: str, metrics: Path | None, total: int | None, held: int) -> int:
    """Run ``command`` with its output in ``log``; returns its exit status.

    ``held`` is a lock file that the command inherits, and that names it.
    """
    columns = [TextColumn("{task.description}"), BarColumn(bar_width=16), MofNCompleteColumn(), TimeElapsedColumn()]
    if total is None:
        del columns[1:3]
    columns.append(TextColumn("{task.fields[figures]}"))
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
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
            process.terminate()
            process.wait()
            raise
    return status


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--run", type=Path, required=True, dest="root", help="run directory")
    parser.add_argument("--name", required=True, help="name of the stage; its log is RUN/logs/NAME.log")
    parser.add_argument("--after", help="the stage whose output this one reads")
    parser.add_argument(
        "--output", type=Path, nargs="*", default=[], help="what the command writes; removed before a changed one runs"
    )
    parser.add_argument("--costly", type=Path, help="a changed command is refused once this folder holds a checkpoint")
    parser.add_argument(
        "--accept", action="store_true", help="run a changed command all the same, on what --costly holds"
    )
    parser.add_argument("--metrics", type=Path, help="folder for verl's file log, which the progress bar follows")
    parser.add_argument("--total", type=int, help="steps in all")
    parser.add_argument("command_line", nargs="+", metavar="COMMAND", help="what to run, after --")


def run(args: argparse.Namespace) -> int:
    held = lock(args.root / "logs" / f"{args.name}.lock", args.name)
    try:
        return _run(args, held)
    finally:
        os.close(held)


def _run(args: argparse.Namespace, held: int) -> int:
    state_file = args.root / "stages.json"
    states = read_json(state_file, "this command") if state_file.exists() else {}
    before = states.get(args.after, {})
    if args.after and not before.get("done"):
        raise SystemExit(f"stage {args.name}: {args.after} has not ended; run that stage first")
    key = hashlib.sha256(json.dumps([args.command_line, before.get("key", "")]).encode()).hexdigest()
    # Without a record an output is somebody else's, say a given artifact.
    old = states.get(args.name, {"key": None, "done": False, "seconds": 0.0, "outputs": []})
    if old["key"] == key and old["done"]:
        Console().print(f"{args.name:10s} done before ({old['seconds']:.0f} s)", highlight=False)
        return 0
    spent, outputs = old["seconds"], {str(output) for output in args.output}
    if old["key"] != key:
        # A start that failed before its first checkpoint has left nothing to protect, only logs and its configuration.
        kept = args.costly and (args.costly / "latest_checkpointed_iteration.txt").exists()
        if old["key"] and kept and not args.accept:
            raise SystemExit(
                f"stage {args.name}: its command, or a stage before it, is not the one that wrote {args.costly}; give "
                "the former settings, move that folder away to start anew, or go on from it (--accept, ACCEPT_CHANGE=1)"
            )
        for output in map(Path, outputs & set(old["outputs"])):
            shutil.rmtree(output) if output.is_dir() else output.unlink(missing_ok=True)
        spent = 0.0
    state = {"key": key, "done": False, "seconds": spent, "outputs": sorted(outputs.union(old["outputs"]))}
    write_json(state_file, states | {args.name: state})
    log = args.root / "logs" / f"{args.name}.log"
    start = time.monotonic()
    # verl truncates the file it logs to, so each start of the trainer gets one of its own.
    metrics = args.metrics / f"metrics.{time.time_ns()}.jsonl" if args.metrics else None
    status = execute(args.command_line, log, f"{args.name:10s}", metrics, args.total, held)
    states[args.name] = state | {"done": status == 0, "seconds": spent + time.monotonic() - start}
    write_json(state_file, states)
    write_json(RunDir(args.root).timings, {name: state["seconds"] for name, state in states.items()})
    if status:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-TAIL:]
        print(*lines, f"stage {args.name} failed with status {status}; the whole log: {log}", sep="\n", file=sys.stderr)
    return status


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_arguments(parser)
    try:
        return run(parser.parse_args())
    except KeyboardInterrupt:
        print("interrupted; the same command resumes", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
