# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Before step 0: what the judge will cost, and whether it answers at all."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from typing import Any, NamedTuple

import pyarrow.parquet as pq
from omegaconf import DictConfig, OmegaConf

import reward_score
from recipe.medgrpo.caption_scorers import judge_provenance
from recipe.medgrpo.judge_actor import job_options
from reward_score.errors import NormalizationError, RewardError
from reward_score.judge import JudgeConfig, LLMJudge, prompt, read_judge
from reward_score.similarity import DEFAULT_ENCODER
from reward_score.tasks.registry import VQA_TASKS

#: Rows whose reference is read for the estimate.
_SAMPLE = 256
_OUTPUT_TOKENS = 40
# English text; good to a quarter.
_CHARACTERS_PER_TOKEN = 4


class JudgeNotReady(RuntimeError):
    """The run cannot start with this judge; the message says what to set."""


class Estimate(NamedTuple):
    """What a run will ask of its judge.

    Args:
        per_step: verdicts in a step, if none is cached; a dense caption counts once, although it has several pairs.
        steps: of the run.
        input_tokens, output_tokens: per verdict.
        cost: USD for the whole run; NaN if the model's prices are unknown.
        minutes_per_step: the least that the limits per minute allow; 0 without limits.
    """

    per_step: float
    steps: int
    input_tokens: float
    output_tokens: float
    cost: float
    minutes_per_step: float

    def __str__(self) -> str:
        verdicts = self.per_step * self.steps
        unknown = "cost unknown (set price_input and price_output)"
        text = (
            f"about {self.per_step:,.0f} verdicts a step, {verdicts:,.0f} in {self.steps:,} steps, "
            f"{verdicts * self.input_tokens / 1e6:,.1f} M tokens in, {verdicts * self.output_tokens / 1e6:,.1f} M out, "
            f"{unknown if math.isnan(self.cost) else f'{self.cost:,.2f} USD'}, without what the cache saves"
        )
        limits = f"; the limits allow a step every {self.minutes_per_step:.1f} minutes" if self.minutes_per_step else ""
        return text + limits


