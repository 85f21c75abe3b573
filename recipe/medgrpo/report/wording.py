# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""The words of a report: verdict, tiles, warnings, what was run, and how numbers are written."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence

from omegaconf import DictConfig, OmegaConf

from recipe.medgrpo.common.versions import versions
from recipe.medgrpo.evaluation.answers import describe_decoding
from recipe.medgrpo.report.run_data import (
    MAX_DIFFERENCE,
    MIN_CORRELATION,
    Agreement,
    Change,
    Comparison,
    Evaluation,
    Metrics,
    lost_steps,
)

#: Pairs that a warning names.
NAMED = 5


def cut_warning(held_out: Mapping[str, Change], logged: Mapping[str, Change]) -> list[str]:
    """A title and paragraphs if RL made more answers be cut at the token limit (see ``run_data``); empty if not."""
    measured = {"On held-out rows, before and after RL": held_out, "In training, first and last tenth of steps": logged}
    found = [f"{words}: {_named(rises)}." for words, rises in measured.items() if rises]
    if not found:
        return []
    return [
        "RL made more answers be cut at the token limit",
        *found,
        "These are answers that ramble until they are cut; look at the examples. The policy may have found that length "
        "pays: do not believe a gain in reward before you have read them.",
        "What to do: use a checkpoint from before the share rose, and find out what the reward pays for "
        "(docs/rewards.md). A lower medgrpo.alarm.cut_share stops the next run early. If honest answers do not fit, "
        "raise data.max_response_length, and --max-tokens of calibrate and evaluate.",
    ]


def _named(rises: Mapping[str, Change]) -> str:
    worst = sorted(rises.items(), key=lambda rise: -rise[1].delta)[:NAMED]
    named = ", ".join(f"{where} {share(of.before)} → {share(of.after)}" for where, of in worst)
    return f"{named}, and {len(rises) - NAMED} more" if len(rises) > NAMED else named


def verdict(overall: Comparison) -> str:
    """One sentence: did the reward of the trained tasks rise, and by how many standard errors?"""
    before, after, delta, error = overall.reward
    words = (
        f"Mean held-out reward of the tasks trained by RL: {before:.3f} before, {after:.3f} after, change {delta:+.3f}"
    )
    if math.isnan(error):
        return f"{words} on {overall.n} rows (no standard error)."
    multiple = f", {abs(delta) / error:.1f} standard errors" if error > 0 else ""
    return f"{words} ± {error:.3f} (standard error) on {overall.n} rows{multiple}."


def notes(
    metrics: Metrics, pairs: Collection[tuple[str, str]], policy: Agreement | None, loggers: Sequence[str] | None
) -> list[str]:
    """What the page lacks, and whether rollout and trainer disagree.

    Args:
        metrics, policy: see ``run_data``.
        pairs: have figures in the log.
        loggers: the run's ``trainer.logger``; None if its configuration is not there.
    """
    if not metrics:
        why = (
            "RUN/rl holds neither metrics*.jsonl nor .hydra/config.yaml: if RL ran, its files lie elsewhere"
            if loggers is None
            else f"the trainer's file logger was off (trainer.logger={','.join(loggers)})"
            if "file" not in loggers
            else "the file logger was on, but RUN/rl holds no metrics*.jsonl with a step in it: training ended before "
            "its first step, the file lies where VERL_FILE_LOGGER_PATH said, or it was removed"
        )
        return [
            "The page has no curves of training and cannot say whether the trained policy was the sampled one: "
            f"{why}. A file that is put at RUN/rl/metrics.jsonl is read."
        ]
    found = []
    if policy is None:
        found.append(
            "The log has no comparison of rollout and trainer probabilities: set "
            "actor_rollout_ref.rollout.calculate_log_probs=True."
        )
    elif not policy.passed:
        found.append(
            f"Rollout and trainer disagree: correlation down to {policy.worst[0]:.4f} (needs {MIN_CORRELATION}), "
            f"mean difference up to {policy.worst[1]:.1e} (must stay below {MAX_DIFFERENCE:g})."
        )
    if policy and policy.unknown:
        found.append(f"{policy.unknown} training steps logged no comparison of rollout and trainer probabilities.")
    if not pairs:
        found.append(
            "The log has no figures per source and task, so there are no such curves: this recipe's sampler logs them "
            "(trainer.v1.sampler.custom_sampler)."
        )
    if lost := lost_steps(metrics):
        steps = f"{'steps' if len(lost) > 1 else 'step'} {', '.join(map(str, lost))}"
        found.append(
            f"The figures of {steps} are missing: verl writes them after the checkpoint, and the trainer was stopped "
            "in between. The steps were trained; only the curves lack them."
        )
    return found


def facts(
    config: DictConfig,
    metrics: Metrics,
    policy: Agreement | None,
    before: Evaluation,
    after: Evaluation,
    timings: dict[str, float],
) -> dict[str, str]:
    """What was run, as name and text; a setting that the run did not record is left out."""
    found = {
        "model before": before.summary["model"],
        "model after": after.summary["model"],
        "held-out data": f"{after.summary['data']} ({after.summary['rows']} rows)",
        "evaluation decoding": describe_decoding(after.summary["decoding"]),
        "normalization": after.summary["normalization"] or "none",
    }
    settings = {
        "training data": "data.train_files",
        "seed": "data.seed",
        "prompts per step": "data.train_batch_size",
        "answers per prompt": "actor_rollout_ref.rollout.n",
        "learning rate": "actor_rollout_ref.actor.optim.lr",
        "clip low": "actor_rollout_ref.actor.clip_ratio_low",
        "clip high": "actor_rollout_ref.actor.clip_ratio_high",
        "reward": "medgrpo.reward",
    }
    values = {name: OmegaConf.select(config, key, throw_on_missing=False) for name, key in settings.items()}
    found |= {name: str(value) for name, value in values.items() if value is not None}
    if metrics:
        found["steps"] = str(max(metrics))
    if policy:
        found["rollout vs trainer"] = "correlation ≥ {:.6f}, mean difference ≤ {:.1e}".format(*policy.worst)
    found |= {f"time: {stage}": duration(seconds) for stage, seconds in timings.items()}
    found["versions"] = ", ".join(f"{name} {number}" for name, number in versions().items())
    return found


def leaderboard_changes(before: Evaluation, after: Evaluation) -> dict[str, tuple[Change, list[str]]]:
    """Benchmark metrics that both evaluations have: their change, and the 95% intervals before and after in words."""
    old, new = (side.summary["leaderboard"] for side in (before, after))
    both = (name for name in old if old[name] is not None and new.get(name) is not None)
    # An evaluation of an earlier version has no intervals.
    ends = [side.summary.get("leaderboard_95", {}) for side in (before, after)]
    return {
        name: (
            Change(old[name], new[name], new[name] - old[name]),
            [" to ".join(map(num, side[name])) if name in side else "–" for side in ends],
        )
        for name in both
    }


# ---- formats -------------------------------------------------------------------------------------------------------


def _missing(value: float | None) -> bool:
    return value is None or not math.isfinite(value)


def num(value: float | None) -> str:
    return "–" if _missing(value) else f"{value:.3f}"


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
