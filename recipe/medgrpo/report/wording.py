# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""The words of a report: verdict, warnings, what was run, and how numbers are written."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from omegaconf import DictConfig, OmegaConf

from recipe.medgrpo.evaluation.answers import describe_decoding
from recipe.medgrpo.report import run_data
from recipe.medgrpo.report.run_data import Agreement, Change, Comparison, Evaluation, Metrics
from reward_score.leaderboard.submission import FULL_TEST_SIZE

#: Pairs that a warning names.
NAMED = 5


class Warned(NamedTuple):
    """What stands on top of the page; ``lines`` may be many."""

    title: str
    paragraphs: list[str]
    lines: list[str] = []


def alarm_warnings(alarms: Sequence[Mapping[str, Any]]) -> list[Warned]:
    """Every alarm of the training with its step; none without alarms."""
    lines = []
    for alarm in alarms:
        message, step = alarm["message"], alarm.get("step")
        where = "" if step is None else f"step {step}: "
        lines.append(f"{alarm.get('level')}, {where}{message.removeprefix(where)}")
    many = "an alarm" if len(lines) == 1 else f"{len(lines)} alarms"
    text = "RUN/rl/alarms.jsonl has them with their times. docs/training.md says what each means (medgrpo.alarm)."
    return [Warned(f"the training raised {many}", [text], lines)] if lines else []


def cut_warnings(held_out: Mapping[str, Change], logged: Mapping[str, Change]) -> list[Warned]:
    """Whether RL made more answers be cut at the token limit (see ``run_data``)."""
    measured = {"On held-out rows, before and after RL": held_out, "In training, first and last tenth of steps": logged}
    found = [f"{words}: {_named(rises)}." for words, rises in measured.items() if rises]
    advice = [
        "These are answers that ramble until they are cut; look at the examples. The policy may have found that length "
        "pays: do not believe a gain in reward before you have read them.",
        "What to do: use a checkpoint from before the share rose, and find out what the reward pays for "
        "(docs/rewards.md). A lower medgrpo.alarm.cut_share stops the next run early. If honest answers do not fit, "
        "raise data.max_response_length, and --max-tokens of calibrate and evaluate.",
    ]
    return [Warned("RL made more answers be cut at the token limit", found + advice)] if found else []


def unlike_warnings(before: Evaluation, after: Evaluation) -> list[Warned]:
    """Whether the evaluations themselves differ (see ``run_data``)."""
    odd = run_data.unlike(before, after)
    values = {name: " and ".join("not recorded" if one is None else str(one) for one in odd[name]) for name in odd}
    found = f"Before and after RL: {', '.join(f'{name} {both}' for name, both in values.items())}."
    advice = (
        "A change may come from that and not from RL: evaluate both checkpoints with the same options. A file of rows "
        "that was only moved does no harm."
    )
    return [Warned("The two evaluations were not made alike", [found, advice])] if odd else []


def blind_warnings(looked: Mapping[str, Sequence[Mapping[str, Any]]], tasks: Collection[str]) -> list[Warned]:
    """Whether answers to RL's ``tasks`` are worth as much to other rows (see ``run_data``)."""
    blind = run_data.blind(looked, tasks)
    numbers = ", ".join(f"{task} {looked[task][1]['own']:.3f} and {looked[task][1]['other']:.3f}" for task in blind)
    advice = (
        "The policy may have found the answers that pay best whatever the clip shows, and look at none: a gain in "
        "reward then shows no better sight. Look at the examples. If the SFT model does not look either, train it "
        "longer first (docs/evidence.md)."
    )
    found = f"Raw scores after RL, for their own rows and for others: {numbers}."
    return [Warned("Answers score as well when they are given to other rows", [found, advice])] if blind else []


def _named(rises: Mapping[str, Change]) -> str:
    worst = sorted(rises.items(), key=lambda rise: -rise[1].delta)[:NAMED]
    named = ", ".join(f"{where} {share(of.before)} → {share(of.after)}" for where, of in worst)
    return f"{named}, and {len(rises) - NAMED} more" if len(rises) > NAMED else named


