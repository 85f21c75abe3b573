# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""What ``examples/gpu_check.sh`` found: a table with a verdict per line, and gpu_check.json, to attach to an issue.

The bounds stand here, before any run. bfloat16 keeps eight significant bits: a logit between 8 and 16 is off by up to
1/32, in the trainer and in vLLM alike. A probability p is then off by up to p (1 - p) / 16, at most 0.016, and by less
on average. Answers whose probabilities spread by 0.12 or more correlate by 0.99.
"""

import argparse
import math
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from omegaconf import OmegaConf
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from recipe.medgrpo.common.configuration import read_config
from recipe.medgrpo.common.run_folder import RunDir, RunDirError, read_json, read_jsonl, write_json
from recipe.medgrpo.cpu.patches import on_cpu
from recipe.medgrpo.preflight import doctor, estimate
from recipe.medgrpo.report.run_data import Metrics, agreement, read_metrics

PASS, FAIL, TOLD = "PASS", "FAIL", ""
STAGES = ("world", "data", "model", "sft", "calibrate", "rl", "evaluate")
MAX_DIFFERENCE, MIN_CORRELATION = 0.01, 0.99
#: Nats. A policy that knows nothing has 11.9, the logarithm of its vocabulary: its probabilities always agree.
MAX_ENTROPY = 5.0
#: What PyTorch's libraries take for themselves is not in the estimate.
MAX_MEMORY = 1.1


@dataclass(frozen=True)
class Line:
    """One line of the table; without a bound it is only reported."""

    name: str
    found: str
    bound: str = ""
    verdict: str = TOLD


def judged(name: str, found: str, bound: str, good: bool) -> Line:
    return Line(name, found, bound, PASS if good else FAIL)


def stage_lines(run: RunDir) -> list[Line]:
    """Whether each stage ended, and after how many seconds, its start included."""
    lines = []
    for name in STAGES:
        file = run.stage_record(name)
        state = read_json(file, "examples/gpu_check.sh") if file.exists() else None
        found = f"{state['seconds']:.0f} s" if state and state["done"] else "not reached"
        if state and not state["done"]:
            found = f"failed: {run.root}/logs/{name}.log"
        lines.append(judged(f"stage {name}", found, "ends", bool(state and state["done"])))
    return lines


def learning_line(sft: Metrics) -> Line:
    """Whether SFT's loss at the last step is below that of the first."""
    losses = [values["train/loss"] for values in sft.values() if "train/loss" in values]
    found = f"{losses[0]:.2f} to {losses[-1]:.2f}" if losses else "no step"
    return judged("SFT: loss", found, "falls", len(losses) > 1 and losses[-1] < losses[0])


def agreement_lines(rl: Metrics) -> list[Line]:
    """Whether vLLM and the trainer see the same policy, after weights were sent to vLLM, too."""
    entropy = [values["actor/entropy"] for values in rl.values() if "actor/entropy" in values]
    known = f"{entropy[0]:.2f} nats" if entropy else "no step"
    first = judged("RL: entropy", known, f"< {MAX_ENTROPY:g}", bool(entropy) and entropy[0] < MAX_ENTROPY)
    found = agreement(rl)
    correlation, difference = found.worst if found else (math.nan, math.nan)
    known = f"{difference:.5f} ({f'worst of {len(found.steps)} steps' if found else 'no step'})"
    bounds = f"mean < {MAX_DIFFERENCE:g}", f">= {MIN_CORRELATION:g}"
    return [
        first,
        judged("RL: probabilities, rollout - trainer", known, bounds[0], difference < MAX_DIFFERENCE),
        judged("RL: their correlation", f"{correlation:.5f}", bounds[1], correlation >= MIN_CORRELATION),
    ]


def memory_line(rl: Metrics, estimated: float) -> Line:
    """What the trainer's process held at most on a GPU, against the estimate."""
    name, key = "RL: memory of the update", "actor/perf/max_memory_allocated_gb"
    if on_cpu():
        return Line(name, "not measured: no GPU")
    measured = max((values[key] for values in rl.values() if key in values), default=math.nan)
    bound = f"<= {MAX_MEMORY:g} x the estimate, {estimated:.1f} GiB"
    return judged(name, f"{measured:.1f} GiB", bound, measured <= MAX_MEMORY * estimated)