def estimate(config: DictConfig, judge: JudgeConfig, rows: Iterable[dict[str, Any]]) -> Estimate:
    """Estimate for a composed configuration and its training rows (``data_source``, ``reward_model``, the question)."""
    tasks = set(config.data.tasks)
    n_rows, captions, asked = 0, 0, []
    aligned = OmegaConf.select(config, "medgrpo.reward.vqa.weights.alignment", default=0) > 0
    for row in rows:
        task = row["data_source"].rsplit("/", 1)[-1]
        if task not in tasks:
            continue
        n_rows += 1
        reasoned = aligned and task in VQA_TASKS
        if "judge" in reward_score.TASKS[task].COMPONENTS or reasoned:
            captions += 1
            if len(asked) < _SAMPLE:
                asked.append(_request(row, judge, config.data.max_response_length if reasoned else None))
    batch = config.data.train_batch_size
    steps = config.trainer.total_training_steps or (n_rows // batch) * config.trainer.total_epochs
    per_step = batch * config.actor_rollout_ref.rollout.n * captions / max(1, n_rows)
    tokens = sum(asked) / max(1, len(asked)) / _CHARACTERS_PER_TOKEN
    cost = judge.cost(per_step * steps * tokens, per_step * steps * _OUTPUT_TOKENS)
    minutes = max(
        per_step / judge.rpm if judge.rpm else 0.0,
        per_step * (tokens + _OUTPUT_TOKENS) / judge.tpm if judge.tpm else 0.0,
    )
    return Estimate(per_step, steps, tokens, _OUTPUT_TOKENS, cost, minutes)


def _request(row: dict[str, Any], judge: JudgeConfig, reasoning_tokens: int | None) -> int:
    """Characters of the request for one verdict: on a caption, or on reasoning of at most so many tokens."""
    reference = row["reward_model"]["ground_truth"]
    if reasoning_tokens is None:
        # A caption is about as long as its reference.
        pair, rubric = reward_score.CaptionPair(reference, reference), judge.rubric
    else:
        question = (row.get("extra_info") or {}).get("question") or ""
        candidate = "x" * (reasoning_tokens * _CHARACTERS_PER_TOKEN)
        pair, rubric = reward_score.CaptionPair(candidate, f"{question} {reference}"), "reasoning"
    return sum(len(message["content"]) for message in prompt.messages(pair, rubric, judge.system_role))


def check_judge(config: DictConfig) -> None:
    """Print the estimate of verdicts, tokens and cost, then ask for one verdict. Nothing to do without an LLM judge.

    A judge that verl serves does not exist yet; the reward workers ask it when they start.

    Raises:
        JudgeNotReady: the judge does not answer, the limits are too low for the run, the normalization was measured
            with another judge, or the judge that verl serves is not set up as it must be.
        RewardError: the judge's options make no sense, or the normalization was measured with another encoder.
    """
    options = OmegaConf.to_container(config.medgrpo.reward, resolve=True)
    judge = job_options(options, None)
    check_artifact(options)
    if judge is None or options["caption_mix"] == 1:
        return
    guess = estimate(config, judge, _rows(config.data.train_files))
    print(f"judge {judge.name}: {guess}", flush=True)
    if guess.minutes_per_step * 60 > judge.queue_limit:
        raise JudgeNotReady(
            f"a step's verdicts need {guess.minutes_per_step:.0f} minutes at rpm={judge.rpm}, tpm={judge.tpm}, more "
            f"than queue_limit={judge.queue_limit:.0f} s: raise medgrpo.reward.judge.queue_limit, or the limits"
        )
    if judge.backend == "local":
        _check_local(config)
        return
    try:
        verdict, tally = LLMJudge(judge).probe()
    except RewardError as error:
        raise JudgeNotReady(
            f"the judge {judge.name} gives no verdict, so training does not start. {error}. Set OPENAI_API_KEY and, "
            "for another endpoint than OpenAI's, OPENAI_BASE_URL and medgrpo.reward.judge.model; or train without "
            "an LLM judge: JUDGE=lexical in the run script, judge=lexical on the command line"
        ) from error
    print(f"judge {judge.name} answers: mean grade {verdict.mean:.1f}, {tally.latencies[-1]:.2f} s", flush=True)


def check_artifact(options: dict[str, Any]) -> None:
    """Raise if percentiles are another judge's or encoder's: its values would be put on a foreign scale.

    Args:
        options: ``medgrpo.reward``. A judge counts as another also with another prompt or temperature.
    """
    if options["normalization"] == "none":
        return
    file, artifact = options["artifact"], reward_score.Artifact.load(options["artifact"])
    components = {key.rsplit("|", 1)[1] for key in artifact.entries}
    encoder, measured = options.get("similarity") or DEFAULT_ENCODER, artifact.provenance.similarity
    if options["caption_mix"] > 0 and measured != encoder and "similarity" in components:
        raise NormalizationError(
            f"{file} has percentiles of the encoder {measured}, the run's is {encoder}: calibrate with the run's "
            f"overrides (`medgrpo calibrate ... +medgrpo.reward.similarity={encoder}`), or give the run and "
            f"`medgrpo evaluate` +medgrpo.reward.similarity={measured}"
        )
    if options["caption_mix"] == 1 or options.get("judge_norm") == "linear" or "judge" not in components:
        return
    own = judge_provenance(read_judge(options.get("judge", "lexical")))
    measured = {name: getattr(artifact.provenance, name) for name in own}
    if measured["judge"] != own["judge"]:
        raise JudgeNotReady(
            f"{file} has percentiles of the judge {measured['judge']}, the run's is {own['judge']}: calibrate with the "
            "run's overrides (`medgrpo calibrate ... judge=...`), or give the run and `medgrpo evaluate` judge="
            + ("lexical" if measured["judge"] == "lexical" else "openai")
        )
    if unknown := [name for name, value in measured.items() if value is None]:
        # No error: a run that began with such an artifact could not go on.
        print(f"WARNING: {file} is of an older version and does not say its {', '.join(unknown)}", flush=True)
    changed = [name for name in own if measured[name] not in (None, own[name])]
    if changed:
        raise JudgeNotReady(
            f"{file} has percentiles of the judge {own['judge']} asked otherwise: "
            + ", ".join(f"{name} {measured[name]}, the run's {own[name]}" for name in changed)
            + ". Calibrate again with the run's overrides (`medgrpo calibrate ... judge=...`), or go back to the "
            "calibration's settings (rubric, system_role, temperature of medgrpo.reward.judge; the prompt's wording)"
        )


def _check_local(config: DictConfig) -> None:
    model = config.reward.reward_model
    needed = {
        "reward.reward_model.enable=true": model.enable,
        "reward.reward_model.enable_resource_pool=true": model.enable_resource_pool,
        "reward.custom_reward_function.path=pkg://reward_score": config.reward.custom_reward_function.path,
    }
    wrong = [setting for setting, value in needed.items() if not value]
    if wrong:
        raise JudgeNotReady(f"a judge that verl serves needs {', '.join(wrong)}; judge=local sets all of it")


def _rows(files: str | list[str]) -> Iterable[dict[str, Any]]:
    for file in [files] if isinstance(files, str) else files:
        batches = pq.ParquetFile(file).iter_batches(columns=["data_source", "reward_model", "extra_info.question"])
        yield from itertools.chain.from_iterable(batch.to_pylist() for batch in batches)