def verdict(overall: Comparison) -> str:
    """One sentence: did the reward of the trained tasks rise, and by how many standard errors?"""
    before, after, delta, error = overall.reward[:4]
    if math.isnan(delta):
        return f"No held-out row of the tasks of RL ({overall.task}) has a reward: whether RL raised it is not known."
    words = f"Mean held-out reward of the tasks of RL: {before:.3f} before, {after:.3f} after, change {delta:+.3f}"
    if math.isnan(error):
        return f"{words} on {overall.n} rows (no standard error)."
    multiple = f", {abs(delta) / error:.1f} standard errors" if error > 0 else ""
    return f"{words} ± {error:.3f} (standard error) on {overall.n} rows{multiple}."


def notes(
    metrics: Metrics, pairs: Collection[tuple[str, str]], policy: Agreement | None, loggers: Sequence[str] | None
) -> list[str]:
    """What the page lacks, and whether rollout and trainer disagree; ``loggers`` is None without a configuration."""
    if not metrics:
        why = (
            "the file logger was on, but RUN/rl holds no metrics*.jsonl with a step in it: training ended before its "
            "first step, the file lies where VERL_FILE_LOGGER_PATH said, or it was removed"
        )
        if loggers is None:
            why = "RUN/rl holds neither metrics*.jsonl nor .hydra/config.yaml: if RL ran, its files lie elsewhere"
        elif "file" not in loggers:
            why = f"the trainer's file logger was off (trainer.logger={','.join(loggers)})"
        return [
            "The page has no curves of training and cannot say whether the trained policy was the sampled one: "
            f"{why}. A file that is put at RUN/rl/metrics.jsonl is read."
        ]
    found = []
    if policy is None:
        found.append(
            "The log has no comparison of rollout and trainer (actor_rollout_ref.rollout.calculate_log_probs=True)."
        )
    elif not policy.passed:
        correlation, difference = policy.worst
        found.append(
            f"Rollout and trainer disagree: correlation down to {correlation:.4f} (needs {run_data.MIN_CORRELATION}), "
            f"mean difference up to {difference:.1e} (must stay below {run_data.MAX_DIFFERENCE:g})."
        )
    if policy and policy.unknown:
        found.append(f"{policy.unknown} training steps logged no comparison of rollout and trainer probabilities.")
    if not pairs:
        found.append(
            "The log has no figures per source and task, so there are no such curves: this recipe's sampler logs them "
            "(trainer.v1.sampler.custom_sampler)."
        )
    if lost := run_data.lost_steps(metrics):
        steps = f"{'steps' if len(lost) > 1 else 'step'} {', '.join(map(str, lost))}"
        found.append(
            f"The figures of {steps} are missing: verl writes them after the checkpoint, and the trainer was stopped "
            "in between. The steps were trained; only the curves lack them."
        )
    return found


def broken_frames(reasons: Sequence[str]) -> list[str]:
    """What the examples lack; ``reasons`` name their files."""
    more = f", and {len(reasons) - 1} more" if len(reasons) > 1 else ""
    return [f"Examples lack frames that are no pictures: {reasons[0]}{more}. Extract them anew."] if reasons else []


#: Settings of RL, by the name that a page gives them.
SETTINGS = {
    "training data": "data.train_files",
    "tasks": "data.tasks",
    "seed": "data.seed",
    "prompts per step": "data.train_batch_size",
    "answers per prompt": "actor_rollout_ref.rollout.n",
    "learning rate": "actor_rollout_ref.actor.optim.lr",
    "clip low": "actor_rollout_ref.actor.clip_ratio_low",
    "clip high": "actor_rollout_ref.actor.clip_ratio_high",
    "reward": "medgrpo.reward",
}