def estimated_memory(run: RunDir) -> float:
    """GiB of an update, as `medgrpo estimate` has it for the run's model and settings; NaN before RL."""
    config = read_config(run)
    if not config:
        return math.nan
    from recipe.medgrpo.preflight.activations import meta_model

    model = meta_model(config.actor_rollout_ref.model.path)
    return sum(estimate.memory(model, config, gpu_gib=80)["update"].values())


def speed_lines(run: RunDir, sft: Metrics, rl: Metrics) -> list[Line]:
    """Tokens per second of each phase; RL's are those of the last step, the first one includes compilation."""
    timings = run.timings()
    tokens = {
        "sft": sum(values.get("train/global_tokens", 0) for values in sft.values()),
        "calibrate": answer_tokens(run.root.glob("normalization.answers.jsonl")),
        "evaluate": answer_tokens(run.root.glob("eval/*/answers.jsonl")),
    }
    lines = [
        Line(f"{name}: tokens per second, start included", f"{count / timings[name]:.0f}")
        for name, count in tokens.items()
        if count and timings.get(name)
    ]
    shares = [values["train/mfu"] for values in sft.values() if "train/mfu" in values]
    lines.append(Line("SFT: share of the card's peak", share(np.median(shares) if shares else 0)))
    last = rl[max(rl)] if rl else {}
    total, per_token = last.get("perf/total_num_tokens", 0), last.get("timing_per_token_ms/gen")
    per_second = {"gen": 1000 / per_token} if per_token else {}
    per_second |= {phase: total / last[f"timing_s/{phase}"] for phase in ("old_log_prob", "update_actor") if total}
    lines += [Line(f"RL: {phase}, tokens per second", f"{speed:.0f}") for phase, speed in per_second.items()]
    if "update_actor" in per_second:
        update = last.get("perf/mfu/actor", 0)
        # Without the backward pass a token costs a third.
        forward = update / 3 * per_second["old_log_prob"] / per_second["update_actor"]
        lines.append(Line("RL: update_actor, share of the card's peak", share(update)))
        lines.append(Line("RL: old_log_prob, share of the card's peak", share(forward)))
    if "timing_s/update_weights" in last:
        lines.append(Line("RL: weights to vLLM", f"{last['timing_s/update_weights']:.2f} s"))
    return lines


def answer_tokens(files: Iterable[Path]) -> int:
    return sum(line.get("num_tokens", 0) for file in files for line in read_jsonl(file, "medgrpo generate"))


def share(value: float) -> str:
    """verl knows the peak of common cards, and says 0 of others."""
    return f"{value:.1%}" if value else "unknown card"


def check(run: RunDir) -> tuple[list[Line], dict]:
    """The table's lines, and what gpu_check.json has of the machine and the settings."""
    if not run.root.is_dir():
        raise RunDirError(f"{run.root} does not exist: it is made by examples/gpu_check.sh")
    sft = read_metrics(run.metrics_files("sft"))
    rl = read_metrics(run.metrics_files())
    findings = doctor.versions()
    errors = [finding.name for finding in findings if finding.verdict == doctor.ERROR]
    lines = [judged("medgrpo doctor", f"errors: {', '.join(errors)}" if errors else "no error", "no error", not errors)]
    lines += stage_lines(run)
    estimated = math.nan if on_cpu() else estimated_memory(run)
    lines += [learning_line(sft), *agreement_lines(rl), memory_line(rl, estimated)]
    lines += speed_lines(run, sft, rl)
    overrides = run.rl / ".hydra/overrides.yaml"
    return lines, {
        "machine": {finding.name: finding.found for finding in findings},
        "rl_overrides": list(OmegaConf.load(overrides)) if overrides.exists() else [],
    }


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", type=Path, required=True, help="folder of examples/gpu_check.sh")
    folder = RunDir(parser.parse_args(argv).run)
    try:
        lines, machine = check(folder)
    except RunDirError as error:
        print(error, file=sys.stderr)
        return 2
    table = Table("what", Column("found", overflow="fold"), "bound", "", title="gpu_check", title_justify="left")
    for line in lines:
        colour = {PASS: "green", FAIL: "red"}.get(line.verdict, "")
        table.add_row(line.name, line.found, line.bound, Text(line.verdict, colour))
    Console().print(table)
    out = folder.root / "gpu_check.json"
    write_json(out, {"lines": [asdict(line) for line in lines], **machine})
    failed = sum(line.verdict == FAIL for line in lines)
    where = "without a GPU: only the stages were tried" if on_cpu() else f"{failed} lines failed"
    print(f"{where}; for an issue: {out}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