def facts(config: DictConfig, after: Evaluation) -> dict[str, str]:
    """What was trained and evaluated, as name and text; what the run did not record is left out."""
    summary = after.summary
    found = {
        "model": summary["model"],
        "held-out data": f"{summary['data']} ({summary['rows']} rows)",
        "evaluation decoding": describe_decoding(summary["decoding"]),
        "judge": summary.get("judge"),
        "sentence encoder": summary.get("similarity"),
        "normalization": summary["normalization"] or "none",
    }
    found |= {name: OmegaConf.select(config, key, throw_on_missing=False) for name, key in SETTINGS.items()}
    return {name: str(value) for name, value in found.items() if value is not None}


def notes_on_runs(facts: Mapping[str, Mapping[str, str]], rewards: bool) -> list[str]:
    """What to keep in mind of a comparison of runs; ``rewards``: whether all have the same normalization."""
    found = ["Standard errors are those of the rows. How far seeds of one setting lie apart is not in them."]
    if not rewards:
        found.append("The runs have different normalizations, so their rewards are not compared, only raw scores.")
    if len({own["evaluation decoding"] for own in facts.values()}) > 1:
        found.append("The evaluations decoded differently, which is a difference of its own (see the last table).")
    if alarmed := [f"{name} ({own['alarms']})" for name, own in facts.items() if own["alarms"] != "0"]:
        found.append(f"Trainings with alarms, which their own reports list: {', '.join(alarmed)}.")
    return found


class Metric(NamedTuple):
    """A metric of the benchmark, with 95% intervals before and after, and what PUBLISHED has of it."""

    change: Change
    intervals: tuple[list[float] | None, list[float] | None]
    published: tuple[float, ...] = ()


#: The project page's main table: Qwen2.5-VL 7B after SFT and after RL, then Qwen3-VL 4B.
PUBLISHED = {
    "TAG_mIoU@0.3": (0.142, 0.216, 0.465, 0.504),
    "TAG_mIoU@0.5": (0.091, 0.156, 0.403, 0.441),
    "STG_mIoU": (0.177, 0.202, 0.133, 0.176),
    "DVC_F1": (0.165, 0.214, 0.435, 0.480),
    "NAP_acc": (0.442, 0.405, 0.466, 0.473),
    "SA_acc": (0.218, 0.254, 0.270, 0.285),
    "CVS_acc": (0.894, 0.896, 0.895, 0.898),
}


def benchmark_metrics(before: Evaluation, after: Evaluation) -> dict[str, Metric]:
    """Metrics that both evaluations have; published ones only where the rows are those of the whole test set."""
    old, new = (side.summary["leaderboard"] for side in (before, after))
    both = [name for name in old if old[name] is not None and new.get(name) is not None]
    # An evaluation of an earlier version has no intervals.
    ends = [side.summary.get("leaderboard_95", {}) for side in (before, after)]
    whole = len({line["index"] for line in after.results if line["data_source"].startswith("medvidbench/")})
    return {
        name: Metric(
            Change(old[name], new[name], new[name] - old[name]),
            tuple(side.get(name) for side in ends),
            PUBLISHED.get(name, ()) if whole == FULL_TEST_SIZE else (),
        )
        for name in both
    }


def _missing(value: float | None) -> bool:
    return value is None or not math.isfinite(value)


def num(value: float | None) -> str:
    return "–" if _missing(value) else f"{value:.3f}"


def interval(ends: Sequence[float] | None) -> str:
    return " to ".join(map(num, ends)) if ends else "–"


def with_error(value: float, error: float) -> str:
    return num(value) + ("" if _missing(error) else f" ± {num(error)}")


def share(value: float | None) -> str:
    return "–" if _missing(value) else f"{100 * value:.0f}%"


def change(of: Change) -> str:
    """A signed change with its standard error."""
    if _missing(of.delta):
        return "–"
    return f"{of.delta:+.3f}" + ("" if _missing(of.error) else f" ± {of.error:.3f}")


def mood(of: Change) -> str:
    """CSS class: only a change of more than one standard error is called good or bad."""
    if _missing(of.delta) or _missing(of.error) or abs(of.delta) <= of.error:
        return ""
    return "good" if of.delta > 0 else "bad"


def duration(seconds: float) -> str:
    """Hours and minutes, or minutes and seconds."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"
